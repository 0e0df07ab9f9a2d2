"""Learning on the virtual engine: the environment, and what `edgebed train drl` does with it.

Read first: `env.py` (the public environment, a PettingZoo `ParallelEnv`), `slots.py` (the run behind it, stopped
wherever somebody has to decide), `training.py` (both trainers in turn, curve and checkpoint).
"""
