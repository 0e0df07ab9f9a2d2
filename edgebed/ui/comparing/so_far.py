"""A run that is still going on beside runs that are over: all of them up to the same moment, on the same requests."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from emulation.domain.records import RequestRecord
from emulation.domain.slots import slots_until
from emulation.metrics.view import last_s
from emulation.recording import Run


def up_to_the_slowest(open_runs: Sequence[Run], others: Iterable[Run]) -> tuple[list[Run], float]:
    """Every run as it stood at the latest moment that all of them have reached, and that moment.

    A record has a line for a request once it has ended. Those that an open run was asked and says nothing of are known
    from the others, by their ids: they are unfinished there.
    """
    runs = [*others, *open_runs]
    t_s = min(last_s(run) if run.footer is None else run.header.horizon_s for run in runs)
    asked = {r.request_id: r for run in runs for r in run.requests if r.intended_s < t_s}
    return [stood(run, t_s, asked.values() if run.footer is None else ()) for run in runs], t_s


def stood(run: Run, t_s: float, asked: Iterable[RequestRecord] = ()) -> Run:
    """A run as if it had been closed at that moment; `asked`: requests that came to it, also those it does not name."""
    known = {r.request_id for r in run.requests}
    mine = [*run.requests, *(_open(r, t_s) for r in asked if r.request_id not in known)]
    header = replace(run.header, horizon_s=t_s, slots=max(1, slots_until(t_s, run.header.slot_s)))
    return replace(
        run,
        header=header,
        requests=tuple(r if r.ended_s <= t_s else _open(r, t_s) for r in mine if r.intended_s < t_s),
        decisions=tuple(d for d in run.decisions if d.t_s <= t_s),
        events=tuple(e for e in run.events if e.t_s <= t_s),
        executors=tuple(e for e in run.executors if e.t_s <= t_s),
        footer=None,
    )


def _open(request: RequestRecord, t_s: float) -> RequestRecord:
    return replace(
        request, t_s=t_s, ended_s=t_s, outcome="unfinished", service_s=None, turn_s=None, output_tokens=0
    )
