"""Scenario and testbed files: names, paths, and one clear message for every mistake."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from emulation.files import ConfigError, list_scenarios, list_testbeds, load_scenario, load_testbed
from tests.build.workloads import POISSON, TESTBED

GOOD: dict[str, Any] = {"name": "s", "testbed": TESTBED, "workload": [POISSON]}


def write(tmp_path: Path, content: dict[str, Any], name: str = "s.yaml") -> Path:
    path = tmp_path / name
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


def changed(*path: str | int, to: Any) -> dict[str, Any]:
    content: dict[str, Any] = copy.deepcopy(GOOD)
    at: Any = content
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = to
    return content


@pytest.mark.parametrize("name", list_scenarios())
def test_every_packaged_scenario_loads(name: str) -> None:
    assert load_scenario(name).name == name


@pytest.mark.parametrize("name", list_testbeds())
def test_every_packaged_testbed_loads(name: str) -> None:
    assert load_testbed(name).executors()


def test_a_testbed_may_be_inline_a_name_or_a_path_beside_the_scenario(tmp_path: Path) -> None:
    inline = load_scenario(write(tmp_path, GOOD))
    write(tmp_path, TESTBED, "bed.yaml")
    beside = load_scenario(write(tmp_path, changed("testbed", to="bed.yaml")))
    assert inline == beside
    source = {"kind": "slotted"}
    named = load_scenario(write(tmp_path, {"name": "s", "testbed": "bristol-a", "workload": [source]}))
    assert named.testbed == load_testbed("bristol-a")


def test_a_relative_trace_is_looked_for_beside_the_scenario(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("")
    source = {"kind": "trace", "trace": "t.csv", "mix": {"sd": 1}}
    loaded = load_scenario(write(tmp_path, changed("workload", to=[source]))).workload[0]
    assert loaded.kind == "trace"
    assert loaded.trace == str(tmp_path / "t.csv")


def test_off_is_a_mode_and_not_false(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD)
    path.write_text(path.read_text() + "plan: {n1: {gpt2: off}}\n")
    assert load_scenario(path).plan == {"n1": {"gpt2": "off"}}


def event(node: str, at_s: float, until_s: float) -> list[dict[str, Any]]:
    return [{"kind": "leave", "node": node, "at_s": at_s, "until_s": until_s}]


SOURCE = ("workload", 0)
BED = "testbed"
MISTAKES = [
    (changed("slot", to=3), "slot: unknown key 'slot'; did you mean 'slots'?"),
    (changed(*SOURCE, "rate", to=3), "workload[0].rate: unknown key 'rate'; did you mean 'rate_per_s'?"),
    (
        changed(BED, "nodes", 0, "core", to=3),
        "testbed.nodes[0].core: unknown key 'core'; did you mean 'cores'?",
    ),
    (changed("live", to={"speed": 3}), "live.speed: unknown key 'speed'; did you mean 'speedup'?"),
    (
        changed(*SOURCE, "rate_per_s", to=-1),
        "workload[0].rate_per_s: input should be greater than 0 (got -1)",
    ),
    (changed(*SOURCE, "mix", to={"gpt3": 1}), "workload[0] names unknown model 'gpt3'; known: ['batch'"),
    (changed(*SOURCE, "mix", to={"sd": -1}), "workload[0].mix has a negative share"),
    (changed(*SOURCE, "mix", to={"sd": 0}), "workload[0].mix has no positive share"),
    (changed(*SOURCE, "origins", to=["n9"]), "workload[0].origins names unknown node 'n9'"),
    (changed(*SOURCE, "kind", to="poison"), "workload[0]: unknown kind 'poison'; did you mean 'poisson'?"),
    (changed(*SOURCE, to={"rate_per_s": 1}), "workload[0]: has no kind"),
    (changed("workload", to=[]), "workload: tuple should have at least 1 item"),
    (changed("events", to=event("n9", 1, 2)), "events[0].node names unknown node 'n9'; known: ['n1', 'n2']"),
    (changed("events", to=event("n1", 3, 2)), "events[0]: until_s 2 must be after at_s 3"),
    (changed(BED, "models", 3, "modes", to=["gpu"]), "testbed: model 'sd' has no feasible node"),
    (changed(BED, "nodes", 1, "models", to=["gpt9"]), "node 'n2' names unknown model 'gpt9'"),
    (changed(BED, to="bristol"), "unknown testbed 'bristol'; did you mean 'bristol-a'?"),
    (changed(BED, to=7), "testbed: input should be a valid dictionary"),
    ({"name": "s", "workload": [POISSON]}, "testbed: is missing; add it"),
    (changed("slots", to="many"), "slots: input should be a valid integer"),
]


@pytest.mark.parametrize(("content", "told"), MISTAKES)
def test_every_mistake_is_told_in_one_line_with_its_field(
    tmp_path: Path, content: dict[str, Any], told: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load_scenario(write(tmp_path, content))
    message = str(caught.value)
    assert told in message
    assert "\n" not in message
    assert "pydantic" not in message
    assert str(tmp_path) in message or "unknown testbed" in message


def test_several_mistakes_are_several_lines(tmp_path: Path) -> None:
    content = {**changed("workload", 0, "rate_per_s", to=-1), "slot": 1}
    with pytest.raises(ConfigError) as caught:
        load_scenario(write(tmp_path, content))
    assert len(str(caught.value).splitlines()) == 2


def test_a_mistake_in_a_testbed_file_names_that_file(tmp_path: Path) -> None:
    bed = write(tmp_path, {**TESTBED, "models": []}, "bed.yaml")
    with pytest.raises(ConfigError) as caught:
        load_scenario(write(tmp_path, changed("testbed", to="bed.yaml")))
    assert str(caught.value).startswith(f"{bed}: models: ")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "is empty"),
        ("- a\n- b\n", "is a list; the file must be a mapping"),
        ("name: [s\nslots: 3\n", "line 2, column 6: not valid YAML"),
        ("name: s\nslots: 3\nname: t\n", "line 1, column 1: not valid YAML: key 'name' appears twice"),
    ],
)
def test_broken_files_are_told_with_their_place(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_scenario(path)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_unknown_names_suggest_and_list_the_known() -> None:
    with pytest.raises(ConfigError, match="unknown scenario 'dem'; did you mean 'demo'"):
        load_scenario("dem")
    with pytest.raises(ConfigError, match="unknown scenario 'xyzzy'; known: .*demo.*e3-basic"):
        load_scenario("xyzzy")
    with pytest.raises(ConfigError, match="did you mean 'bristol-A'"):
        load_scenario("bristol-a")
    with pytest.raises(ConfigError, match="no such file"):
        load_scenario("no/such.yaml")
