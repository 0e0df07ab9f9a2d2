"""The meta-controller: what it senses, when it asks, what it may do, and how each act is judged.

Read `controller.py` (the walk of one event), then `tools.py` (the nine tools) and `audit.py` (records, verdicts).
`triggers.py` says when the reasoner is called, `invocations.py` how, `steered.py` what can be seen and
changed, `calibration.py` what of the performance model can. It acts through tools alone; every change has a record.
"""
