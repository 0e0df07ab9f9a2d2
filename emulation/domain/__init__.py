"""The domain: frozen types and ports, standard library and pydantic only.

Read first: `cluster.py` (what exists) with `sharing.py` (how fast sharing makes it), `request.py` with `truth.py`
(what is asked, and what of it is hidden), `actions.py` (what may be decided). `scenario.py` and `events.py` are the
file formats, `records.py` is what a run leaves behind, `ports.py` the seams between world and controller. What the
hot path makes by the thousand is a `value` (value.py).
"""
