"""The world on Ray Serve: HTTP in, answers at the emulated pace out, the same controllers as in virtual time.

The folders read like the deployment drawing. A request goes `gateway/` (HTTP, fast path) to `replica/` (the Serve
application of a model on a node; its models in `engines/`) to `node/` (the node's state machines on wall time) and ends
in `records/`. `deciders/` ask the controllers on time and play the event plan, `vram/` keeps account of GPU memory,
`observe/` is what an operator sees of them all.
`wire/` is what all of them say to each other and how, and `testbed/` puts them up and takes them down. Read first:
`gateway/dispatch.py` (one request), `node/core.py` (what a node does), `testbed/live.py` (how a run begins and ends).
"""
