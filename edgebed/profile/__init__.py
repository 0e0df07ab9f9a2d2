"""`edgebed profile`: measures a real model over a designed grid and fits the linear law both worlds read.

Read first: `grid.py` (what is measured), `fit.py` (the law), then `cli.py`.
"""
