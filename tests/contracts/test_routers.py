"""Every router of the registry keeps these promises; a new one is checked without a new test."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from controller.fast_path import FastPath
from controller.routers import ROUTERS
from controller.routers.oracle import Oracle
from controller.routers.router import Router
from controller.scoring import AVOID_S, OFF_S
from edgebed.check.law import Law
from edgebed.check.routers import FREE_LAWS, LAWS, RouterSubject
from edgebed.check.worlds import WORLDS, ready, request
from emulation.domain.actions import MacroPolicy, RouteGuide
from emulation.domain.feasibility import guide_violations
from tests.build.fast_path import build_fast_path
from tests.build.sources import statements

FREE = sorted(set(ROUTERS) - {"local", "table"})
"""Routers whose destination nobody prescribes."""


class Truth:
    """A truth that follows from the names."""

    def service_s(self, executor: str, request_id: str) -> float:
        return 1.0 + len(executor) % 3

    def backlog_s(self, executor: str) -> float:
        return float(len(executor) % 5)

    def stutters(self, executor: str, model: str) -> bool:
        return executor.startswith("gpu1")


TRUTH = Truth()


def build(router: str, world: str = "pods", seed: int = 7, **more: Any) -> FastPath:
    truth = TRUTH if router == "oracle" else None
    return ready(build_fast_path(WORLDS[world](), router, seed=seed, truth=truth, **more))


@pytest.fixture(params=sorted(ROUTERS))
def router(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=sorted(WORLDS))
def world(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def subject(router: str, world: str) -> RouterSubject:
    def make(seed: int) -> Router:
        config: Any = ROUTERS[router].Config()
        return Oracle(config, seed, TRUTH) if router == "oracle" else ROUTERS[router](config, seed)

    return RouterSubject(make=make, world=world, unrouted=router == "local")


@pytest.mark.parametrize("law", LAWS, ids=repr)
def test_keeps_every_law_in_every_world(law: Law[RouterSubject], router: str) -> None:
    for world in WORLDS:
        law.look(subject(router, world))


@pytest.mark.parametrize("law", FREE_LAWS, ids=repr)
@pytest.mark.parametrize("name", FREE)
def test_one_whose_destination_nobody_prescribes_keeps_the_laws_of_masks(
    law: Law[RouterSubject], name: str
) -> None:
    for world in WORLDS:
        law.look(subject(name, world))


def test_unknown_model_has_no_host(router: str) -> None:
    assert build(router).route(request("llama"), 0.0).action == "no_host"


def test_refuses_above_the_admission_limit_and_only_then(router: str) -> None:
    path = build(router)
    limits = {m: 1e-3 for m in path.view.pools}
    path.policy(MacroPolicy(p={}, roles={}, admission_limit_s=limits))
    refused = path.route(request("gpt2"), 0.0)
    assert refused.action == "reject"
    assert refused.executor is None
    assert tuple(refused.candidates)
    path.policy(MacroPolicy(p={}, roles={}, admission_limit_s=dict.fromkeys(limits, 1e6)))
    assert path.route(request("gpt2"), 0.0).action == "route"
    path.policy(MacroPolicy(p={}, roles={}))
    assert path.route(request("gpt2"), 0.0).action == "route"


def test_unknown_parameter_is_refused(router: str) -> None:
    with pytest.raises(ValidationError, match="surprise"):
        ROUTERS[router].Config(surprise=1)


def test_no_controller_but_the_oracle_imports_the_truth() -> None:
    sealed = ("emulation.domain.truth", "emulation.engine", "emulation.faults")
    root = Path(__file__).parents[2] / "controller"
    for file in sorted(root.rglob("*.py")):
        for node in statements(file):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or "", *(f"{node.module}.{a.name}" for a in node.names)]
            allowed = file.name == "oracle.py" and file.parent.name == "routers"
            assert allowed or not any(n.startswith(sealed) for n in names), f"{file} imports {names}"


# -- each router's own law ----------------------------------------------------------------------------------


def chosen(path: FastPath, model: str, count: int, **fields: Any) -> list[str]:
    found = []
    for i in range(count):
        wanted = request(model, i, **fields)
        decision = path.route(wanted, wanted.arrival_s)
        path.dispatched(wanted, decision, wanted.arrival_s)
        found.append(str(decision.executor))
    return found


@pytest.mark.parametrize("name", ["round_robin", "uniform"])
def test_each_model_goes_round_its_nodes_in_equal_shares(name: str) -> None:
    picks = chosen(build(name), "gpt2", 8)
    assert picks == [f"{n}/gpt2" for n in ("cpu", "gpu0", "gpu1", "gpu2")] * 2


def test_pointers_of_two_models_do_not_disturb_each_other() -> None:
    path = build("round_robin", "devices")
    mixed = [chosen(path, m, 1)[0] for m in ("llm", "sdxl", "llm", "sdxl", "llm", "sdxl")]
    assert mixed == ["llm0", "llm1", "llm1", "sd0", "llm0", "sd1"]


def test_single_pointer_pins_alternating_types_to_the_first_of_their_kind() -> None:
    testbed = WORLDS["devices"]()
    nodes = [n if n.id != "llm1" else n.model_copy(update={"models": ("llm",)}) for n in testbed.nodes]
    path = build_fast_path(testbed.model_copy(update={"nodes": tuple(nodes)}), "round_robin_single")
    picks = [chosen(path, m, 1)[0] for m in ("llm", "sdxl") * 4]
    assert picks == ["llm0", "sd0"] * 4


def test_random_keeps_one_node_per_origin_model_and_slot() -> None:
    path = build("random")
    by_slot = [{*chosen(path, "gpt2", 5, at_s=30.0 * slot + 3.0)} for slot in range(40)]
    assert all(len(nodes) == 1 for nodes in by_slot)
    assert len(set.union(*by_slot)) == 4


def test_random_does_not_depend_on_what_was_routed_before() -> None:
    late = build("random")
    chosen(late, "sd", 17)
    fresh = build("random")
    assert chosen(late, "gpt2", 1, at_s=95.0) == chosen(fresh, "gpt2", 1, at_s=95.0)
    assert any(
        chosen(build("random", seed=s), "gpt2", 1, at_s=95.0) != chosen(fresh, "gpt2", 1, at_s=95.0)
        for s in range(8)
    )


def test_local_uses_even_a_node_others_leave_out_and_no_other() -> None:
    path = build("local")
    assert chosen(path, "sd", 2, origin="cpu") == ["cpu/sd", "cpu/sd"]
    assert path.route(request("gpt2", origin="elsewhere"), 0.0).action == "no_host"


def test_table_is_followed_where_it_speaks_and_sect_where_it_does_not() -> None:
    path = build("table")
    guide = RouteGuide(table={("gpu0", "gpt2"): "cpu"})
    assert not guide_violations(WORLDS["pods"](), guide)
    path.guide(guide)
    assert chosen(path, "gpt2", 2) == ["cpu/gpt2"] * 2
    decision = path.route(request("gpt2", 9, origin="gpu1"), 0.0)
    assert decision.executor == "gpu0/gpt2"
    assert decision.reason == "sect: no entry"
    path.executor_changed("cpu/gpt2", "away", "off", float("inf"), 0.0)
    assert path.route(request("gpt2", 10), 0.0).reason == "sect: cpu is away"


def test_fixed_heuristic_ignores_backlog_and_learning() -> None:
    assert chosen(build("fixed_heuristic", "devices"), "sdxl", 6) == ["sd0"] * 6


def test_sect_balances_what_the_fixed_heuristic_piles_up() -> None:
    assert set(chosen(build("sect", "devices"), "sdxl", 6)) == {"sd0", "sd1", "llm1"}


def test_least_backlog_counts_seconds_not_speed() -> None:
    path = build("least_backlog")
    assert chosen(path, "gpt2", 4) == ["cpu/gpt2", "gpu0/gpt2", "gpu1/gpt2", "gpu2/gpt2"]
    assert chosen(path, "gpt2", 1) == ["gpu0/gpt2"]


def test_oracle_follows_the_truth_it_was_given() -> None:
    path = build("oracle")
    best = min(
        (f"{n}/gpt2" for n in ("cpu", "gpu0", "gpu1", "gpu2")),
        key=lambda e: TRUTH.service_s(e, "") + TRUTH.backlog_s(e) + (0.5 if e.startswith("cpu") else 0.0),
    )
    decision = path.route(request("gpt2"), 0.0)
    assert decision.executor == best
    assert decision.predicted_s == TRUTH.service_s(best, "")


def test_tiers_are_far_above_any_real_score_and_apart() -> None:
    assert 1e4 < AVOID_S < OFF_S / 100
