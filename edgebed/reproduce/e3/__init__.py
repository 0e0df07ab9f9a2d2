"""Reproduction of E3-Agent: its Tables 5 and 6, its Figures 3 and 4, and what the paper does not show.

Read first: `settings.py` (what is run, and what the paper has), `runs.py` (one run, and what it leaves), `results.py`
(the rows every table is made of). `gaps.py` says how a gap is counted, `tables.py` and `figures.py` show what was
found, `run.py` puts it together.
"""
