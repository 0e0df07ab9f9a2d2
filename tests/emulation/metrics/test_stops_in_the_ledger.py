"""The ledger on pauses and errors: by hand, in simulated runs, and of ones only claimed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from edgebed.runs.replay import replay
from edgebed.runs.virtual import simulate_in_memory
from emulation.domain.events import Error, Event, Pause
from emulation.domain.records import EventRecord, RequestRecord
from emulation.domain.truth import fails
from emulation.files import load_scenario
from emulation.metrics.evidence import fault_ledger
from emulation.metrics.view import node_of
from emulation.recording import Run
from tests.build.records import event, request, run, served, state

DEMO = load_scenario("demo")
PAUSE = Pause(at_s=100, until_s=200, node="n1")
ERROR = Error(at_s=100, until_s=200, node="n1")
WINDOW = [event(100, "onset"), event(200, "undo")]


def steady(*, until_s: float = 100.0, step_s: float = 10.0) -> list[RequestRecord]:
    """One request each step before the window and after it, 5 s each."""
    starts = [i * step_s for i in range(30)]
    return [served(t, 5.0, request_id=f"steady{t:g}") for t in starts if t < until_s or t >= 220.0]


def caught(end_s: float, **changes: Any) -> RequestRecord:
    """A request in service when the window begins."""
    return served(98.0, end_s - 98.0, **changes)


def waited(start_s: float = 205.0, enqueued_s: float = 110.0) -> RequestRecord:
    """A request that waited through the window."""
    return request(enqueued_s, start_s + 5.0 - enqueued_s, started_s=start_s, service_s=5.0)


def test_a_pause_shows_in_work_that_waited_beside_an_idle_executor() -> None:
    (row,) = fault_ledger(run([*steady(), waited()], events=WINDOW), [PAUSE])
    assert (row.landed, row.recovered, row.unit) == (True, True, "s stood still")
    assert row.effect == row.expected == pytest.approx(90.0)


def test_a_pause_shows_in_the_service_time_of_the_request_it_caught() -> None:
    (row,) = fault_ledger(run([*steady(), caught(203.0)], events=WINDOW), [PAUSE])
    assert row.landed
    assert row.recovered
    assert row.effect == pytest.approx(100.0, rel=0.02)


def test_a_pause_in_which_work_went_on_did_not_land() -> None:
    (row,) = fault_ledger(run([*steady(until_s=1000.0), waited()], events=WINDOW), [PAUSE])
    assert row.landed is False
    assert "began or ended inside" in row.note


def test_a_pause_without_work_was_not_exercised() -> None:
    (row,) = fault_ledger(run(steady(), events=WINDOW), [PAUSE])
    assert (row.landed, row.effect) == (None, None)
    assert "not exercised" in row.note


def test_work_that_waits_for_an_executor_that_is_off_is_no_evidence_of_a_pause() -> None:
    states = [state(0, "n1/a", "ready"), state(95, "n1/a", "off", "off"), state(199, "n1/a", "ready")]
    (row,) = fault_ledger(run([*steady(until_s=90.0), waited()], events=WINDOW, executors=states), [PAUSE])
    assert row.expected == pytest.approx(1.0), "only the last second of the window"


def test_a_pause_that_never_ended_did_not_recover() -> None:
    stuck = replace(waited(), started_s=None, service_s=None, outcome="expired", ended_s=260.0, t_s=260.0)
    before = [served(t, 5.0) for t in range(0, 90, 10)]
    (row,) = fault_ledger(run([*before, stuck], events=WINDOW), [PAUSE])
    assert (row.landed, row.recovered) == (True, False)
    again = Pause(at_s=200, until_s=300, node="n1")
    events = [*WINDOW, event(200, "onset", 1), event(300, "undo", 1)]
    (first, _) = fault_ledger(run([*before, stuck], events=events), [PAUSE, again])
    assert first.recovered is None, "the next pause holds it as well"


def errors(count: int, rate: float, event_index: int = 0) -> list[RequestRecord]:
    """One request each second of the window; those fail that have to, which hangs on what they are called."""
    found = []
    for i in range(count):
        one = served(100.5 + i, 0.2, request_id=f"hit{i}")
        if fails(rate, 0, event_index, one.request_id, 1):
            one = replace(
                one, outcome="error", started_s=None, service_s=None, ended_s=100.5 + i, t_s=100.5 + i
            )
        found.append(one)
    return found


def test_an_error_shows_the_share_that_failed() -> None:
    event_ = Error(at_s=100, until_s=200, node="n1", rate=0.5)
    (row,) = fault_ledger(run([*steady(), *errors(90, 0.5)], events=WINDOW), [event_])
    assert (row.landed, row.recovered, row.expected) == (True, True, 0.5)
    assert row.effect == pytest.approx(0.5, abs=0.2)


def test_one_request_that_had_to_fail_and_did_not_is_enough_to_say_that_it_did_not_land() -> None:
    hit = errors(10, 1.0)
    hit[3] = served(103.5, 0.2)
    (row,) = fault_ledger(run([*steady(), *hit], events=WINDOW), [ERROR])
    assert row.landed is False
    assert "had to fail" in row.note


def test_an_error_that_met_nobody_was_not_exercised() -> None:
    (row,) = fault_ledger(run(steady(), events=WINDOW), [ERROR])
    assert row.landed is None


def test_an_error_that_went_on_did_not_recover() -> None:
    after = [
        replace(r, started_s=None, service_s=None, outcome="error") if r.intended_s > 205 else r
        for r in steady()
    ]
    (row,) = fault_ledger(run([*after, *errors(10, 1.0)], events=WINDOW), [ERROR])
    assert (row.landed, row.recovered) == (True, False)


def demo(*events: Event, scheme: str = "sect", seed: int = 1) -> Run:
    """The demo with this plan."""
    return simulate_in_memory(DEMO.model_copy(update={"events": events}), scheme, seed)


def claimed(kind: str, node: str) -> tuple[EventRecord, ...]:
    """Records of an event that never was."""
    return (
        EventRecord(130, 0, kind, node, "onset", True),
        EventRecord(200, 0, kind, node, "undo", True),
    )


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("kind", [Pause, Error])
@pytest.mark.parametrize("node", ["arc-b60", "jetson-thor"])
def test_a_stop_is_told_from_a_claim_of_one(kind: type[Pause | Error], node: str, seed: int) -> None:
    event_ = kind(node=node, at_s=130, until_s=200)
    (real,) = fault_ledger(demo(event_, seed=seed), [event_])
    assert (real.landed, real.recovered) == (True, True)
    assert real.effect == pytest.approx(real.expected, rel=0.1)
    (claim,) = fault_ledger(replace(demo(seed=seed), events=claimed(real.type, node)), [event_])
    assert claim.landed is False


@pytest.mark.slow
def test_every_scheme_and_the_replay_see_the_same_requests_fail() -> None:
    event_ = Error(node="jetson-thor", at_s=100, until_s=220, rate=0.5)
    scenario = DEMO.model_copy(update={"events": (event_,)})
    verdicts: dict[str, set[str]] = {}
    for scheme in ("sect", "AL", "MA"):
        found = simulate_in_memory(scenario, scheme, 1)
        failed = {r.request_id for r in found.requests if r.outcome == "error"}
        began = {
            r.request_id
            for r in found.requests
            if r.executor and node_of(r.executor) == "jetson-thor" and 100 < (r.started_s or 0) < 220
        }
        assert failed
        assert all(fails(0.5, 0, 0, i, 1) for i in failed)
        assert not any(fails(0.5, 0, 0, i, 1) for i in began)
        again = replay(found, scenario)
        assert {r.request_id for r in again.requests if r.outcome == "error"} == failed
        verdicts[scheme] = failed
        (row,) = fault_ledger(found, [event_])
        assert row.landed
    assert verdicts["sect"] & verdicts["AL"], "where two schemes sent the same request there, it failed twice"
