"""Checkpoints for real backends: made here with random weights, so that nothing has to be fetched.

Read first: `checkpoints.py` (the four architectures, tiny or full-size), `vocabularies.py` (their tokenizers),
`tiny.py` (every model of a scenario by a tiny real one). The command is in `edgebed/commands/models.py`.
"""
