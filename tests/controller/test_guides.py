"""Guides that a model may choose from: each routes otherwise than the others, and as its words say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from controller.agents.answers import Asker
from controller.objective import Objective
from controller.schedulers.choice import AS_IT_IS, SPARED, ChoiceScheduler
from controller.scoring import AVOID_S
from edgebed.check.worlds import devices, pods, ready, request
from edgebed.runs.virtual import simulate_in_memory
from edgebed.wiring.reasoners import with_reasoner
from emulation.domain.actions import MacroPolicy, RouteGuide, RoutingDecision
from emulation.domain.cluster import TestbedConfig
from emulation.domain.snapshot import ClusterSnapshot, ExecutorView, NodeView
from emulation.files import load_scenario
from tests.build.fast_path import build_fast_path
from tests.build.meta import Silent

GPUS = ("gpu0", "gpu1", "gpu2")
FASTER = "more to where it is finished first"
SHARES = {"gpt2": dict.fromkeys(GPUS, 1 / 3), "sd": dict.fromkeys(GPUS, 1 / 3)}
POLICY = MacroPolicy(p=SHARES, roles={node: {"gpt2": "gpu", "sd": "gpu"} for node in GPUS})
WAITING = {("gpu0", "gpt2"): 30.0, ("gpu1", "gpt2"): 8.0, ("gpu1", "sd"): 3.0}


def snapshot(bed: TestbedConfig, waiting: Mapping[tuple[str, str], float]) -> ClusterSnapshot:
    """Every executor ready, with these prompts waiting."""
    nodes = []
    for node in bed.nodes:
        views = tuple(
            ExecutorView(
                e.id, node.id, e.models, "ready", "cpu" if node.id == "cpu" else "gpu", {},
                {m: waiting[node.id, m] for m in e.models if (node.id, m) in waiting},
            )
            for e in bed.executors_of(node.id)
        )  # fmt: skip
        nodes.append(NodeView(node.id, 0.0, True, views, 0.0, 0.0, 0))
    return ClusterSnapshot(0.0, 0, tuple(nodes))


def scheduler(bed: TestbedConfig, eta_s: float) -> tuple[ChoiceScheduler, Silent]:
    silent = Silent()
    return ChoiceScheduler(bed, Objective(), Asker("scheduler", silent), "guided", 0, eta_s), silent


def options(
    eta_s: float, bed: TestbedConfig, waiting: Mapping[tuple[str, str], float], policy: MacroPolicy | None
) -> dict[str, RouteGuide]:
    """What could be put to a model, by what it is told."""
    made, _ = scheduler(bed, eta_s)
    hosts = made._hosts.look(snapshot(bed, waiting), policy)
    return {option.told: option.command for option in made._guides(hosts, policy)}


@pytest.mark.parametrize("busy", [False, True])
def test_every_guide_routes_as_it_says_where_weights_count(busy: bool) -> None:
    found = options(5.0, pods(), WAITING, POLICY)
    went: dict[str, str | None] = {}
    for told, guide in found.items():
        path = ready(build_fast_path(pods(), params={"eta_s": 5.0}))
        path.guide(guide)
        for number, node in enumerate(GPUS[1:] if busy else ()):
            sent = RoutingDecision(f"{node}/gpt2", "route", "")
            path.dispatched(request("gpt2", 1 + number, prompts=200), sent, 0.0)
        went[told] = path.route(request("gpt2"), 0.0).executor
    others = {"gpu1/gpt2", "gpu2/gpt2"}
    assert set(went) == {AS_IT_IS, FASTER, SPARED}
    assert went[SPARED] in others, "the fullest node is spared, however long the others take"
    assert went[AS_IT_IS] == "gpu0/gpt2"
    assert busy or went[FASTER] == "gpu2/gpt2"


def test_where_weights_count_for_nothing_only_a_mask_is_put_beside_the_policy() -> None:
    found = options(0.0, pods(), WAITING, POLICY)
    assert list(found) == [AS_IT_IS, SPARED]
    assert found[SPARED].masked - found[AS_IT_IS].masked == {"gpu0/gpt2", "gpu1/sd"}
    path = ready(build_fast_path(pods()))
    went = {}
    for told, guide in found.items():
        path.guide(guide)
        went[told] = path.route(request("gpt2"), 0.0).executor
    assert went[AS_IT_IS] == "gpu0/gpt2" != went[SPARED]


def test_nobody_is_asked_between_guides_of_equal_effect() -> None:
    made, silent = scheduler(pods(), 0.0)
    chosen = made.decide(snapshot(pods(), {}), POLICY)
    assert chosen.reason == f"not asked, one good option: {AS_IT_IS}"
    assert silent.asked == []
    assert set(options(5.0, pods(), {}, POLICY)) == {AS_IT_IS, FASTER}, "no node is fuller than another"


def test_a_device_that_serves_other_models_too_is_weighed_and_not_masked() -> None:
    waiting = {("llm1", "llm"): 50.0, ("sd0", "sdxl"): 500.0}
    guide = options(5.0, devices(), waiting, None)[SPARED]
    assert guide.masked == {"sd0"}
    path = ready(build_fast_path(devices(), params={"eta_s": 5.0}))
    path.guide(guide)
    scores = dict(path.route(request("llm", prompt_tokens=16), 0.0).candidates)
    assert scores["llm0"] < scores["llm1"] < AVOID_S
    assert path.route(request("sdxl"), 0.0).executor in ("llm1", "sd1")


def test_a_node_without_a_weight_has_none_where_others_of_its_model_do() -> None:
    path = ready(build_fast_path(pods(), params={"eta_s": 5.0}))
    path.guide(RouteGuide(weights={("gpt2", "gpu1"): 0.5, ("gpt2", "gpu2"): 0.5}))
    assert path.route(request("gpt2"), 0.0).executor == "gpu1/gpt2"
    left_out = {c for c, score in path.route(request("gpt2"), 0.0).candidates if score > 50.0}
    assert left_out == {"gpu0/gpt2", "cpu/gpt2"}
    assert path.route(request("sd"), 0.0).executor == "gpu0/sd", "a model without weights is not weighed"
    path.guide(RouteGuide())
    assert path.route(request("gpt2"), 0.0).executor == "gpu0/gpt2"


@pytest.mark.parametrize("eta_s", [0.0, 5.0])
def test_a_run_puts_shares_to_its_model_only_where_they_count(eta_s: float) -> None:
    demo = load_scenario("demo").model_copy(update={"slots": 8, "tail_slots": 0})
    settings: dict[str, Any] = {"agents": {"mode": "guided"}, "fast_path": {"eta_s": eta_s}}
    chosen = with_reasoner(demo.model_copy(update={"controllers": {**demo.controllers, **settings}}), "first")
    run = simulate_in_memory(chosen, "MA", 0)
    asked = [
        d.choice["exchange"]["asked"]
        for d in run.decisions
        if d.actor == "scheduler" and "exchange" in d.choice
    ]
    assert any(FASTER in text for text in asked) == (eta_s > 0)
