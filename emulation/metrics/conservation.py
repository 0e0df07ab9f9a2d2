"""The law every record must obey: no request appears or vanishes."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from emulation.domain.records import NAMES_UNFINISHED
from emulation.metrics.client_books import client_problems
from emulation.metrics.view import RunView


@dataclass(frozen=True, slots=True)
class Conservation:
    """Whether every request that arrived is accounted for, and if not, what is wrong."""

    ok: bool
    arrived: int
    ended: int
    in_system: int
    problems: tuple[str, ...] = ()


def conservation(run: RunView) -> Conservation:
    """Check arrived = ends + in system per model, in the footer and against the request lines themselves.

    Of a live run that was joined with its client's log, every answer the client has must be in the record too.
    Since version 3 what is in the system has lines too, and these are held against the footer as well.

    Tail requests are included: the law holds for all work, counted or not. A run without a footer was cut
    and proves nothing, so it is not ok.
    """
    lines = Counter((r.model, str(r.outcome)) for r in run.requests if r.outcome != "unfinished")
    inside = Counter(r.model for r in run.requests if r.outcome == "unfinished")
    footer = run.footer
    if footer is None:
        return Conservation(
            False, 0, sum(lines.values()), 0, ("no footer: the run was cut before it closed",)
        )
    problems = footer.unbalanced()
    stated = Counter({(m, o): n for m, ends in footer.ends.items() for o, n in ends.items() if n})
    for model, outcome in sorted(set(lines) | set(stated)):
        seen, said = lines[model, outcome], stated[model, outcome]
        if seen != said:
            problems.append(f"{model}: the footer states {said} {outcome}, the record has {seen}")
    if run.header.version >= NAMES_UNFINISHED:
        for model in sorted({*inside, *footer.in_system}):
            seen, said = inside[model], footer.in_system.get(model, 0)
            if seen != said:
                problems.append(f"{model}: the footer states {said} in the system, the record names {seen}")
    problems += [
        f"request {i} ends {n} times" for i, n in Counter(r.request_id for r in run.requests).items() if n > 1
    ]
    problems = client_problems(run) + problems
    return Conservation(
        ok=not problems,
        arrived=sum(footer.arrived.values()),
        ended=sum(lines.values()),
        in_system=sum(footer.in_system.values()),
        problems=tuple(problems),
    )
