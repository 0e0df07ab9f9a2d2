"""Scenarios x parameter values x schemes x seeds in virtual time, and what can be said of the order of the schemes.

Read in this order: `plan` (what a plan file holds), `axes` (how a value of it changes a scenario), `cells` (the runs of
a plan, and the keys that say whether one was made already), `figures` (what is kept of a run), `journal` (where),
`running` (all of them on all cores), `results` (what there is by cell, scheme and seed), `ranks`, `significance` and
`stability` (what it says), `picture`, `tables` and `files` (how it is shown).
"""
