"""Calibration, offline: of the emulation by live runs on real models, of controllers by runs in virtual time.

Read first: `check.py` (does the law say what the real models did) and `refit.py` (the law a run itself shows); for the
Lyapunov deployer `windows.py` (what is watched) and `lyapunov.py` (the procedure); then `cli.py`.
"""
