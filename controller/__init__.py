"""Decisions only: who serves a request, what runs where, what the policy is. Sees snapshots, touches nothing.

Read first: `fast_path.py` (one request: filter, score, pick, and the books behind it), `routers/sect.py`
(the pick itself) and `fast_view.py` (what the fast path believes of the executors). `perf/` learns service
times; `schedulers/`, `deployers/` and `planners/` are the slower layers, which may only mask, bias or
parameterise the one below; `meta/` handles exceptions, and `agents/` is what may think in it. Nothing here
imports the world; `routers/oracle.py` is handed the truth on purpose.
"""

from emulation import compiled as compiled  # decides which of the two is found, before anything else is
