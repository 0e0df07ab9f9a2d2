"""The application: the command `edgebed`, the wiring that builds controllers from names, and what is made of runs.

Read first: `commands/main.py` (what a user can do), `wiring/` (from the names in a scheme to controllers that
decide), `runs/virtual.py` (one scheme on one seed; `runs/live_run.py` is its counterpart on Ray). `report/` turns
records into tables and pages, `reproduce/` runs the papers' experiments, `calibrate/` compares laws with real models
and finds coefficients, `profile/` measures real models, `models/` makes checkpoints for them, `observability/` is what
Prometheus and Grafana need. Every other package ignores this one.
"""
