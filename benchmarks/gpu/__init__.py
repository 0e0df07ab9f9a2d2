"""Everything of the project that a GPU can tell, measured in ten minutes on one card: `make gpu-measure`.

Read first: `plan.py` (what is measured, and how long each part may take), `__main__.py` (runs what is not there yet),
then the parts: `parts.py` (profiles, contention, vLLM, injection), `memory.py` (ledger and caps), `live.py` (the
calibration check). Every part runs in a process of its own and leaves one file of raw figures; a part that is there is
not measured again. With `--dry` the same parts run with tiny models on the CPU: that shows that the script works, and
nothing else.
"""
