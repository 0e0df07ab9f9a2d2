"""Writes the reference pages that follow from the code: `python -m docs.generate`; `--check` only compares.

A page is a module with a function `page`: `scenario.py`, `testbed.py`, `machines.py` and `http_settings.py` from the
pydantic models of those files, `records.py` from the lines of a record, `cli.py` from the command line itself,
`schemes.py`, `parameters.py` and `metrics.py` from the registries. `sources.py` reads what the code says of itself,
`markdown.py` makes cells and tables of it, `fields.py` the section of a pydantic model; `pages.py` names the files.
These pages come from nowhere else, so they are not edited by hand.
"""
