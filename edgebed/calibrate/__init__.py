"""Offline calibration of controllers: runs in virtual time, rules that move coefficients, and what came of it.

Read first: `windows.py` (what is watched), `lyapunov.py` (the procedure), then `cli.py`.
"""
