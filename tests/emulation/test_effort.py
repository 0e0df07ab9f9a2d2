"""What a run would have to do is told before it begins, and too much of it is refused with what to lower."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from emulation.domain.cluster import TestbedConfig
from emulation.domain.complaints import complaint
from emulation.domain.effort import MOST_NODE_SLOTS, MOST_REQUESTS
from emulation.domain.scenario import Scenario
from tests.build.workloads import POISSON, TESTBED

MIX = {"sd": 1}
BURST = {"kind": "burst", "base_rate_per_s": 0.1, "burst_rate_per_s": 1, "on_s": 10, "off_s": 10, "mix": MIX}
PERIODIC = {"kind": "periodic", "interval_s": 1, "count": 10, "models": ["sd"]}
LEAVE = {"kind": "leave", "node": "n1", "at_s": 1, "until_s": float("inf")}
TRACE = {"kind": "trace", "trace": "azure-conv", "mix": MIX}


def told(**changes: Any) -> str:
    """The complaint about a scenario with these fields; empty if there is none."""
    try:
        Scenario.model_validate({"name": "s", "testbed": TESTBED, "workload": [POISSON], **changes})
    except ValidationError as error:
        return complaint(Scenario, error)
    return ""


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"workload": [{**POISSON, "rate_per_s": 1e5}]}, "workload[0]: would make 1.5e+08 requests"),
        ({"workload": [{**BURST, "burst_rate_per_s": 5e4}]}, "workload[0]: would make"),
        ({"workload": [{**BURST, "burst_rate_per_s": 1e5, "on_s": 0.01, "off_s": 999}]}, "arrivals to draw"),
        ({"workload": [{**PERIODIC, "count": 2_000_000}]}, "workload[0].count: must be a whole number from 1"),
        ({"workload": [{**TRACE, "rate_per_s": 1e5}]}, "workload[0]: would make 1.5e+08 requests"),
        ({"workload": [{"kind": "slotted", "k_max": 8}], "slots": 10**6, "tail_slots": 10**6}, "requests"),
        ({"workload": [{"kind": "slotted", "k_max": 10_000}], "slots": 10_000}, "prompts"),
        ({"workload": [{**POISSON, "rate_per_s": 3000}] * 3}, "workload: would make 1.35e+07 requests of all sources"),
        ({"slots": 900_000, "tail_slots": 900_000, "slot_s": 1e6}, "slots x slot_s is 1.8e+12 virtual s"),
        (
            {"slots": 100, "events": [
                {"kind": "ramp", "node": "n1", "at_s": 0, "until_s": 9, "factor": 2, "ramp_s": 5, "steps": 1000}
            ] * 1001},
            "steps",
        ),
    ],
)  # fmt: skip
def test_a_run_that_would_take_hours_is_refused_with_what_to_lower(
    changes: dict[str, Any], what: str
) -> None:
    message = told(**changes)
    assert what in message
    assert "lower" in message or "must be" in message


def test_many_idle_slots_are_no_effort() -> None:
    few = [{"kind": "periodic", "interval_s": 1, "count": 10, "models": ["sd"]}]
    assert told(slots=200_000, workload=few) == ""
    assert MOST_NODE_SLOTS > 200_000 * 16
    assert (
        told(slots=1_000_000, tail_slots=1_000_000, slot_s=0.1, workload=[{**POISSON, "rate_per_s": 1e-3}])
        == ""
    )
    assert told(slots=1, slot_s=1, workload=[{**POISSON, "rate_per_s": 1e5}]) == ""
    assert MOST_REQUESTS >= 100_000


@pytest.mark.parametrize(
    ("source", "field"),
    [
        ({**POISSON, "rate_per_s": float("inf")}, "rate_per_s"),
        ({**POISSON, "rate_per_s": 1e9}, "rate_per_s"),
        ({**POISSON, "rate_per_s": 0}, "rate_per_s"),
        ({**POISSON, "mix": {"sd": float("nan")}}, "mix.sd"),
        ({**POISSON, "mix": {}}, "mix"),
        ({**POISSON, "prompts": [0]}, "prompts[0]"),
        ({**POISSON, "prompts": [-3]}, "prompts[0]"),
        ({**POISSON, "prompts": []}, "prompts"),
        ({**POISSON, "prompts": [1.5]}, "prompts[0]"),
        ({**POISSON, "origins": []}, "origins"),
        ({**POISSON, "origins": ["n1", "n1"]}, "origins: 'n1' is there twice"),
        ({**POISSON, "lengths": {"prompt_tokens": []}}, "lengths.prompt_tokens"),
        ({**POISSON, "lengths": {"output_tokens": [0]}}, "lengths.output_tokens[0]"),
        ({"kind": "slotted", "models": []}, "models"),
        ({"kind": "slotted", "k_max": 2**70}, "k_max"),
        ({**PERIODIC, "interval_s": 0}, "interval_s"),
        ({**TRACE, "rows": 0}, "rows"),
    ],
)
def test_an_absurd_source_is_refused_with_its_field(source: dict[str, Any], field: str) -> None:
    assert told(workload=[source]).startswith(f"workload[0].{field.partition(':')[0]}")
    assert field.partition(":")[2] in told(workload=[source])


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"slot_s": float("inf")}, "slot_s: must be a number from 0.001 to 1,000,000 virtual s, not inf"),
        ({"mismatch_sigma": 500}, "mismatch_sigma: must be a number from 0 to 3"),
        ({"service_cv": 50}, "service_cv: must be a number from 0 to 3"),
        ({"deadline_s": float("inf")}, "deadline_s: must be"),
        ({"slots": 2**70}, "slots: must be a whole number from 1 to 1,000,000 slots, not"),
        ({"epoch_slots": 10**9}, "epoch_slots: must be"),
        ({"slots": True}, "slots: must be a whole number from 1 to 1,000,000 slots, not true"),
        ({"name": "../../x"}, "name: must be a name of letters"),
        ({"name": "a\x1b[31m"}, "name: must be a name of letters"),
        ({"name": "a\n"}, "name: must be a name of letters"),
        ({"name": ".."}, "name: must be"),
        ({"name": "x" * 101}, "at most 100 characters"),
        ({"note": "\x1b]0;x\x07"}, "note: must be text without control characters"),
        ({"plan": {"n1": {"sdx": "gpu"}}}, "plan: n1: unknown model 'sdx'"),
        ({"plan": {"n9": {}}}, "plan names unknown node 'n9'"),
        ({"live": {"speedup": float("nan")}}, "live.speedup: must be"),
        ({"events": [{"kind": "drift", "node": "n1", "model": "sd", "at_s": 1, "until_s": 2, "factors": [2, 2]}]},
         "events[0].factors: 2 factors for a law of one"),
        ({"events": [{"kind": "error", "node": "n1", "at_s": 1, "until_s": 2, "seed": -1}]}, "events[0].seed: must be"),
        ({"events": [{**LEAVE, "at_s": float("inf")}]}, "events[0].at_s: must be"),
        ({"events": [{**LEAVE, "until_s": float("nan")}]}, "1,000,000,000 virtual s, or .inf, not nan"),
    ],
)  # fmt: skip
def test_an_absurd_scenario_is_refused_with_its_field(changes: dict[str, Any], what: str) -> None:
    assert what in told(**changes)


def bed_told(**changes: Any) -> str:
    """The same, about a testbed."""
    try:
        TestbedConfig.model_validate({**TESTBED, **changes})
    except ValidationError as error:
        return complaint(TestbedConfig, error)
    return ""


def law(**changes: Any) -> dict[str, Any]:
    return {"profile": [{**TESTBED["profile"][0], **changes}, *TESTBED["profile"][1:]]}


def node(**changes: Any) -> dict[str, Any]:
    return {"nodes": [{**TESTBED["nodes"][0], **changes}, *TESTBED["nodes"][1:]]}


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        (law(theta=[float("inf"), 1]), "profile[0].theta[0]: must be a number from 0 to 1,000,000"),
        (law(theta=[1e300, 1]), "profile[0].theta[0]"),
        (law(theta=[-1, 1]), "profile[0].theta[0]"),
        (law(theta=[0, 0]), "profile[0]: theta of"),
        ({"profile": [*TESTBED["profile"], TESTBED["profile"][0]]}, "is there twice"),
        (node(id="n2"), "nodes: id 'n2' is there twice"),
        (node(id="../n"), "nodes[0].id: must be a name"),
        (node(cores=0), "nodes[0].cores"),
        (node(speed=float("nan")), "nodes[0].speed"),
        (node(hosting="device", models=[]), "is a device that can serve no model"),
        (node(models=["sd", "sd"]), "models of node 'n1': model 'sd' is there twice"),
        ({"links": [{"a": "edge", "b": "mars"}]}, "links[0] names unknown site 'mars'"),
        ({"links": [{"a": "edge", "b": "edge"}] * 2}, "path between 'edge and edge' is there twice"),
    ],
)
def test_an_absurd_testbed_is_refused_with_its_field(changes: dict[str, Any], what: str) -> None:
    assert what in bed_told(**changes)


def test_a_node_whose_patterns_nobody_can_look_through_is_refused() -> None:
    models = [{"id": f"m{i}", "modality": "text"} for i in range(20)]
    profile = [{"model": m["id"], "mode": mode, "theta": [1.0]} for m in models for mode in ("cpu", "gpu")]
    bed = {"models": models, "profile": profile, "nodes": [{"id": "n", "gpus": [{}]}]}
    assert "can host 20 models in 3.49e+09 patterns" in bed_told(**bed)
    assert bed_told(**{**bed, "nodes": [{"id": "n", "gpus": [{}], "models": ["m0", "m1"]}, {**TESTBED["nodes"][1],
        "hosting": "device", "gpus": [{}]}]}) == ""  # fmt: skip


def test_an_event_behind_the_last_request_is_a_doubt() -> None:
    events = [{**LEAVE, "at_s": 1e6}]
    raw = {"name": "s", "testbed": TESTBED, "workload": [POISSON], "slots": 2}
    assert (
        "events[0] (leave of n1) begins at 1e+06 s"
        in Scenario.model_validate({**raw, "events": events}).doubts()[0]
    )
    assert Scenario.model_validate(raw).doubts() == []
