"""The Python interface, which `import edgebed` offers: what the command line does, with typed results and data frames.

Read first: `comparing.py` (run, or read again what was run), `result.py` (what came of it), `scenarios.py` (what is
run). It has no ways of its own: the same functions stand behind the command.
"""
