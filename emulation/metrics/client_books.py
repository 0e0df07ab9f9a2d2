"""A live record held against its client's log, before the two are joined: what an answer was given to must be in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from emulation.domain.records import RequestRecord
from emulation.domain.request_id import client_id_of
from emulation.metrics.view import RunView

SIDE = "client"
"""Of the footer's row in the side file."""
MOST_NAMED = 20


@dataclass(frozen=True, slots=True)
class ClientBooks:
    """What the client's log says of the record; the names are its own, and of many only the first are kept."""

    asked: int
    """Requests in the client's log."""
    answered: int
    """Of these, answered."""
    unrecorded: int
    """Answered, and the record has no such end: must be 0."""
    undelivered: int
    """Done by the record, and the client has no answer: it gave up, or its connection broke."""
    twice: int
    """Done more than once by the record, though its client, the load generator, sends nothing again: must be 0."""
    named: Mapping[str, tuple[str, ...]]
    """Names of `unrecorded`, `undelivered` and `twice`."""


def held_against(
    records: Iterable[RequestRecord], asked: Collection[str], answered: Collection[str]
) -> ClientBooks:
    """`records` as the recorder closed them; `asked`, `answered`: what its client called its requests."""
    done = Counter(client_id_of(r.request_id) for r in records if r.outcome == "done")
    found = {
        "unrecorded": sorted(name for name in answered if not done[name]),
        "undelivered": sorted(name for name in set(asked) - set(answered) if done[name]),
        "twice": sorted(name for name in asked if done[name] > 1),
    }
    named = {what: tuple(names[:MOST_NAMED]) for what, names in found.items() if names}
    counts = {what: len(names) for what, names in found.items()}
    return ClientBooks(len(asked), len(answered), named=named, **counts)


def footer_side(run: RunView) -> Mapping[str, Any]:
    """What stands beside a run's footer; nothing where there is none."""
    lines = (run.requests, run.decisions, run.events, run.executors)
    return {} if run.footer is None else run.side.get(1 + sum(map(len, lines)), {})


def client_books(run: RunView) -> ClientBooks | None:
    """What a run's record says of its client's log; None if it was joined with none."""
    said = footer_side(run).get(SIDE)
    return None if said is None else ClientBooks(**said)


def side_of(books: ClientBooks) -> dict[str, Any]:
    """As it stands in the side file."""
    return {SIDE: asdict(books)}


def client_problems(run: RunView) -> list[str]:
    """What breaks the law: answers that the record has not, and requests that were done more than once."""
    books = client_books(run)
    if books is None:
        return []
    counts = {
        "unrecorded": (books.unrecorded, "answers that a client has are not in the record"),
        "twice": (books.twice, "requests that a client sent once were done more than once"),
    }
    return [
        f"{count} {said}: {', '.join(books.named[what][:3])}{', ...' if count > 3 else ''}"
        for what, (count, said) in counts.items()
        if count
    ]
