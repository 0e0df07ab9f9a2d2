"""The page itself: what a browser shows of a run, and of others on the same requests. Only here NiceGUI is known.

Read first: `app.py` (the page and its tabs), then `room.py` (what one viewer looks at). A panel is a file with
`build(room)`: it makes its elements once, and is told by `room.on_open`, `on_tick` and `on_slow` when there is
something else to show. `stage.py` and `room.js` are the one element of our own: it draws map, decision feed and time
slider from one message a tick, made of `state.py` (what there is) and `deltas.py` (what changed). `charts.py` with
`plots.py` are the plots, `guard.py` says who may read, `run_catalog.py` what runs there are.

Texts of requests, models, agents and files are values that are set as text; nothing of them is ever markup, a key of
options, or a style.
"""
