"""What a live run leaves behind: the record, and the progress of every request that is not over.

Read first: `recorder.py` (the books of the present run, on disk), then `batch.py` (how records get there without a
request waiting for it). `progress.py` is which prompts are finished, so that nothing is computed twice.
"""
