"""The schema that editors are given for plans takes what is shipped and what may be written short."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from edgebed.commands.schema import file_schema
from edgebed.matrix.plan import HERE, plan_names
from emulation.yaml_text import read_yaml


def wrong(held: Any) -> list[str]:
    """What the schema says is wrong with a plan."""
    return [e.json_path for e in jsonschema.Draft202012Validator(file_schema("plan")).iter_errors(held)]


@pytest.mark.parametrize("name", plan_names())
def test_every_shipped_plan_is_taken_and_a_surprise_in_it_is_not(name: str) -> None:
    held: Any = read_yaml(HERE / f"{name}.yaml")
    assert wrong(held) == []
    assert wrong({**held, "surprise": 1}) == ["$"]


def test_scenarios_may_be_names_and_seeds_text() -> None:
    held = {"name": "p", "scenarios": ["demo", {"pool": {}}], "schemes": ["AL", "MA"], "seeds": "0-3"}
    assert wrong(held) == []
    assert wrong({**held, "seeds": [0, 1]}) == []
    assert wrong({**held, "scenarios": [{"scenario": "demo", "surprise": 1}]}) == ["$.scenarios[0]"]
