"""A slot in which nothing can change costs next to nothing, and changes nothing in the record."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controller.deployers import DEPLOYERS
from controller.deployers.full import FullDeployer
from controller.deployers.lyapunov import LyapunovDeployer
from controller.loop import ControlLoop
from edgebed.check.views import random_view
from edgebed.runs.virtual import simulate
from emulation.domain.ports import DeploymentAgent
from emulation.domain.scenario import Scenario
from emulation.files import load_scenario
from emulation.recording import MemorySink, encode
from tests.build.random_scenarios import scenarios

_quiet = settings(derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))


def record_of(scenario: Scenario, scheme: str, seed: int) -> bytes:
    sink = MemorySink()
    simulate(scenario, scheme, seed, sink)
    return b"".join(encode(r) for r in sink.records)


def on_pods(scenario: Scenario) -> bool:
    """Whether anybody decides per slot: devices are always on, and a run on them would be the same run twice."""
    return any(node.hosting == "pods" for node in scenario.testbed.nodes)


@pytest.mark.slow
@settings(_quiet, max_examples=12)
@given(scenarios().filter(lambda world: on_pods(world[0])), st.integers(0, 99))
def test_what_is_not_asked_again_would_have_said_the_same(world: tuple[Scenario, str], seed: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        saved = record_of(*world, seed)
        patch.setattr(ControlLoop, "repeats", property(lambda _: False))
        assert record_of(*world, seed) == saved


def idle(slots: int) -> Scenario:
    """A request now and then, pods that stay on, one that stands still with work before it, two events."""
    raw: dict[str, Any] = dict(load_scenario("demo")) | {
        "slots": slots,
        "tail_slots": 0,
        "workload": [{"kind": "poisson", "rate_per_s": 0.001, "mix": {"gpt2": 1, "sd": 1}}],
        "events": [
            {"kind": "pause", "node": "arc-b60", "at_s": 100, "until_s": 2000},
            {"kind": "leave", "node": "thinkedge", "at_s": 1000, "until_s": 3000},
        ],
    }
    return Scenario.model_validate(raw)


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["AL", "LL", "MA", "RF"])
def test_idle_slots_are_decided_alike_without_being_thought_about(scheme: str) -> None:
    world = idle(24 if scheme == "MA" else 400)  # MA's planner thinks long at every epoch
    saved = record_of(world, scheme, 0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ControlLoop, "repeats", property(lambda _: False))
        assert record_of(world, scheme, 0) == saved


def times_asked(kind: type[DeploymentAgent], scenario: Scenario, scheme: str) -> int:
    """How often deployers of a kind decide in a run."""
    asked = 0

    def counted(self: Any, view: Any, decide: Any = kind.decide) -> Any:
        nonlocal asked
        asked += 1
        return decide(self, view)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kind, "decide", counted)
        record_of(scenario, scheme, 0)
    return asked


def test_nobody_decides_in_an_idle_slot() -> None:
    assert 0 < times_asked(LyapunovDeployer, idle(2000), "AL") < 2000, "of 8000 node slots"


@pytest.mark.parametrize("name", [n for n, kind in DEPLOYERS.items() if kind.repeats])
def test_who_says_that_it_repeats_itself_does(name: str) -> None:
    bed = load_scenario("demo").testbed
    for node in (n.id for n in bed.nodes if n.hosting == "pods"):
        kind: Any = DEPLOYERS[name]
        deployer = kind(bed, node, kind.Config(), 1)
        views = [random_view(bed, node, seed) for seed in range(12)]
        first = [deployer.decide(view) for view in views]
        assert [deployer.decide(view) for view in reversed(views)] == first[::-1]


@pytest.mark.parametrize("name", [n for n, kind in DEPLOYERS.items() if kind.blind])
def test_who_says_that_it_is_blind_is(name: str) -> None:
    bed = load_scenario("bristol-A").testbed
    for node in bed.nodes:
        kind: Any = DEPLOYERS[name]
        deployer = kind(bed, node.id, kind.Config(), 1)
        chosen = [deployer.decide(random_view(bed, node.id, seed)) for seed in range(20)]
        assert chosen == [chosen[0]] * len(chosen)


def test_nobody_looks_for_one_that_is_blind_once_all_it_wants_is_in_force() -> None:
    scenario = load_scenario("bristol-A")
    assert times_asked(FullDeployer, scenario, "RF") == 2 * len(scenario.testbed.nodes)
