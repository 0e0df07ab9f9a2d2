"""An edge node on wall time: the state machines of `emulation/executor`, with a clock and people who wait.

Read first: `core.py` (what the node does for others), then `attempts.py` (one run: queue, timer, a future for each
request). `real_work.py` is for models that really compute, `cold.py` for processes that really start and stop,
`waiters.py` whoever waits. Nothing here knows Ray.
"""
