"""What the lines of a record hold, as columns: found stretch by stretch, in any process.

Read first: `sifted.py` (what a stretch holds, and the one function that finds it), then `beside.py` (which has
processes do so). It knows nothing of the page's tables, which take its columns up in `edgebed.ui.sources.intake`, and
loads nothing but NumPy and orjson: its processes are to begin at once.
"""
