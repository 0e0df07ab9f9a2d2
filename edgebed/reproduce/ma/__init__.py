"""Reproduction of Multi-Agentic: its Figures 5 to 7, adaptation to change, and RL's fairness examined.

Read first: `settings.py` (what is run, what the paper states, and an independent reference), `runs.py` (one run,
reduced to what tables need), `run.py` (the parts, in order). Figures 5 and 6 are in `tables.py` and `figures.py`. What
happens over time is counted by `slots.py`, judged by `epochs.py` (Figure 7) and `recovery.py` (adaptation), and shown
by `tables_time.py` and `figures_time.py`. `inconsistency.py` draws parameters at random, `inconsistency_view.py` shows
what came of them.
"""
