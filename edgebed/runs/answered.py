"""Whether anybody answered: a run of which no request was answered compares nothing."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from edgebed.runs.client_log import CLIENT_LOG
from edgebed.runs.failure import WorkError
from workloads.load import client_log


def check_answered(folder: Path, url: str) -> None:
    """Raise `WorkError` if requests were sent to the gateway at `url` and none of them brought an answer back.

    A refusal is an answer, and so is an end that the gateway tells of. `folder`: of the run, with the client's log.
    """
    sent = [r for r in client_log(folder / CLIENT_LOG) if r.sent_s is not None]
    if not sent or any(r.status is not None or r.outcome == "done" for r in sent):
        return
    ((commonest, _),) = Counter(r.error or r.outcome for r in sent).most_common(1)
    raise WorkError(f"none of the {len(sent)} requests sent to {url} was answered: {commonest}")
