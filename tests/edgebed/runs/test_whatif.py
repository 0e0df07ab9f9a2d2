"""What-if: the answer comes from another process, which knows the belief and nothing else, and is about right."""

from __future__ import annotations

import ast
import os
import pickle
import signal
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from controller.demand import DemandPrior, estimated
from controller.objective import Objective
from controller.planners.expected import arrivals_of
from controller.planners.given import GivenConfig, GivenPlanner
from controller.planners.search import SearchConfig, SearchPlanner
from controller.whatif import MOST_SLOTS, MOST_WAITING, BelievedWorld
from edgebed.runs import whatif
from edgebed.runs.virtual import simulate, simulate_in_memory
from edgebed.runs.whatif import LowerLayers, WhatIfError, WhatIfProcess
from edgebed.runs.whatif_world import arrivals_of as replayed_arrivals
from edgebed.runs.whatif_world import forecasts
from emulation.domain.actions import MacroPolicy
from emulation.domain.scenario import Scenario
from emulation.domain.snapshot import ClusterSnapshot
from emulation.domain.truth import RequestTruth, WorldTruth
from emulation.files import load_scenario
from emulation.metrics.fairness import EpochResult
from emulation.metrics.summary import summarise
from emulation.recording import MemorySink

BRISTOL = load_scenario("bristol-A")
BELOW = LowerLayers("MA", BRISTOL.controllers)
EMPTY = ClusterSnapshot(0.0, 0, ())


def belief(scenario: Scenario = BRISTOL) -> BelievedWorld:
    terms = Objective.of(scenario)
    demand = estimated(scenario.testbed, terms, DemandPrior(), EMPTY)
    return BelievedWorld(scenario.testbed, terms, arrivals_of(scenario.testbed, terms, EMPTY, demand))


def policy(scenario: Scenario = BRISTOL) -> MacroPolicy:
    config = GivenConfig(plan=scenario.plan or {})
    return GivenPlanner(scenario.testbed, config, 0, Objective.of(scenario)).decide(EMPTY).command


def worse() -> MacroPolicy:
    """Every image on one GPU."""
    good = policy()
    roles = {n: {m: v for m, v in r.items() if m != "sd" or n == "VM3"} for n, r in good.roles.items()}
    return replace(good, p={**good.p, "sd": {"VM3": 1.0}}, roles=roles)


def test_the_other_process_says_what_this_one_would() -> None:
    asked = WhatIfProcess(BELOW).forecast(belief(), [policy(), worse()], 1, 5)
    assert asked == forecasts(BELOW, belief(), [policy(), worse()], 1, 5)
    assert asked[0].objective < asked[1].objective
    shared = whatif._SHARED._process
    assert shared is not None
    assert shared.pid != os.getpid()


@pytest.mark.slow
def test_a_forecast_of_the_given_plan_is_near_what_it_really_comes_to() -> None:
    real = [summarise(simulate_in_memory(BRISTOL, "MA", seed)) for seed in range(3)]
    (said,) = forecasts(BELOW, belief(), [policy()], 2, 0)
    assert said.objective == pytest.approx(sum(r.objective or 0.0 for r in real) / 3, rel=0.15)
    assert said.success["gpt2"] > 0.98
    assert said.success["sd"] < 0.6


def test_a_node_that_is_away_serves_nothing_in_the_what_if_world() -> None:
    (with_all,) = forecasts(BELOW, belief(), [policy()], 1, 0)
    (without,) = forecasts(BELOW, replace(belief(), absent=frozenset({"VM6", "VM7"})), [policy()], 1, 0)
    assert without.success["sd"] < with_all.success["sd"]


def narrow_demo() -> Scenario:
    """Models whose whole context is shorter than a request of a source that states no lengths."""
    demo = load_scenario("demo")
    models = tuple(
        m.model_copy(update={"context_tokens": 1024}) if m.features == "tokens" else m
        for m in demo.testbed.models
    )
    testbed = demo.testbed.model_copy(update={"models": models})
    source = {**demo.workload[0].model_dump(), "max_prompt_tokens": 512}
    return Scenario.model_validate({**dict(demo), "testbed": testbed, "workload": (source,)})


def test_a_model_of_a_short_context_is_emulated_as_any() -> None:
    narrow, demo = narrow_demo(), load_scenario("demo")
    world = belief(narrow)
    full = {
        n.id: {m: narrow.testbed.modes(n.id, m)[0] for m in narrow.testbed.hosted(n.id)}
        for n in narrow.testbed.nodes
    }
    hosts = {m.id: narrow.testbed.routable(m.id) for m in narrow.testbed.models}
    plan = MacroPolicy(p={m: dict.fromkeys(h, 1.0 / len(h)) for m, h in hosts.items()}, roles=full)
    below = LowerLayers("MA", narrow.controllers)
    assert forecasts(below, world, [plan], 1, 0) == forecasts(below, belief(demo), [plan], 1, 0)


def test_waiting_work_makes_a_forecast_worse() -> None:
    waiting = tuple(replace(a, t_s=0.0) for a in belief().arrivals[:200])
    (empty,) = forecasts(BELOW, belief(), [policy()], 1, 0)
    (loaded,) = forecasts(BELOW, replace(belief(), backlog=waiting), [policy()], 1, 0)
    assert loaded.latency_norm > empty.latency_norm


