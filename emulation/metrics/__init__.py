"""Pure functions over records: every figure of every table comes from here, for both worlds.

Read first: `summary.py` (one run in figures), `fairness.py` (the second paper's equations), `evidence.py`
(whether each fault landed and was undone). `conservation.py` checks that no request got lost, `series.py` has
latency over time, `calibration.py` whether predictions know how sure they are. All take a
`RunView`, which `emulation.recording.Run` is.
A missing measurement is None, never 0.
"""
