"""Pure functions over records: every figure of every table comes from here, for both worlds.

Read first: `summary.py` (one run in figures), `fairness.py` (the second paper's equations), `evidence.py`
(whether each fault landed and was undone). `conservation.py` checks that no request got lost, `series.py` has
latency over time, `calibration.py` whether predictions know how sure they are. All take a
`RunView`, which `emulation.recording.Run` is.
A missing measurement is None, never 0.
"""

from emulation.metrics.calibration import Calibration, calibration
from emulation.metrics.conservation import Conservation, conservation
from emulation.metrics.evidence import fault_ledger
from emulation.metrics.fairness import jain, jain_normalised, objective
from emulation.metrics.fault_row import FaultRow
from emulation.metrics.series import SeriesBin, latency_series
from emulation.metrics.summary import ModelSummary, Summary, platform_overheads_s, summarise
from emulation.metrics.view import RunView, latency_s, node_of

__all__ = [
    "Calibration",
    "Conservation",
    "FaultRow",
    "ModelSummary",
    "RunView",
    "SeriesBin",
    "Summary",
    "calibration",
    "conservation",
    "fault_ledger",
    "jain",
    "jain_normalised",
    "latency_s",
    "latency_series",
    "node_of",
    "objective",
    "platform_overheads_s",
    "summarise",
]
