"""The state machines both worlds share: no I/O, time is passed in.

Read first: `node.py` (`NodeState`: the time of one node, and the door to its parts), then `service.py` (queues, and
who is in service), `job.py` (work and how far it got) and `notices.py` (what a node tells the world around it).
`lifecycle.py` starts and stops executors, `computed.py` hears of what is really computed. `executor.py` keeps the
books of one FIFO server and `lane.py` those of one place in service, `speed.py` says how fast it goes, `resources.py`
who may have RAM, cores and slices, `paths.py` how long requests travel, and `faults.py` what events may do to it all.
`telemetry.py` is what may be known of it all, `oracle.py` what may not.
"""

from emulation.executor.job import Job
from emulation.executor.lane import Milestone
from emulation.executor.node import NodeState
from emulation.executor.notices import Changed, Ended, Notice, Returned, Started
from emulation.executor.telemetry import ExecutorLoad

__all__ = [
    "Changed", "Ended", "ExecutorLoad", "Job", "Milestone", "NodeState", "Notice", "Returned", "Started",
]  # fmt: skip