@pytest.mark.slow
def test_a_process_that_is_killed_is_replaced_and_the_answer_is_the_same() -> None:
    ask, few = WhatIfProcess(BELOW), replace(belief(), arrivals=belief().arrivals[:100])
    first = ask.forecast(few, [policy()], 1, 0)
    process = whatif._SHARED._process
    assert process is not None
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert ask.forecast(few, [policy()], 1, 0) == first
    process = whatif._SHARED._process
    assert process is not None
    os.kill(process.pid, signal.SIGSTOP)
    killer = threading.Timer(0.2, process.kill)  # while the question is out
    killer.start()
    assert ask.forecast(few, [policy()], 1, 0) == first
    killer.join()


@pytest.mark.slow
def test_a_process_that_dies_again_and_again_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whatif.sys, "executable", "/bin/true")
    whatif._SHARED.close()
    with pytest.raises(WhatIfError, match="lost"):
        WhatIfProcess(BELOW).forecast(belief(), [policy()], 1, 0)


def test_no_clock_has_a_say_in_virtual_time() -> None:
    for name in ("whatif", "whatif_world", "virtual", "replay"):
        tree = ast.parse((Path(whatif.__file__).parent / f"{name}.py").read_text())
        used = {n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute)}
        used |= {alias.name for n in ast.walk(tree) if isinstance(n, ast.Import) for alias in n.names}
        assert not used & {"time", "datetime", "Timer", "poll_timeout", "monotonic", "perf_counter"}, name


def test_an_endless_epoch_is_judged_by_its_first_slots() -> None:
    small = BRISTOL.model_copy(update={"epoch_slots": 1_000_000})
    assert belief(small).slots == MOST_SLOTS
    assert len(belief(small).arrivals) <= MOST_WAITING
    assert belief(small).arrivals[-1].t_s < MOST_SLOTS * BRISTOL.slot_s
    few = replace(belief(small), arrivals=belief(small).arrivals[:200])
    (said,) = forecasts(BELOW, few, [policy()], 1, 0)
    assert 0.0 < said.objective < 1.0
    waiting = replace(few, backlog=few.arrivals[:1] * (2 * MOST_WAITING))
    assert len(replayed_arrivals(waiting, 0)) <= MOST_WAITING + 2 * 200


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["MA", "MAL"])
def test_a_run_whose_epoch_never_ends_is_over_soon(scheme: str) -> None:
    search = {"search": {"shortlist": 1, "near": 0.0, "draws": 1, "starts": 1}}
    endless = {"epoch_slots": 1_000_000, "slots": 4, "controllers": search, "plan": None}
    world = BRISTOL.model_copy(update=endless)
    run = simulate_in_memory(world, scheme, 0)
    assert [d.cause for d in run.decisions if d.actor == "planner"] == ["epoch 0"]
    assert "emulated" in next(d.reason for d in run.decisions if d.actor == "planner")


class Lost:
    """A what-if that never answers."""

    def forecast(self, *_: Any) -> list[EpochResult]:
        raise WhatIfError("the what-if process was lost: gone")


@pytest.mark.slow
def test_a_planner_without_an_answer_decides_by_its_estimate_and_says_so() -> None:
    parts = (BRISTOL.testbed, SearchConfig(), 0, Objective.of(BRISTOL))
    planner = SearchPlanner(*parts, what_if=Lost())
    alone = SearchPlanner(BRISTOL.testbed, SearchConfig(shortlist=0), 0, Objective.of(BRISTOL))
    choice = planner.decide(EMPTY)
    assert choice.command == alone.decide(EMPTY).command
    assert "gone" in choice.reason


class Spy:
    """Keeps every question, answers like the world."""

    def __init__(self) -> None:
        self.asked: list[BelievedWorld] = []

    def forecast(
        self,
        belief: BelievedWorld,
        policies: Sequence[MacroPolicy],
        draws: int,
        seed: int,
        scheme: str | None = None,
    ) -> list[EpochResult]:
        self.asked.append(belief)
        return [EpochResult(objective=0.1 + 0.01 * i) for i in range(len(policies))]


@pytest.mark.slow
def test_what_is_asked_holds_no_scenario_and_no_truth(monkeypatch: pytest.MonkeyPatch) -> None:
    spy = Spy()
    monkeypatch.setattr(WhatIfProcess, "forecast", lambda _, *asked: spy.forecast(*asked))
    scenario = BRISTOL.model_copy(
        update={
            "name": "sealed-name",
            "plan": None,
            "epoch_slots": 10,
            "slots": 30,
            "tail_slots": 0,
            "mismatch_sigma": 0.8,
        }
    )
    simulate(scenario, "MA", 3, MemorySink())
    assert len(spy.asked) >= 3
    hidden = {cls.__name__.encode() for cls in (Scenario, RequestTruth, WorldTruth)}
    for one in spy.asked:
        content = pickle.dumps(one)
        assert not any(name in content for name in hidden)
        assert scenario.name.encode() not in content
    learned = spy.asked[-1].testbed
    assert any(
        learned.theta(n.id, m, mode) != BRISTOL.testbed.theta(n.id, m, mode)
        for n in BRISTOL.testbed.nodes
        for m in BRISTOL.testbed.hosted(n.id)
        for mode in BRISTOL.testbed.modes(n.id, m)
    )
    assert all(a.t_s >= 0 for a in spy.asked[-1].arrivals)
