"""A value of a plan reaches the field that it names, in every scenario that has it, or says what is there instead."""

from __future__ import annotations

from typing import Any

import pytest

from edgebed.matrix.axes import changed
from emulation.domain.mistakes import ConfigError
from emulation.files import list_scenarios, load_scenario


@pytest.mark.parametrize("name", list_scenarios())
def test_nothing_set_changes_nothing(name: str) -> None:
    world = load_scenario(name)
    assert changed(world, {"note": world.note}) == world


@pytest.mark.parametrize(
    ("key", "value", "field"),
    [
        ("service_cv", 0.4, lambda s: s.service_cv == 0.4),
        ("deadline_s", "x0.5", lambda s: s.deadline_s == 60),
        ("deadline_s", None, lambda s: s.deadline_s is None),
        ("slots", "x0.5", lambda s: s.slots == 12),
        ("workload.0.rate_per_s", "x2", lambda s: s.workload[0].rate_per_s == 2.4),
        ("events.0.factor", 4, lambda s: s.events[0].factor == 4),
        ("events.*.at_s", "x0.9", lambda s: [e.at_s for e in s.events] == [117, 261]),
        ("controllers.lyapunov.v", 0.3, lambda s: s.controllers.get("lyapunov") == {"v": 0.3}),
        ("testbed.models.0.init_s", "x2", lambda s: s.testbed.models[0].init_s > 0),
        ("load", 0.5, lambda s: s.workload[0].rate_per_s == 0.6),
        ("load", "x0.5", lambda s: s.workload[0].rate_per_s == 0.6),
    ],
)
def test_a_value_reaches_its_field_and_nothing_else(key: str, value: Any, field: Any) -> None:
    world = load_scenario("demo")
    found = changed(world, {key: value})
    assert field(found)
    assert not field(world) or key.startswith("testbed")
    same = set(type(world).model_fields) - {key.split(".")[0], "workload"}
    assert all(getattr(found, name) == getattr(world, name) for name in same)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("service_kv", 1, "service_kv: the scenario has no field 'service_kv'; did you mean 'service_cv'"),
        ("service_cv", "much", "service_cv: must be a number"),
        ("service_cv", -1, "service_cv: must be a number"),
        ("events.7.factor", 2, r"events.7.factor: events has no entry '7'; there are 0 to 1"),
        ("events.first.factor", 2, "events has no entry 'first'"),
        ("name", "x2", "name: is 'demo' in this scenario, so there is no x2 of it"),
        ("deadline_s.x", 2, "deadline_s.x: deadline_s is 120.0, which has no fields"),
        ("load", "much", "load: must be a number above 0"),
        ("load", True, "load: must be a number above 0"),
        ("load", float("inf"), "load: must be a number above 0, at most 1,000,000, not inf"),
        ("load", float("nan"), "load: must be a number above 0, at most 1,000,000, not nan"),
        ("load", 10**400, "load: must be a number above 0, at most 1,000,000, not a number of"),
        ("load", "x" + "9" * 400, "load: must be a number above 0"),
        ("load", 5e4, r"load 50000: workload\[0\]: would make .* requests, more than 1e\+07"),
    ],
)
def test_a_key_that_leads_nowhere_or_a_value_that_does_not_fit_is_said(
    key: str, value: Any, said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        changed(load_scenario("demo"), {key: value})
