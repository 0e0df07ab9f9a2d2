"""The client's log: what the load generator saw. No locust here."""

from __future__ import annotations

import re
from pathlib import Path

from emulation.domain.cluster import Strict
from emulation.domain.request import Outcome
from emulation.jsonl import read_lines


class ClientResult(Strict):
    """One line of the client's log: one request, whatever became of it. Times in virtual seconds since t0."""

    request_id: str
    model: str
    intended_s: float
    sent_s: float | None = None
    """None: never sent, because the run was stopped."""
    first_token_s: float | None = None
    """First piece of text of a streamed answer; None for others."""
    ended_s: float
    latency_wall_s: float
    """Wall seconds from the intended send time to the end."""
    status: int | None = None
    """HTTP status; None where no reply came."""
    outcome: Outcome
    """done, or what server or client made of it: `aborted` is a client that gave up or was stopped."""
    error: str | None = None
    output_tokens: int | None = None
    tenant: str | None = None


_REMEDY = "; not a client result, remove the line"


def client_log(path: Path) -> list[ClientResult]:
    """Results in a log, and in those of its workers (`log.w0.jsonl`, ...), in order of intended time and id.

    A last line without its end (the writer was killed) is left out. Raises `RecordError` for any other bad line,
    `FileNotFoundError` if there is no log.
    """
    files = ([path] if path.is_file() else []) + worker_logs(path)
    if not files:
        raise FileNotFoundError(f"no client log {path}")
    results = [
        r for file in files for r in read_lines(file, ClientResult.model_validate_json, remedy=_REMEDY)
    ]
    return sorted(results, key=lambda r: (r.intended_s, r.request_id))


def worker_logs(path: Path) -> list[Path]:
    """The logs that the workers of a load left beside its log, by name; no other file whose name begins like theirs."""
    name = re.compile(rf"{re.escape(path.stem)}\.w[0-9]+{re.escape(path.suffix)}")
    try:
        return sorted(file for file in path.parent.iterdir() if name.fullmatch(file.name))
    except OSError:
        return []


def worker_log(path: Path, index: int, count: int) -> Path:
    """Where worker `index` of `count` writes: the log itself when it is alone."""
    return path if count == 1 else path.with_name(f"{path.stem}.w{index}{path.suffix}")
