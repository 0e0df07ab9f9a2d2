"""The discrete-event engine: the world in virtual time.

Read first: `kernel.py` (the heap), `run.py` (one request through the virtual world), `deciding.py` (one decision).
The engine knows no policy: it calls the fast path and the control loops it is given through ports.
"""
