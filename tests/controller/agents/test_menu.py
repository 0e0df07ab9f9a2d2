"""Menus: what is shown is feasible, good and in no telling order; schemas are those of the testbed and of the types."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from controller.agents.chooser import Chooser
from controller.agents.menu import MOST_OPTIONS, ChoiceAnswer, Estimate, Menus, Option, good
from controller.agents.shapes import schema_of
from controller.deployers.llm import PatternAnswer
from controller.planners.llm import PolicyAnswer, policy_shape
from controller.schedulers.llm import GuideAnswer, TableAnswer
from edgebed.runs.virtual import simulate, simulate_in_memory
from edgebed.wiring.reasoners import with_reasoner
from emulation.domain.actions import NodeConfig
from emulation.domain.records import DecisionRecord
from emulation.domain.scenario import Scenario
from emulation.files import load_scenario
from emulation.recording import JsonlSink, Run
from tests.build.hierarchy import BED, policy
from tests.build.meta import SEMANTIC, pool

FIGURES = st.floats(0.0, 1.0)


def _options(values: list[float]) -> list[Option[NodeConfig]]:
    return [
        Option(NodeConfig("n", {f"m{i}": "cpu"}), f"option {i}", Estimate(v, 1.0, 1.0))
        for i, v in enumerate(values)
    ]


@given(st.lists(FIGURES, min_size=1, max_size=9))
def test_the_good_options_are_the_best_ones_best_first(values: list[float]) -> None:
    options = _options(values)
    kept = [o.estimate.objective for o in good(options)]
    assert kept == sorted(kept)
    assert kept[0] == min(values)
    assert len(kept) <= MOST_OPTIONS
    assert all(v <= kept[0] + max(0.1 * kept[0], 0.01) for v in kept)


def test_a_command_is_offered_once_and_the_first_of_equals_is_the_best() -> None:
    same = Option(NodeConfig("n", {"m0": "cpu"}), "again", Estimate(0.5, 1.0, 1.0))
    assert [o.told for o in good([*_options([0.5, 0.5]), same])] == ["option 0", "option 1"]


def test_the_order_tells_nothing_and_follows_the_seed() -> None:
    told, estimates = ["a", "b", "c"], [Estimate(0.1 * i, 1.0, 1.0) for i in range(3)]
    menus, again = Menus("planner", 7), Menus("planner", 7)
    places = []
    for _ in range(300):
        shown = menus.shown(told, estimates)
        assert again.shown(told, estimates) == shown
        assert shown.lines[shown.best - 1].endswith("a")
        places.append(shown.best)
    assert min(Counter(places).values()) > 60, "the best one stands in every place"


def test_choosers_answer_menus_and_nothing_else() -> None:
    shown = Menus("planner", 1).shown(["a", "b", "c"], [Estimate(0.1, 1.0, 1.0)] * 3)
    schema = shown.wanted().schema
    assert schema is not None
    assert schema["properties"]["choice"]["enum"] == [1, 2, 3]
    assert Chooser("first", "planner", 0).form("meta") == "choice"


# -- schemas --------------------------------------------------------------------------------------------------

MODES = {m: ("off", *BED.modes("VM3", m)) for m in BED.hosted("VM3")}
ALLOWED = {m.id: list(BED.routable(m.id)) for m in BED.models}
ROLES = {n: {m: policy()["roles"][n].get(m, "off") for m in BED.hosted(n)} for n in policy()["roles"]}
SHAPES: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "planner": (PolicyAnswer, policy_shape(BED), {**policy(), "roles": ROLES}),
    "scheduler": (
        TableAnswer, {"table": {n.id: ALLOWED for n in BED.nodes}},
        {"table": {n.id: {m: a[0] for m, a in ALLOWED.items()} for n in BED.nodes}, "reason": "so"},
    ),
    "guide": (
        GuideAnswer, {"masked": ALLOWED, "weights": {m: dict.fromkeys(a) for m, a in ALLOWED.items()}},
        {
            "masked": {m: [] for m in ALLOWED}, "reason": "",
            "weights": {m: dict.fromkeys(a, 0.5) for m, a in ALLOWED.items()},
        },
    ),
    "deployer": (PatternAnswer, {"modes": MODES}, {"modes": dict.fromkeys(MODES, "off"), "reason": "rest"}),
    "choice": (ChoiceAnswer, {"choice": [1, 2]}, {"choice": 2, "reason": ""}),
}  # fmt: skip


@pytest.mark.parametrize("role", SHAPES)
def test_a_schema_is_strict_and_takes_what_its_type_takes(role: str) -> None:
    kind, shape, answer = SHAPES[role]
    schema = schema_of(kind, shape)
    Draft202012Validator.check_schema(schema)
    filled = _filled(schema, answer)
    assert list(Draft202012Validator(schema).iter_errors(filled)) == []
    kind.model_validate(filled)
    for part in _objects(schema):
        assert part["additionalProperties"] is False
        assert part["required"] == list(part["properties"]), "strict servers want everything required"
    assert list(schema["properties"])[-1] == "reason", "what is decided comes first"


def test_a_schema_knows_this_testbed_only() -> None:
    wrong = {"modes": {**dict.fromkeys(MODES, "off"), "gpt5": "cpu"}, "reason": ""}
    assert not Draft202012Validator(schema_of(PatternAnswer, {"modes": MODES})).is_valid(wrong)


@pytest.mark.parametrize(
    ("kind", "shape", "told"),
    [
        (PatternAnswer, {"models": MODES}, "has no field 'models'"),
        (PatternAnswer, {"modes": {"sd": ["tpu"]}}, "'tpu' is none of"),
        (ChoiceAnswer, {"choice": {"a": None}}, "takes none"),
    ],
)
def test_a_schema_never_allows_what_its_type_does_not_know(kind: Any, shape: Any, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        schema_of(kind, shape)


def _objects(schema: dict[str, Any]) -> list[dict[str, Any]]:
    found = [schema] if schema.get("type") == "object" else []
    return found + [o for part in schema.get("properties", {}).values() for o in _objects(part)]


def _filled(schema: dict[str, Any], answer: Any) -> Any:
    """The answer with a share of 0 for every node it leaves out: a strict schema wants each named."""
    if schema.get("type") != "object":
        return answer
    return {n: _filled(s, answer.get(n, 0.0)) for n, s in schema["properties"].items()}


# -- whole runs -----------------------------------------------------------------------------------------------


def _short_demo() -> Scenario:
    return load_scenario("demo").model_copy(update={"slots": 8, "tail_slots": 0})


def _asked(run: Run) -> list[DecisionRecord]:
    return [d for d in run.decisions if d.actor != "router" and "exchange" in d.choice]


@pytest.mark.slow
@pytest.mark.parametrize("reasoner", ["first", "random"])
def test_every_answer_to_a_menu_is_valid_and_a_run_replays_without_its_chooser(
    reasoner: str, tmp_path: Any
) -> None:
    sink = JsonlSink(tmp_path / "MA" / "seed-0")
    simulate(with_reasoner(_short_demo(), reasoner), "MA", 0, sink)
    sink.close()
    before = simulate_in_memory(with_reasoner(_short_demo(), reasoner), "MA", 0)
    asked = _asked(before)
    assert asked
    assert {d.outcome for d in asked} == {"applied"}
    menus = [d.choice["exchange"]["menu"] for d in asked]
    assert all(2 <= m["options"] <= MOST_OPTIONS and 1 <= m["chosen"] <= m["options"] for m in menus)
    if reasoner == "first":
        assert {m["chosen"] for m in menus} == {1}
    again = simulate_in_memory(with_reasoner(_short_demo(), f"replay:{tmp_path}"), "MA", 0)
    assert [(d.t_s, d.actor, d.choice, d.reason) for d in again.decisions] == [
        (d.t_s, d.actor, d.choice, d.reason) for d in before.decisions
    ]
    assert list(again.requests) == list(before.requests)


@pytest.mark.parametrize("reasoner", ["first", "random"])
def test_a_meta_controller_is_given_a_choice_too_and_replays(reasoner: str, tmp_path: Any) -> None:
    scenario = pool(SEMANTIC[:2], tasks=60)
    sink = JsonlSink(tmp_path / "e3" / "seed-0")
    simulate(with_reasoner(scenario, reasoner), "e3", 0, sink)
    sink.close()
    before = simulate_in_memory(with_reasoner(scenario, reasoner), "e3", 0)
    menus = [d.choice["exchange"]["menu"] for d in _asked(before) if "menu" in d.choice["exchange"]]
    assert menus
    assert all("do nothing" in m["asked"] and 1 <= m["chosen"] <= m["options"] for m in menus)
    again = simulate_in_memory(with_reasoner(scenario, f"replay:{tmp_path}"), "e3", 0)
    assert [d.choice for d in again.decisions] == [d.choice for d in before.decisions]
