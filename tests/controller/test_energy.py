"""Where energy is weighed, less of it is used; where it is not, nothing changes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from controller.capacity import role_table
from controller.demand import DemandPrior, estimated
from controller.energy import above_idle_w, plan_energy_kj
from controller.objective import Objective
from controller.planners.moves import Moves, MovesConfig, candidate_roles
from edgebed.runs.virtual import simulate_in_memory
from edgebed.wiring.controllers import build_controllers
from edgebed.wiring.identity import identity_of, plain_scenario
from edgebed.wiring.parts import find_scheme
from emulation.domain.cluster import TestbedConfig
from emulation.domain.scenario import Scenario
from emulation.domain.snapshot import ClusterSnapshot
from emulation.files import ConfigError, load_testbed
from emulation.metrics.summary import Summary, summarise
from tests.build.fakes import device_testbed, request
from tests.build.small import small_scenario

STATED = {"tier": "estimate", "source": "test"}


def entry(node: str | None, mode: str, watts: float) -> dict[str, Any]:
    """Watts as a file states them."""
    return {"node": node, "mode": mode, "watts": watts, **STATED}


def two_devices() -> TestbedConfig:
    """`d0` is twice as fast and draws ten times as much above idle as `d1`."""
    plain = device_testbed(unit_s=2.0, nodes=2).model_dump()
    plain["nodes"][0]["speed"] = 2.0
    plain["power"] = [entry(None, "idle", 10), entry("d0", "gpu", 510), entry("d1", "gpu", 60)]
    return TestbedConfig.model_validate(plain)


def scenario(weight: float, **changes: Any) -> Scenario:
    """Few requests on the two devices."""
    fields: dict[str, Any] = {
        "name": "two", "testbed": two_devices(), "energy_weight": weight, "slot_s": 20, "slots": 10,
        "epoch_slots": 5, "deadline_s": 100,
        "workload": [{"kind": "poisson", "rate_per_s": 0.2, "mix": {"m": 1.0}}],
    }  # fmt: skip
    return Scenario.model_validate({**fields, **changes})


def summary(weight: float, scheme: str = "sect") -> Summary:
    """What comes of a weight."""
    drawn = scenario(weight)
    return summarise(simulate_in_memory(drawn, scheme, 1), drawn.testbed)


@pytest.mark.parametrize("scheme", ["sect", "e3", "oracle"])
def test_a_weight_lowers_energy_and_costs_latency(scheme: str) -> None:
    none, some = summary(0.0, scheme), summary(1.0, scheme)
    assert none.energy_request_j is not None
    assert some.energy_request_j is not None
    assert none.mean_latency_s is not None
    assert some.mean_latency_s is not None
    assert some.energy_request_j < 0.7 * none.energy_request_j
    assert some.mean_latency_s > none.mean_latency_s
    assert some.success_ratio == none.success_ratio == 1.0


def test_a_weight_changes_what_it_should_by_what_a_joule_is_worth() -> None:
    """500 J on d0 in 1 s, 100 J on d1 in 2 s: d1 from where 400 J are worth the second that it takes longer."""
    scale_s, weight = 100.0, 0.5
    bar = 1000.0 * weight / (scale_s * 400.0)
    for factor, host in ((0.9, "d0"), (1.1, "d1")):
        drawn = scenario(bar * factor)
        path = build_controllers(find_scheme("sect"), drawn, 1).fast_path
        assert path.route(request(0, 0.0), 0.0).executor == host


def test_without_a_weight_scores_do_not_know_of_watts() -> None:
    plain = two_devices().model_copy(update={"power": ()})
    runs = [simulate_in_memory(scenario(0.0, testbed=bed), "e3", 2) for bed in (two_devices(), plain)]
    assert runs[0] == runs[1]


# -- the planner


def moves(weight: float) -> Moves:
    """The search of the demo's planner."""
    bed = load_testbed("demo")
    terms = Objective(slot_s=20, epoch_slots=8, slots=8, deadline_s=120, energy_weight=weight)
    demand = estimated(bed, terms, DemandPrior(), ClusterSnapshot(0.0, 0, ()))
    table = role_table(bed, [candidate_roles(bed, n.id, terms) for n in bed.nodes])
    above_w = above_idle_w(bed) if weight else None
    return Moves(table, demand, terms, MovesConfig(sweeps=2, pair_width=0), np.ones(len(bed.nodes)), above_w)


