"""Demand: who asks for what, when. Same scenario and seed, same requests, for every scheme and both worlds.

Read first: `generate.py` (scenario and seed to requests with their sealed truth), `traces.py` (the rule that
maps measured rows to requests) and `client.py` (a request as an OpenAI-compatible HTTP call).
`locustfile.py` is the thin shell that sends them on wall time. `truth_table.py` and `mismatch.py` hold what
deciders never see.
"""
