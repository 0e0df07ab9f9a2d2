"""Faults: one small file each. A fault turns its event into timed steps (onset, undo) and can apply each to a node.

Read first: `base.py` (the two things a fault does), then `slowdown.py`. The same steps are played by the engine on
its heap and by the live world on its clock. A new fault is one file and one line in `FAULTS`.
"""

from emulation.faults import crash, drift, error, leave, link_delay, llm_outage, pause, ramp, slowdown
from emulation.faults.base import Fault, Step, apply, timeline

FAULTS: dict[str, Fault] = {
    "slowdown": slowdown,
    "drift": drift,
    "ramp": ramp,
    "pause": pause,
    "error": error,
    "leave": leave,
    "link_delay": link_delay,
    "replica_crash": crash,
    "llm_outage": llm_outage,
}

__all__ = ["FAULTS", "Fault", "Step", "apply", "timeline"]
