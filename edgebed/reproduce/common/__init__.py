"""What both reproductions share: cells to run, a store of what they left, the command's course and its files.

Read first: `cells.py` (a setting, a scheme and a seed: one run to make; what the runs left, by setting and scheme),
`course.py` (parts are run on all cores and concluded, an interrupt included, then written). `paper.py` holds what a
paper states of a scheme, and how figures are written in tables; `true_profile.py` gives a scenario its hidden laws as
the profile. `findings.py` says what was reproduced; the page is the plain one of `edgebed.report`.
"""
