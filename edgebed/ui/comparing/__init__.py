"""Schemes side by side: who was better, and what each of them did after an event.

Figures, intervals and pictures are the report's. What is only here: `reactions.py` (the first change after each event,
and when latency was back), `leading.py` (who leads, in one sentence), `so_far.py` (a run that is still going on), and
`compared.py` (all of it for a folder, as plain values for the page).
"""
