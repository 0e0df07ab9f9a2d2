"""Checkpoints for real backends: made here, so that nothing has to be fetched."""
