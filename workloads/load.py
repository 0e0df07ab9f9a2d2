"""The client's log: what the load generator saw, and conservation counted from it. No locust here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from emulation.domain.cluster import Strict
from emulation.domain.request import Outcome


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


@dataclass(frozen=True, slots=True)
class Conservation:
    """Client's log against the server's request ids: every request sent has one end on both sides."""

    intended: int
    sent: int
    outcomes: Mapping[str, Mapping[str, int]]
    """Model to outcome to count; sums to `intended`."""
    doubled: tuple[str, ...]
    """Ids with more than one end in the client's log."""
    unknown_to_server: tuple[str, ...]
    """Ids the server answered according to the client, without a record of the server."""
    unknown_to_client: tuple[str, ...]
    """Ids the server recorded that this client never sent."""

    @property
    def holds(self) -> bool:
        """Whether both sides agree on every request."""
        return not (self.doubled or self.unknown_to_server or self.unknown_to_client)


def client_log(path: Path) -> list[ClientResult]:
    """Results in a log, and in those of its workers (`log.w0.jsonl`, ...), in order of intended time and id.

    A last line without its end (the writer was killed) is left out. Raises `ValueError` for any other bad
    line, `FileNotFoundError` if there is no log.
    """
    files = ([path] if path.is_file() else []) + sorted(path.parent.glob(f"{path.stem}.w*{path.suffix}"))
    if not files:
        raise FileNotFoundError(f"no client log {path}")
    found = [result for file in files for result in _lines(file)]
    return sorted(found, key=lambda r: (r.intended_s, r.request_id))


def worker_log(path: Path, index: int, count: int) -> Path:
    """Where worker `index` of `count` writes: the log itself when it is alone."""
    return path if count == 1 else path.with_name(f"{path.stem}.w{index}{path.suffix}")


def conservation(log: Sequence[ClientResult], server_ids: Iterable[str]) -> Conservation:
    """Join of the client's log and the server's request ids by `X-Request-ID`."""
    counts = Counter(r.request_id for r in log)
    server = set(server_ids)
    outcomes: dict[str, dict[str, int]] = {}
    for result in log:
        of_model = outcomes.setdefault(result.model, {})
        of_model[result.outcome] = of_model.get(result.outcome, 0) + 1
    sent = {r.request_id for r in log if r.sent_s is not None}
    answered = {r.request_id for r in log if r.status is not None}
    return Conservation(
        intended=len(log),
        sent=len(sent),
        outcomes=outcomes,
        doubled=tuple(sorted(i for i, n in counts.items() if n > 1)),
        unknown_to_server=tuple(sorted(answered - server)),
        unknown_to_client=tuple(sorted(server - sent)),
    )


def _lines(path: Path) -> list[ClientResult]:
    *whole, rest = path.read_text(encoding="utf-8").split("\n")
    results: list[ClientResult] = []
    for number, line in enumerate(whole, start=1):
        try:
            results.append(ClientResult.model_validate_json(line))
        except ValidationError as error:
            what = error.errors(include_url=False)[0]["msg"]
            raise ValueError(f"{path}: line {number}: not a client result: {what}; remove the line") from None
    return results
