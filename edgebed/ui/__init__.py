"""The control room: a page that shows a testbed, or a recorded run, and steers it.

Reads records and metrics, and is a client of `/control`; no controller, gateway or node knows of it. Read `views.py`
first: what the page shows is these values and no others. `sources/` makes them from records, `page/` shows them,
`steering/` sends what somebody wants done.
"""
