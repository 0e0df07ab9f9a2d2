"""A fast path that goes on in the place of another: what it knows of the world, and what it follows no more."""

from __future__ import annotations

import pickle
from math import inf
from typing import Any

import pytest

from controller.schemes import SCHEMES
from edgebed.wiring.controllers import build_controllers
from emulation.domain.actions import MacroPolicy, RouteGuide
from emulation.domain.measured import Measured
from emulation.domain.ports import Completion
from emulation.domain.request import Request
from emulation.domain.scenario import Scenario
from emulation.files import load_scenario


def made(scheme: str) -> Any:
    """The fast path of a scheme on the demo, as it goes to a gateway."""
    world: Scenario = load_scenario("demo")
    return pickle.loads(pickle.dumps(build_controllers(SCHEMES[scheme], world, 1).fast_path))


def up(scheme: str) -> Any:
    """One that has heard that every executor is up, and of nothing else."""
    path = made(scheme)
    for executor in list(path.innermost.view.beliefs):
        mode = "gpu" if executor.split("/")[0] != "cpu-server" else "cpu"
        path.executor_changed(executor, "ready", mode, 0.0, 0.0)
    return path


def used(scheme: str) -> Any:
    """One that has been in use for ten seconds: three requests are in flight, one is done."""
    path = up(scheme)
    for number in range(4):
        request = Request(f"r{number}", "gpt2", "arc-b60", float(number), inf, 1, 50, None)
        decision = path.route(request, float(number))
        if decision.executor is None:
            decision = _somewhere(path, request, float(number))
        path.dispatched(request, decision, float(number))
        if number == 0:
            took = Measured(
                attempt=1, executor=decision.executor, mode="gpu", output_tokens=90, started_s=0.0, service_s=8.0,
                turn_s=8.0, turn_prompts=1, prompts_done=1,
            )  # fmt: skip
            path.completed(Completion(request, decision.executor, "done", 8.0, took))
    return path


def _somewhere(path: Any, request: Request, now_s: float) -> Any:
    """Where a routing table is followed, and there is none yet: to the first node."""
    path.guide(RouteGuide(table={(request.origin, request.model): "arc-b60"}))
    return path.route(request, now_s)


def waits(path: Any) -> dict[str, float]:
    return {b.executor: round(b.wait_s, 9) for b in path.believed(10.0)}


def laws(path: Any) -> dict[str, list[float]]:
    """Model to the service time that is believed of one request on each executor, seconds."""
    pools = path.innermost.view.pools.items()
    return {
        m: [pool.service_s(column, (50.0, 100.0)) for column in range(len(pool.names))] for m, pool in pools
    }


@pytest.mark.parametrize("old", ["AL", "MA", "e3", "e3-alone", "sect", "round-robin"])
@pytest.mark.parametrize("new", ["AL", "e3", "sect", "e3-nnls", "e3-alone"])
def test_what_is_in_flight_is_in_view_and_its_ends_are_heard(old: str, new: str) -> None:
    before, path = used(old), made(new)
    there = {name: list(b.backlog.entries) for name, b in before.innermost.view.beliefs.items()}
    path.take_over(before)
    assert {name: list(b.backlog.entries) for name, b in path.innermost.view.beliefs.items()} == there
    for executor, ids in there.items():
        for request_id in ids:
            request = Request(request_id, "gpt2", "arc-b60", 1.0, inf, 1, 50, None)
            path.completed(Completion(request, executor, "error", 12.0, Measured()))
    assert set(waits(path).values()) == {0.0}, "nothing is left in its books"


def test_where_both_learn_with_the_same_model_predictions_stay_and_elsewhere_they_are_the_profiles() -> None:
    before, kept, fresh = used("e3-alone"), made("e3"), made("sect")
    waited = waits(before)
    kept.take_over(before)
    assert waits(kept) == waited
    fresh.take_over(kept)
    assert laws(fresh) == laws(up("sect"))


def test_lengths_of_answers_stay_known() -> None:
    before, path = used("AL"), made("sect")
    path.take_over(before)
    assert path.innermost.lengths.expected_tokens("gpt2") == 90.0


def test_nothing_that_was_decided_is_followed_any_more() -> None:
    before, path = used("sect"), made("sect")
    names = list(before.innermost.view.beliefs)
    before.guide(RouteGuide(masked=frozenset(names[:1]), table={("arc-b60", "gpt2"): "thinkedge"}))
    before.policy(MacroPolicy(p={}, roles={}, admission_limit_s={"gpt2": 0.001}))
    before.set_risky(names[1], True)
    path.take_over(before)
    assert path.limits_s() == {}
    assert path.innermost.view.table == {}
    assert not any(b.risky or b.masked for b in path.believed(10.0))
