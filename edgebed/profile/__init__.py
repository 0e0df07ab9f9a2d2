"""Profiles: a real model measured over a designed grid, and the linear law both worlds read fitted to it.

Read first: `measuring.py` (a whole profile, from the model's name to its file's content), `grid.py` (what is
measured), `fit.py` (the law). `batch.py` measures requests in one batch; `colocate.py` runs several processes at
once, whose law of sharing is fitted in `sharing.py`. `published.py` derives profiles from published results,
`file.py` writes them. The commands are in `edgebed/commands/profile.py`.
"""
