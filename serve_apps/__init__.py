"""The world on Ray Serve: HTTP in, answers at the emulated pace out, the same controllers as in virtual time.

Read first: `gateway.py` with `dispatch.py` (one request: HTTP, fast path, replica, answer, record),
`node_runtime.py` (the node's state machines on wall time) and `live.py` (what runs where, and how a run
begins and ends). `messages.py` is what the processes say to each other, `backends/` what a replica runs.
"""
