"""A run that goes on is steered over HTTP, and its record says what was done by hand."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import pytest

from edgebed.ui.steering.client import Control
from emulation.domain.events import Pause
from emulation.domain.request_id import scenario_id_of
from emulation.metrics.evidence import fault_ledger
from tests.build.live import TOKEN, LiveRun, scenario
from tests.build.waiting import LONG_S, eventually
from workloads.generate import generate
from workloads.load import client_log

T = TypeVar("T")


def told(live: LiveRun, ask: Callable[[Control], Awaitable[T]]) -> T:
    """What the run answers to whoever steers it."""

    async def asked() -> T:
        async with Control(live.cluster.url, TOKEN) as control:
            return await ask(control)

    return asyncio.run(asked())


def state_of(live: LiveRun, event: int) -> str:
    return told(live, lambda c: c.events()).events[event].state


def test_a_pause_that_is_undone_early_lets_go_and_shows_as_what_it_was(begin: Callable[..., Any]) -> None:
    live = begin("sect")
    at_s = live.now_s
    paused = [
        told(live, lambda c, n=node: c.inject({"kind": "pause", "node": n}, 5_000.0))  # type: ignore[misc]
        for node in ("n1", "n2")
    ]
    eventually(lambda: [state_of(live, n) for n in paused] == ["in_force"] * 2)
    with ThreadPoolExecutor(2) as threads:
        sent = [
            threads.submit(live.chat, headers={"X-Request-ID": f"held{i}"}, max_tokens=10, ignore_eos=True)
            for i in range(2)
        ]
        eventually(lambda: live.at_nodes() == 2)
        held_s = live.now_s
        for number in paused:
            told(live, lambda c, n=number: c.undo(n))  # type: ignore[misc]
        assert [s.result(LONG_S).status_code for s in sent] == [200] * 2
    eventually(lambda: [state_of(live, n) for n in paused] == ["over"] * 2)
    footer, run = live.end()
    assert footer.conserved()
    assert all(held_s <= r.ended_s < at_s + 5_000 for r in run.requests)
    lines = {(e.event, e.phase): e.detail.get("by_hand") for e in run.events}
    assert lines == {(n, phase): True for n in paused for phase in ("onset", "undo")}
    events = [Pause(node=n, at_s=at_s, until_s=at_s + 5_000.0) for n in ("n1", "n2")]
    assert not any(row.landed is False for row in fault_ledger(run, events))


def test_a_load_goes_on_at_another_rate_and_no_request_of_it_is_lost(begin: Callable[..., Any]) -> None:
    live = begin("sect")
    begun = told(live, lambda c: c.send(None, 7, 5.0))
    eventually(lambda: live.cluster.progress().arrived >= 3, LONG_S)
    assert told(live, lambda c: c.change_rate(40.0)).running
    due_s = {request.id: request.arrival_s for request, _ in generate(scenario(), 7).items}

    def paces() -> list[float]:
        """Seconds of the scenario per second of the run, from each request that was sent to the next."""
        sent = sorted(
            (r for r in client_log(Path(begun.log)) if r.sent_s is not None), key=lambda r: r.intended_s
        )
        due = [due_s[scenario_id_of(r.request_id)] for r in sent]
        return [
            (later - earlier) / (b.intended_s - a.intended_s)
            for (earlier, later), (a, b) in zip(pairwise(due), pairwise(sent), strict=True)
        ]

    eventually(lambda: paces()[-1:] == [pytest.approx(40.0)], LONG_S)
    assert not told(live, lambda c: c.change_rate(0)).running
    eventually(lambda: len(written(Path(begun.log))) == len(due_s), LONG_S)
    footer, run = live.end()
    assert footer.conserved()
    log = client_log(Path(begun.log))
    sent = [r for r in log if r.sent_s is not None]
    assert Counter(r.request_id for r in sent) == Counter(r.request_id for r in run.requests)
    assert {r.outcome for r in sent} == {"done"}
    assert paces()[0] == pytest.approx(5.0)
    said = [(d.choice["load"]["rate"], d.cause) for d in run.decisions if d.actor == "person"]
    assert said == [(5.0, "by hand"), (40.0, "by hand"), (0.0, "by hand")]


def written(log: Path) -> list[bytes]:
    return log.read_bytes().splitlines() if log.exists() else []
