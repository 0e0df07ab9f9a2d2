"""The world in virtual time: what exists and how it behaves. Knows no policy and no Ray.

Read first: `domain/__init__.py`, `executor/node.py` (the state machines both worlds share) and
`engine/run.py` (the discrete-event loop around them).
"""

from emulation import compiled as compiled  # decides which of the two is found, before anything else is
