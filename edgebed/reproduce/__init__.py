"""Reproduction of the papers: one command each, their tables and figures beside ours.

Read first: `settings.py` (what is run, and what the paper has), `runs.py` (one cell in one process), `gaps.py` (how
a gap is counted), then `e3.py` (all of it in order). `bounds.py` holds settings that show what limits a figure;
`tables.py`, `figures.py` and `page.py` write what was found.
"""
