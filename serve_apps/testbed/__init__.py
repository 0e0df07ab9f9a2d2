"""The live testbed as a whole: what runs where, how a run begins, how everything ends.

Read first: `live.py` (up, a run, down), `parts.py` (what each process is handed for a run) and `apps.py` (the Serve
applications). `ray_cluster.py` says which Ray it stands on, `standing.py` keeps one up in the background, `launcher.py`
starts and stops replicas (lifecycle cold), `agent_llm.py` hosts the agents' language model, `start_errors.py` finds the
user's mistake in what Serve reports. `lives.py` (the core) and `lookout.py` (its eyes) know who died and whether the
rest can go on; `guardian.py` outlives the owner and ends what it leaves behind.
"""
