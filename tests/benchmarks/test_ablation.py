"""The ablation's schemes are `fused` but for one thing each, and its plan can be made."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from benchmarks import ablation
from controller.schemes import SCHEMES, Scheme
from edgebed.matrix.plan import load_plan
from edgebed.wiring.controllers import build_controllers
from emulation.files import load_scenario

ROWS = [row for row in vars(ablation).values() if isinstance(row, Scheme) and row.name != "fused"]
MORE_THAN_ONE = {"without-admission": 2, "without-planner": 4}
"""Fields that differ where it takes more than one to take a part away."""


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_each_differs_from_the_whole_in_one_part_and_can_be_built(row: Scheme) -> None:
    whole = SCHEMES["fused"]
    other = [
        f.name for f in fields(Scheme) if f.name != "name" and getattr(row, f.name) != getattr(whole, f.name)
    ]
    assert len(other) == MORE_THAN_ONE.get(row.name, 1), other
    assert build_controllers(row, load_scenario("bristol-A"), 0)


def test_the_plan_names_all_of_them() -> None:
    plan, _ = load_plan(str(Path(ablation.__file__).with_name("ablation.yaml")))
    named = {name.partition(":")[2] for name in plan.schemes if ":" in name}
    assert named == {
        name for name, row in vars(ablation).items() if isinstance(row, Scheme) and name != "_FUSED"
    }
