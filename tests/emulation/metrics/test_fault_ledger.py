from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from emulation.domain.events import (
    Drain,
    Drift,
    Leave,
    LinkDelay,
    LinkLoss,
    LlmOutage,
    NodeKill,
    Ramp,
    ReplicaCrash,
    ReplicaKill,
    Slowdown,
)
from emulation.domain.records import ENDED, SWITCHED, RequestRecord
from emulation.domain.truth import lost
from emulation.metrics.evidence import fault_ledger
from emulation.rng import stream
from tests.build.records import decision, event, request, run, served, state

SLOW = Slowdown(at_s=100, until_s=200, node="n1", factor=3.0)
WINDOW = [event(100, "onset"), event(200, "undo")]


def steady(factor: float = 3.0, step_s: float = 10.0, after: float = 1.0) -> list[RequestRecord]:
    """A batch of 1 to 4 prompts each step, 1 s per prompt, `factor` slower in [100, 200)."""
    found = []
    for i in range(30):
        start_s, prompts = i * step_s, 1 + i % 4
        slow = factor if 100 <= start_s < 200 else (after if start_s >= 200 else 1.0)
        found.append(served(start_s, prompts * slow * 0.8, prompts=prompts))
    return found


def test_a_slowdown_that_landed_and_was_undone_shows_its_factor() -> None:
    (row,) = fault_ledger(run(steady(), events=WINDOW), [SLOW])
    assert row.landed
    assert row.recovered
    assert row.effect == pytest.approx(3.0, rel=0.15)
    assert row.expected == 3.0
    assert (row.onset_s, row.undo_s) == (100, 200)


def test_a_slowdown_that_changed_nothing_did_not_land() -> None:
    (row,) = fault_ledger(run(steady(factor=1.0), events=WINDOW), [SLOW])
    assert row.landed is False
    assert row.effect == pytest.approx(1.0)


def test_a_slowdown_that_never_ended_did_not_recover() -> None:
    (row,) = fault_ledger(run(steady(after=3.0), events=WINDOW), [SLOW])
    assert row.landed
    assert row.recovered is False


def test_a_slowdown_of_an_idle_node_was_not_exercised() -> None:
    requests = [r for r in steady() if not 100 <= r.intended_s < 200]
    (row,) = fault_ledger(run(requests, events=WINDOW), [SLOW])
    assert row.landed is None
    assert "not exercised" in row.note


def test_other_nodes_and_models_are_no_evidence() -> None:
    elsewhere = [served(r.intended_s, 1.0, node="n2") for r in steady()]
    (row,) = fault_ledger(run(elsewhere, events=WINDOW), [SLOW])
    assert row.landed is None
    (row,) = fault_ledger(
        run(steady(), events=WINDOW), [Slowdown(at_s=100, until_s=200, node="n1", model="b", factor=3)]
    )
    assert row.landed is None
    assert row.target == "n1/b"


def test_an_event_that_never_began_did_not_land() -> None:
    (row,) = fault_ledger(run(steady()), [SLOW])
    assert row.landed is False
    assert row.note == "no onset recorded"


def test_an_event_after_the_end_of_the_run_is_not_held_against_it() -> None:
    (row,) = fault_ledger(run(steady()), [Slowdown(at_s=900, until_s=950, node="n1", factor=2)])
    assert row.landed is None
    assert row.note == "never began: the run ended before it"


def test_long_and_short_outputs_are_compared_by_their_law() -> None:
    rng, requests = stream(3, "lengths"), []
    for i in range(60):
        n_in, n_out = int(rng.integers(100, 1000)), int(rng.integers(10, 200))
        slow = 2.0 if 100 <= i * 5 < 200 else 1.0
        noise = float(rng.gamma(100, 0.01))
        service = slow * noise * (0.001 * n_in + 0.02 * n_out)
        requests.append(served(i * 5.0, service, prompt_tokens=n_in, output_tokens=n_out))
    (row,) = fault_ledger(
        run(requests, events=WINDOW), [Slowdown(at_s=100, until_s=200, node="n1", factor=2)]
    )
    assert row.landed
    assert row.recovered
    assert row.effect == pytest.approx(2.0, rel=0.1)


