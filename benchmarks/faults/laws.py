"""What became of the requests of one repetition, and what must hold: arithmetic on a client's log and a record."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Literal

from workloads.failures import BROKEN_OFF
from workloads.load import ClientResult

STOPPED = "the run was stopped"
"""What the client's log says of a request that was open when the load generator was ended: nobody's fault."""

REFUSED = ("expired", "rejected", "no_host")
"""Outcomes that a server tells of in words, be it within a stream that had begun with 200."""

Fate = Literal["answered", "refused", "dropped", "unanswered", "unsent"]


@dataclass(frozen=True, slots=True)
class Repetition:
    """One fault, once."""

    kind: str
    number: int
    landed: bool
    """Whether the process was seen to be gone or stopped, the disk to be full, or the event to take effect."""
    answered: int = 0
    refused: int = 0
    """Told so in an answer of the server."""
    dropped: int = 0
    """Told so by a connection that broke, also in the middle of an answer, or was not taken."""
    unanswered: int = 0
    """Told nothing until the client gave up, or half an answer."""
    lost: int = 0
    """The client has an answer, the record has none."""
    duplicates: int = 0
    """More than once in the record."""
    recovery_s: float | None = None
    """Wall seconds until all went well again; of a testbed that ends, until nothing of it was left."""
    left: int = 0
    """Processes that were there 15 s after the testbed had ended."""
    exit_code: int | None = None
    """Of the testbed's owner, where it ended with this fault."""
    commit: str = ""
    """The last one that changed the code that was struck; with a `+` where it was not as committed."""


def fate(result: ClientResult) -> Fate:
    """What a client was told of its request."""
    if result.sent_s is None or result.error == STOPPED:
        return "unsent"
    if result.status is None:
        return "unanswered" if result.outcome == "aborted" or "in time" in (result.error or "") else "dropped"
    if result.status >= 400 or result.outcome in REFUSED:
        return "refused"
    if result.error == BROKEN_OFF:
        return "dropped"
    return "answered" if result.outcome == "done" else "unanswered"


def between(log: Iterable[ClientResult], from_s: float, until_s: float) -> list[ClientResult]:
    """Requests of a client's log that ended within this time (virtual seconds, as the log's).

    So each is of one fault only, and one that is open when the next fault begins is of that one.
    """
    return [r for r in log if r.sent_s is not None and from_s <= r.ended_s < until_s]


def fates(results: Iterable[ClientResult]) -> Counter[Fate]:
    """How many met which fate."""
    return Counter(fate(result) for result in results)


def recovery_s(results: Sequence[ClientResult], fault_s: float) -> float | None:
    """Seconds from the fault to the end of the first answer to a request that was sent after it, and after the last one
    that failed; None if nothing was answered any more. What was open when the load ended failed nowhere."""
    failed, answered = list[float](), list[tuple[float, float]]()
    for result in results:
        what = fate(result)
        if what == "unsent" or result.sent_s is None:
            continue
        if what == "answered":
            answered.append((result.sent_s, result.ended_s))
        else:
            failed.append(result.sent_s)
    last_s = max([fault_s, *failed])
    ended = [ended_s for sent_s, ended_s in answered if sent_s > last_s]
    return min(ended) - fault_s if ended else None


def not_in_record(results: Iterable[ClientResult], recorded: Counter[str]) -> int:
    """Requests with an answer that no record tells of. `recorded`: a client's id to how often it was done."""
    return sum(fate(r) == "answered" and recorded[r.request_id] == 0 for r in results)


def broken(repetition: Repetition, ends: bool, drops: bool) -> list[str]:
    """Laws that a repetition breaks, in words. One that did not land says nothing of any."""
    if not repetition.landed:
        return []
    must_be_none = ["unanswered", "lost", "duplicates", "left", *([] if drops else ["dropped"])]
    found = [f"{name} {getattr(repetition, name)}" for name in must_be_none if getattr(repetition, name)]
    if repetition.recovery_s is None:
        found.append("never recovered")
    if ends and repetition.exit_code == 0:
        found.append("ended with exit code 0")
    return found


def columns() -> list[str]:
    """Of a file with one line per repetition."""
    return [field.name for field in fields(Repetition)]
