"""The controllers of a live testbed on wall time. Read `host.py` first, then `roles.py`; `events.py` stands apart.

What decides is in `controller`; here it is only asked, on time, and what it said is carried out. Nothing in this
folder needs Ray: others are reached through `Calls`, and `testbed` makes actors of these classes.
"""
