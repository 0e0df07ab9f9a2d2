"""What the processes of a live testbed say to each other, and how.

Read first: `messages.py` (the shapes a request passes through), `calls.py` (a call to an actor: by name, within a
limit, failing in one way) and `news.py` (what changes, published and followed by version). `ask.py` is what a client
wants of a model, `clock.py` wall time as virtual seconds, `restart.py` how a restarted actor goes on, `trace.py` the
trace of a request, `memory.py` what a process keeps of large bodies, `secret.py` keys and tokens.
"""
