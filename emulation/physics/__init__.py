"""Physics: pure functions, numbers in, numbers out. `latency.py` holds every speed law of the testbed."""
