"""The composition root: the command `edgebed`, and the wiring of worlds, workloads and controllers.

Read first: `cli.py` (what a user can do), `wiring.py` (the only place that builds controllers and worlds from
names), `virtual.py` and `live.py` (one scheme, one seed, in either world). Everything below ignores this package.
"""
