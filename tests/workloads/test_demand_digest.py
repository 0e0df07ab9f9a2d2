"""What a scenario asks for, as a digest: it follows its sources, and nothing that the testbed decides which stands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from emulation.domain.scenario import Scenario
from emulation.files import list_scenarios, load_scenario
from tests.build.workloads import POISSON, SLOTTED, TESTBED, scenario
from workloads.demand_digest import demand_digest

AS_ANOTHER_STANDS: dict[str, Any] = {
    "live": {"speedup": 7.0, "gateways": 2},
    "deadline_s": 5,
    "length_knowledge": "predicted",
    "controllers": {"agents": {"reasoner": "rules"}},
    "testbed": {**TESTBED, "name": "other"},
}


def test_how_a_testbed_stands_changes_nothing() -> None:
    assert demand_digest(scenario(SLOTTED, **AS_ANOTHER_STANDS)) == demand_digest(scenario(SLOTTED))


@pytest.mark.parametrize(
    "changes",
    [
        {"workload": [{**POISSON, "rate_per_s": 3.0}]}, {"workload": [POISSON, POISSON]}, {"slots": 24}, {"slot_s": 21},
        {"tail_slots": 4}, {"live": {"stream_share": 0.5}},
    ],
    ids=str,
)  # fmt: skip
def test_whatever_other_requests_follow_from_changes_it(changes: dict[str, Any]) -> None:
    assert demand_digest(scenario(POISSON, **changes)) != demand_digest(scenario(POISSON))


def test_packaged_scenarios_are_told_apart_by_it() -> None:
    asked = {name: demand_digest(load_scenario(name)) for name in list_scenarios()}
    assert asked["demo"] not in [digest for name, digest in asked.items() if name != "demo"]


def test_a_trace_counts_by_its_content(tmp_path: Path) -> None:
    rows = "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:17:03.0,1,2\n"
    for name, text in (("a", rows), ("b", rows), ("c", rows.replace("1,2", "1,3"))):
        (tmp_path / name).mkdir()
        (tmp_path / name / "trace.csv").write_text(text)

    def traced(name: str) -> Scenario:
        return scenario({"kind": "trace", "trace": str(tmp_path / name / "trace.csv"), "mix": {"gpt2": 1.0}})

    assert demand_digest(traced("a")) == demand_digest(traced("b")) != demand_digest(traced("c"))
