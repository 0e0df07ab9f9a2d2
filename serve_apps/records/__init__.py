"""What a live run leaves behind: the record, and the progress of every request that is not over.

Read first: `books.py` (one open run: counted, written, rebuilt after a crash), then `store.py` (files grow by whole
batches or not at all) and `batch.py` (how records get there without a request waiting for it). `recorder.py` is the
actor around them; `spool.py` what a gateway that is killed leaves; `segments.py` what of a long record is kept;
`progress.py` which prompts are finished, so that nothing is computed twice.
"""
