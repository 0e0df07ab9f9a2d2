"""Kills and stops every kind of process of a live testbed under constant load, and counts what became of each request.

Read first: `kinds.py` (what is done to whom), `run.py` (one kind, so many times), `laws.py` (what must hold). `bed.py`
is the testbed as a user starts it, `table.py` the files. `python -m benchmarks.faults --only gateway --times 3` for
a look; `make bench-faults` makes the committed table.
"""