def test_work_that_was_partly_served_before_the_onset_is_corrected_for() -> None:
    base = [served(t, 20.0) for t in np.arange(0.0, 80.0, 20.0)]
    # Nominal 20 s: 6 s of it before the onset, the remaining 14 s of work three times slower.
    caught = served(94.0, 6.0 + 42.0)
    (row,) = fault_ledger(run([*base, caught], events=WINDOW), [SLOW])
    assert row.effect == pytest.approx(3.0)
    assert row.recovered is None


def test_sharing_a_gpu_is_not_mistaken_for_a_slowdown() -> None:
    alone = [served(t, 2.0) for t in (0.0, 10.0, 20.0, 30.0)]
    shared = [
        served(t, 4.4, model=m) for t in (40.0, 50.0, 60.0, 70.0, 110.0, 120.0, 130.0) for m in ("a", "b")
    ]
    (row,) = fault_ledger(
        run(alone + shared, events=WINDOW), [Slowdown(at_s=100, until_s=200, node="n1", factor=2)]
    )
    assert row.landed is False
    assert row.effect == pytest.approx(1.0, rel=0.05)


def test_a_hidden_drift_to_the_end_of_the_run_lands_but_is_still_in_force() -> None:
    (row,) = fault_ledger(
        run(steady(after=3.0), events=WINDOW[:1]), [Drift(at_s=100, until_s=1e6, node="n1", factors=(3.0,))]
    )
    assert row.landed
    assert row.recovered is None
    assert "still in force" in row.note


def test_a_ramp_is_judged_where_it_is_steep_enough() -> None:
    requests = [
        served(i * 5.0, 1.0 + 3.0 * min(1.0, max(0.0, i * 5.0 - 100) / 50) * (i * 5.0 < 200))
        for i in range(60)
    ]
    (row,) = fault_ledger(
        run(requests, events=WINDOW), [Ramp(at_s=100, until_s=200, node="n1", factor=4.0, ramp_s=50)]
    )
    assert row.landed
    assert row.recovered
    assert row.effect == pytest.approx(4.0, rel=0.05)


LEAVE = Leave(at_s=100, until_s=200, node="n1")
AWAY = [state(0, "n1/a", "ready"), state(100, "n1/a", "away"), state(200, "n1/a", "ready")]


def idle_inside() -> list[RequestRecord]:
    return [r for r in steady(factor=1.0) if not 90 <= r.intended_s < 200]


def test_a_leave_lands_when_nothing_is_served_and_the_executors_are_away() -> None:
    (row,) = fault_ledger(run(idle_inside(), events=WINDOW, executors=AWAY), [LEAVE])
    assert row.landed
    assert row.recovered
    assert row.effect == 0


def test_a_leave_with_work_served_inside_did_not_land() -> None:
    (row,) = fault_ledger(run([*idle_inside(), served(150, 2.0)], events=WINDOW, executors=AWAY), [LEAVE])
    assert row.landed is False
    assert row.effect == 1


def test_a_leave_nobody_recorded_did_not_land() -> None:
    (row,) = fault_ledger(run(idle_inside(), events=WINDOW, executors=AWAY[:1]), [LEAVE])
    assert row.landed is False


def test_a_node_that_never_came_back_did_not_recover() -> None:
    requests = [r for r in idle_inside() if r.intended_s < 100]
    (row,) = fault_ledger(run(requests, events=WINDOW, executors=AWAY[:2]), [LEAVE])
    assert row.landed
    assert row.recovered is False


def test_a_crash_is_measured_by_its_seconds_out_of_service() -> None:
    states = [state(0, "n1/a", "ready"), state(100, "n1/a", "starting"), state(210, "n1/a", "ready")]
    crash = ReplicaCrash(at_s=100, until_s=200, node="n1", model="a")
    (row,) = fault_ledger(run(idle_inside(), events=WINDOW, executors=states), [crash])
    assert row.landed
    assert row.recovered
    assert row.effect == pytest.approx(110)


