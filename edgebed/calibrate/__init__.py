"""Calibration, offline: of the emulation by live runs on real models, of controllers by runs in virtual time.

Read first: `check.py` (does the law say what the real models did) and `refit.py` (the law a run itself shows); for
the Lyapunov deployer `lyapunov.py` (the procedure), which watches `windows.py` and is judged by `evaluate.py`.
`check_page.py` and `page.py` put the two on paper; the commands are in `edgebed/commands/calibrate.py` and
`calibrate_check.py`.
"""