def test_a_plan_that_is_searched_with_a_weight_takes_less_energy() -> None:
    free, weighed = moves(0.0), moves(1.0)
    start = free._table.first
    best, frugal = free.descend(start), weighed.descend(start)
    of = weighed.worth(np.array([best, frugal]))
    assert of.energy[1] < of.energy[0]
    assert of.objective[1] >= of.objective[0]


def test_energy_of_plans_is_not_negative_and_halves_with_the_watts() -> None:
    search = moves(1.0)
    rng = np.random.default_rng(0)
    plans = np.stack([search._table.first + rng.integers(search._table.count) for _ in range(50)])
    capacity = search.capacity(plans)
    success = search.worth(plans).success
    above_w = above_idle_w(load_testbed("demo"))
    whole, half = (
        plan_energy_kj(search._table, watts, plans, capacity, search._demand, success)
        for watts in (above_w, above_w / 2)
    )
    assert (whole >= 0).all()
    assert whole.max() > 0
    assert half == pytest.approx(whole / 2)


def test_refusing_work_saves_no_energy() -> None:
    """Of a plan and the same without one of its models, the second takes no less."""
    search = moves(1.0)
    table = search._table
    start = search.descend(table.first)
    nothing = table.rows_of({}, [n.id for n in load_testbed("demo").nodes])
    idle = [r for r in range(len(table.roles)) if not any(mode != "off" for mode in table.roles[r].values())]
    assert set(nothing) <= set(idle)
    of = search.worth(np.array([start, nothing]))
    assert of.energy[1] > of.energy[0]


@pytest.mark.parametrize("weight", [0.0, 0.5])
def test_a_planner_that_weighs_energy_plays_to_the_end(weight: float) -> None:
    drawn = small_scenario(slots=8, epoch_slots=4, energy_weight=weight)
    run = simulate_in_memory(drawn, "MA", 0)
    assert run.footer is not None
    assert run.footer.conserved()


# -- what may be stated


def test_a_scenario_without_a_weight_is_the_experiment_that_it_was() -> None:
    plain = plain_scenario(scenario(0.0))
    assert "energy_weight" not in plain
    assert "power" not in plain["testbed"]


def test_watts_are_part_of_the_experiment_where_they_decide() -> None:
    twice = two_devices().model_dump()
    twice["power"][1]["watts"] *= 2
    one, other = scenario(1.0), scenario(1.0, testbed=twice)
    assert identity_of(one).testbed != identity_of(other).testbed
    assert identity_of(one).scenario != identity_of(scenario(0.0)).scenario


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"testbed": device_testbed()}, "needs the testbed's watts: state power of 'd0' in mode idle"),
        ({"objective_weight": 0.0}, "objective_weight must be above 0"),
        ({"energy_weight": -1.0}, "must be a number from 0"),
    ],
)
def test_a_weight_that_cannot_be_meant_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        scenario(**{"weight": 1.0, **changes} if "energy_weight" not in changes else {"weight": -1.0})


def test_a_parameter_of_the_fast_path_needs_watts_too() -> None:
    given = {"fast_path": {"energy_s_per_j": 0.01}}
    drawn = scenario(0.0, testbed=device_testbed(), controllers=given)
    with pytest.raises(ConfigError, match="energy_s_per_j 0.01 needs the testbed's watts"):
        build_controllers(find_scheme("sect"), drawn, 0)