@pytest.mark.parametrize(
    ("last", "recovered", "told"),
    [
        (state(200, "n1/a", "starting"), False, ""),
        (state(285, "n1/a", "starting"), None, "the run ended before it could be ready again"),
        (state(250, "n1/a", "off", "off"), None, "switched off before it was ready again"),
        (state(150, "n1/a", "off", "off"), False, ""),
        (state(150, "n1/a", "away", "off"), None, "another event keeps it away"),
    ],
)
def test_a_crash_whose_executor_is_not_ready_in_the_end(last: Any, recovered: bool | None, told: str) -> None:
    other = [state(0, "n2/a", "starting"), state(10, "n2/a", "ready")]
    states = [*other, state(0, "n1/a", "ready"), state(100, "n1/a", "starting"), last]
    crash = ReplicaKill(at_s=100, until_s=200, node="n1", model="a")
    elsewhere = [replace(r, executor="n2/a") for r in idle_inside()]
    (row,) = fault_ledger(run(elsewhere, events=WINDOW, executors=states), [crash])
    assert (row.landed, row.recovered, row.note) == (True, recovered, told)


def test_a_crash_whose_executor_is_switched_off_meanwhile_has_nothing_to_recover() -> None:
    changes = ((0, "ready"), (100, "starting"), (150, "draining"), (160, "off"))
    crash = ReplicaKill(at_s=100, until_s=200, node="n1", model="a")
    states = [state(t_s, "n1/a", name) for t_s, name in changes]
    (row,) = fault_ledger(run(idle_inside(), events=WINDOW, executors=states), [crash])
    assert (row.landed, row.recovered) == (True, None)
    assert row.note == "switched off before it was ready again"


@pytest.mark.parametrize("first", ["draining", "away"])
def test_a_kill_at_the_instant_at_which_the_node_is_taken_away_is_not_judged(first: str) -> None:
    states = [state(0, "n1/a", "ready"), state(100, "n1/a", first), state(210, "n1/a", "ready")]
    kill = ReplicaKill(at_s=100, until_s=200, node="n1", model="a")
    (row,) = fault_ledger(run(idle_inside(), events=WINDOW, executors=states), [kill])
    assert (row.landed, row.note) == (None, "not exercised: its node was taken away at the same time")


def test_a_crash_of_an_executor_that_was_off_was_not_exercised() -> None:
    crash = ReplicaCrash(at_s=100, until_s=200, node="n1", model="a")
    (row,) = fault_ledger(
        run(idle_inside(), events=WINDOW, executors=[state(0, "n1/a", "off", "off")]), [crash]
    )
    assert row.landed is None


def link(step_s: float = 10.0, extra_s: float = 0.0) -> list[RequestRecord]:
    return [
        request(t, 2.0, origin="n2", transfer_s=0.1 + (2 * extra_s if 100 <= t < 200 else 0.0))
        for t in np.arange(0.0, 300.0, step_s)
    ]


def test_a_link_delay_shows_in_the_transfers_of_the_pairs_that_cross_it() -> None:
    delay = LinkDelay(at_s=100, until_s=200, a="x", b="y", extra_s=0.5)
    sites = {"n1": "x", "n2": "y"}
    (row,) = fault_ledger(run(link(extra_s=0.5), events=WINDOW), [delay], sites)
    assert row.landed
    assert row.recovered
    assert row.effect == pytest.approx(1.0)
    (row,) = fault_ledger(run(link(), events=WINDOW), [delay], sites)
    assert row.landed is False
    (row,) = fault_ledger(run(link(), events=WINDOW), [delay])
    assert row.landed is None


def test_an_outage_of_the_reasoner_shows_in_refused_decisions() -> None:
    outage = LlmOutage(at_s=100, until_s=200)
    late = [
        decision(t, "planner", reasoner="openai", violations=("no answer",) if t == 150 else ())
        for t in (50, 150, 250)
    ]
    (row,) = fault_ledger(run(decisions=late, events=WINDOW), [outage])
    assert row.landed
    assert row.recovered
    (row,) = fault_ledger(run(decisions=[decision(150, "planner")], events=WINDOW), [outage])
    assert row.landed is None


