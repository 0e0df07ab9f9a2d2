"""The command line. Each command says what it takes, calls what does it, and shows what came of it.

Read first: `main.py` (the entry point, `compare` and the commands that read its folders), `options.py` (what several
commands take), `console.py` (results on stdout, everything else on stderr). The others are sub-commands: `standing.py`
has `up` and `down`, `steer.py` what is done to a testbed that stands, `load.py` the load; `reproduce.py`,
`calibrate.py` with `calibrate_check.py`, `profile.py` and `models.py` are named like the packages they call,
and `ui.py` is the page in a browser. Only here do errors become exit codes.
"""
