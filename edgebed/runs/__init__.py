"""Runs: a scheme on a scenario, in virtual time or live, and what two runs have to do with each other.

Read first: `virtual.py` (one scheme, one seed, in virtual time), `live_run.py` (the same on Ray under load, which
`load_process.py` sends), `comparison.py` (schemes times seeds, checked before and concluded after), `live.py` (such a
comparison on live testbeds). `layout.py` knows the folders; `pool.py` and `processes.py` start and end workers.
`standing.py` keeps a testbed up, `client_log.py` and `load_summary.py` read what its clients saw. `replay.py` repeats a
recorded run in virtual time and `parity.py` judges both worlds by it.
`whatif.py` asks a process that knows only a planner's belief, `whatif_world.py`, what a plan would come to.
"""