@pytest.mark.parametrize("why", [ENDED, SWITCHED])
def test_what_only_the_end_or_a_switch_overtook_tells_nothing_of_its_reasoner(why: str) -> None:
    outage = LlmOutage(at_s=100, until_s=200)
    failed = decision(150, "planner", reasoner="openai", violations=("no answer",))
    voided = decision(250, "planner", reasoner="openai", violations=(why,), outcome="voided", landed_s=None)
    (row,) = fault_ledger(run(decisions=[failed, voided], events=WINDOW), [outage])
    assert row.landed
    assert row.recovered is None, "nobody was asked afterwards"
    wrong = replace(voided, violations=("no answer", why))
    (row,) = fault_ledger(run(decisions=[failed, wrong], events=WINDOW), [outage])
    assert row.recovered is False


LOSS = LinkLoss(at_s=100, until_s=200, a="x", b="y", rate=0.5, retry_s=4.0)


def losing(whom: tuple[float, float] = (100, 200)) -> list[RequestRecord]:
    """Requests over a link that in these seconds loses the first try of those that are to lose it."""
    found = []
    for t in np.arange(0.0, 300.0, 5.0):
        hit = whom[0] <= t < whom[1] and lost(LOSS, 0, f"r{t:g}", 1, "up", 0, 100.0)
        found.append(request(t, 2.0, origin="n2", request_id=f"r{t:g}", transfer_s=4.1 if hit else 0.1))
    return found


def test_a_loss_shows_in_those_that_had_to_be_sent_again() -> None:
    sites = {"n1": "x", "n2": "y"}
    (row,) = fault_ledger(run(losing(), events=WINDOW), [LOSS], sites)
    assert (row.landed, row.recovered, row.expected) == (True, True, 0.5)
    assert row.effect == pytest.approx(0.5, abs=0.35)
    (row,) = fault_ledger(run(losing((0, 0)), events=WINDOW), [LOSS], sites)
    assert row.landed is False
    (row,) = fault_ledger(run(losing((100, 300)), events=WINDOW), [LOSS], sites)
    assert row.recovered is False
    (row,) = fault_ledger(run(losing(), events=WINDOW), [LOSS], {"n1": "x", "n2": "z"})
    assert row.landed is None
    assert "not exercised" in row.note


def test_a_drain_allows_what_was_in_service_to_finish_and_nothing_to_begin() -> None:
    drain = Drain(at_s=100, until_s=200, node="n1")
    (row,) = fault_ledger(run([*idle_inside(), served(98, 9.0)], events=WINDOW, executors=AWAY), [drain])
    assert (row.landed, row.recovered) == (True, True)
    (row,) = fault_ledger(run([*idle_inside(), served(150, 2.0)], events=WINDOW, executors=AWAY), [drain])
    assert row.landed is False
    noticed = Drain(at_s=100, until_s=200, node="n1", notice_s=5)
    (row,) = fault_ledger(run([*idle_inside(), served(98, 9.0)], events=WINDOW, executors=AWAY), [noticed])
    assert row.landed is False, "it was served after the node had left"


def test_killed_processes_are_judged_as_what_they_leave_behind() -> None:
    (row,) = fault_ledger(
        run(idle_inside(), events=WINDOW, executors=AWAY), [NodeKill(at_s=100, until_s=200, node="n1")]
    )
    assert (row.landed, row.recovered) == (True, True)
    states = [state(0, "n1/a", "ready"), state(100, "n1/a", "starting"), state(210, "n1/a", "ready")]
    kill = ReplicaKill(at_s=100, until_s=200, node="n1", model="a")
    (row,) = fault_ledger(run(idle_inside(), events=WINDOW, executors=states), [kill])
    assert (row.landed, row.recovered, row.effect) == (True, True, pytest.approx(110))
