"""The gateway's HTTP server: whom it listens to, for how long, and how much it holds for them.

`listener.py` opens the socket; each client is a `Connection` (`connection.py`), which gathers a request's `head.py`,
feeds its body to a `Cycle` (`cycle.py`: one request and its answer, as ASGI) and refuses what is wrong, too much or too
slow. `settings.py` has every limit, `books.py` what all connections hold together, `hosts.py` the names that are ours.
h11 parses; read `settings.py`, `connection.py` and `head.py` first.
"""
