"""When within a slot deployment agents look: after its requests were dispatched (the paper), or before."""

from __future__ import annotations

import pytest

from controller.schemes import SCHEMES
from edgebed.runs.virtual import simulate, simulate_in_memory
from emulation.domain.scenario import Scenario, SlotOrder
from emulation.domain.sources import SlottedSource
from emulation.files import load_scenario
from emulation.recording import MemorySink

SLOT_S = 30.0


def bristol(order: SlotOrder, **changes: object) -> Scenario:
    short = {"slots": 4, "tail_slots": 0, "slot_order": order}
    return load_scenario("bristol-A").model_copy(update={**short, **changes})


def starts(order: SlotOrder, scheme: str = "LL") -> list[float]:
    """When the first executors of a backlog-driven deployer began to start."""
    run = simulate_in_memory(bristol(order), SCHEMES[scheme], 0)
    return sorted({e.t_s for e in run.executors if e.state == "starting"})


def test_an_agent_that_looks_after_dispatch_answers_the_work_of_this_very_slot() -> None:
    assert starts("dispatch-first")[0] == 0.0


def test_an_agent_that_looks_before_answers_it_a_slot_later() -> None:
    assert starts("deploy-first")[0] == SLOT_S


def test_the_papers_order_is_the_default() -> None:
    assert load_scenario("bristol-A").slot_order == "dispatch-first"
    assert Scenario.model_fields["slot_order"].default == "dispatch-first"


def test_nobody_waits_for_requests_where_none_come_at_the_begin_of_a_slot() -> None:
    spread = load_scenario("demo")
    assert spread.slot_order == "dispatch-first"
    assert not spread.agents_await_dispatch
    uniform = (SlottedSource(offset="uniform"),)
    assert not bristol("dispatch-first", workload=uniform).agents_await_dispatch
    assert bristol("dispatch-first", workload=(*uniform, SlottedSource())).agents_await_dispatch
    assert not bristol("deploy-first").agents_await_dispatch


def test_who_is_late_in_a_live_run_looks_as_late_in_a_jittered_one_but_not_before_it_begins() -> None:
    late = {"look:planner": 0.2, "look:scheduler": 0.3, "look:deployer:VM3": 0.4}
    sink = MemorySink()
    given = bristol("deploy-first", epoch_slots=2)
    simulate(given, "MA", 0, sink, delay_s=lambda who, _: late.get(who, 0.0))
    looked = {(d.actor, d.cause): d.t_s for d in sink.run().decisions}
    assert looked["planner", "epoch 0"] == looked["scheduler", "slot 0"] == 0.0
    assert looked["planner", "epoch 1"] == pytest.approx(60.2)
    assert looked["scheduler", "slot 1"] == pytest.approx(30.3)
    assert looked["deployer:VM3", "slot 1"] == pytest.approx(30.4)
    assert looked["deployer:VM4", "slot 1"] == 30.0


@pytest.mark.parametrize("order", ["dispatch-first", "deploy-first"])
def test_every_agent_looks_once_per_slot_in_either_order(order: SlotOrder) -> None:
    run = simulate_in_memory(bristol(order), SCHEMES["AL"], 0)
    seen: dict[str, list[str]] = {}
    for decision in (d for d in run.decisions if d.actor != "router"):
        seen.setdefault(decision.actor, []).append(decision.cause)
    assert {actor for actor in seen if actor.startswith("deployer")} == {
        f"deployer:VM{n}" for n in range(2, 8)
    }
    for causes in seen.values():
        assert len(causes) == len(set(causes))
        assert causes[:4] == [f"slot {n}" for n in range(4)]


def test_an_order_that_is_none_is_refused() -> None:
    given = load_scenario("bristol-A").model_dump() | {"slot_order": "deploy first"}
    with pytest.raises(ValueError, match="dispatch-first"):
        Scenario.model_validate(given)
