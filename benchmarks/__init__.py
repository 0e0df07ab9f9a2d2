"""Benchmarks: ratios measured within one run, never absolute promises.

Read first: `__main__.py` (runs every module here and keeps what it found), then `engine.py`, one example. Each
module has `run(quick=False) -> dict`: raw figures, and under `ratios` a list of rows
`{name, value, target, at_least}` that the table shows beside their targets. Figures of different machines, or of
different rows, are not comparable; ratios are.
"""
