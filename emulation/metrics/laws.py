"""Laws a record must obey: conservation of requests, Little's law."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from emulation.domain.records import RequestRecord
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

    Tail requests are included: the law holds for all work, counted or not. A run without a footer was cut
    and proves nothing, so it is not ok.
    """
    lines = Counter((r.model, str(r.outcome)) for r in run.requests)
    footer = run.footer
    if footer is None:
        return Conservation(
            False, 0, sum(lines.values()), 0, ("no footer: the run was cut before it closed",)
        )
    problems = _unbalanced(footer.arrived, footer.ends, footer.in_system)
    stated = Counter({(m, o): n for m, ends in footer.ends.items() for o, n in ends.items() if n})
    for model, outcome in sorted(set(lines) | set(stated)):
        seen, said = lines[model, outcome], stated[model, outcome]
        if seen != said:
            problems.append(f"{model}: the footer states {said} {outcome}, the record has {seen}")
    problems += [
        f"request {i} ends {n} times" for i, n in Counter(r.request_id for r in run.requests).items() if n > 1
    ]
    return Conservation(
        ok=not problems,
        arrived=sum(footer.arrived.values()),
        ended=sum(lines.values()),
        in_system=sum(footer.in_system.values()),
        problems=tuple(problems),
    )


def _unbalanced(
    arrived: dict[str, int], ends: dict[str, dict[str, int]], in_system: dict[str, int]
) -> list[str]:
    found = []
    for model in sorted({*arrived, *ends, *in_system}):
        came, ended, inside = (
            arrived.get(model, 0),
            sum(ends.get(model, {}).values()),
            in_system.get(model, 0),
        )
        if came != ended + inside:
            found.append(f"{model}: {came} arrived, but {ended} ended and {inside} are in the system")
    return found


@dataclass(frozen=True, slots=True)
class Little:
    """Both sides of Little's law over one window: L = lambda * W."""

    mean_in_system: float
    """Time average of the number in system, from a sweep over arrivals and ends."""
    arrival_rate_per_s: float
    mean_sojourn_s: float

    @property
    def relative_error(self) -> float:
        """(L - lambda W) / (lambda W); 0 where both are 0."""
        expected = self.arrival_rate_per_s * self.mean_sojourn_s
        return (self.mean_in_system - expected) / expected if expected else self.mean_in_system


def little(requests: Sequence[RequestRecord], until_s: float | None = None) -> Little | None:
    """Measure both sides of Little's law over [0, until_s] (default: until the last request has ended).

    Exact when all requests that arrive in the window also end in it, whatever their outcome; with an earlier
    `until_s` the law holds up to the work at the edge. None if nothing arrived in the window.
    """
    end_s = max((r.ended_s for r in requests), default=0.0) if until_s is None else until_s
    inside = [r for r in requests if r.intended_s < end_s]
    if not inside or end_s <= 0:
        return None
    steps = sorted([(r.intended_s, 1) for r in inside] + [(min(r.ended_s, end_s), -1) for r in inside])
    area, number, last_s = 0.0, 0, 0.0
    for t_s, change in steps:
        area += number * (t_s - last_s)
        number, last_s = number + change, t_s
    sojourn = sum(r.ended_s - r.intended_s for r in inside) / len(inside)
    return Little(area / end_s, len(inside) / end_s, sojourn)
