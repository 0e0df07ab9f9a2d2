"""The composition root: the names of a scheme become the controllers, loops and agents that both worlds run.

Read first: `controllers.py` (what a scheme's row and a scenario come to), then `loops.py` (what drives them in virtual
time) and `switching.py` (what takes a scheme's place in the middle of a run). `preflight.py` says what cannot be built.
"""
