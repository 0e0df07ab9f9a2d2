"""The discrete-event engine: the world in virtual time.

Read first: `kernel.py` (the heap), `run.py` (one request and one decision through the virtual world). The engine
knows no policy: it calls the fast path and the control loops it is given through ports.
"""
