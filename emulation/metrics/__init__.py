"""Pure functions over records: every figure of every table comes from here, for both worlds.

Read first: `summary.py` (one run in figures), `fairness.py` (the second paper's equations), `ledger.py`
(whether each fault landed and was undone). `laws.py` holds conservation and Little's law, `series.py`
latency over time and prediction residuals, `calibration.py` whether predictions know how sure they are. All take a
`RunView`, which `emulation.recording.Run` is.
A missing measurement is None, never 0.
"""

from emulation.metrics.calibration import Calibration, calibration, calibration_of
from emulation.metrics.fairness import jain, jain_normalised, objective
from emulation.metrics.fault_row import FaultRow
from emulation.metrics.laws import Conservation, Little, conservation, little
from emulation.metrics.ledger import fault_ledger
from emulation.metrics.series import Residual, SeriesBin, latency_series, residuals
from emulation.metrics.summary import ModelSummary, Summary, platform_overheads_s, summarise
from emulation.metrics.view import RunView, latency_s, node_of

__all__ = [
    "Calibration",
    "Conservation",
    "FaultRow",
    "Little",
    "ModelSummary",
    "Residual",
    "RunView",
    "SeriesBin",
    "Summary",
    "calibration",
    "calibration_of",
    "conservation",
    "fault_ledger",
    "jain",
    "jain_normalised",
    "latency_s",
    "latency_series",
    "little",
    "node_of",
    "objective",
    "platform_overheads_s",
    "residuals",
    "summarise",
]
