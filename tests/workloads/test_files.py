"""Scenario and testbed files: names, paths, and one clear message for every mistake."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from emulation.domain.scenario import Scenario
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
    path = write(tmp_path, changed("testbed", "nodes", 0, "cores", to=4))
    hosting = ", ".join(f"{m['id']}: cpu" for m in TESTBED["models"])
    path.write_text(path.read_text() + f"plan: {{n1: {{{hosting}}}, n2: {{gpt2: off}}}}\n")
    plan = load_scenario(path).plan
    assert plan is not None
    assert plan["n2"] == {"gpt2": "off"}


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
        "workload[0].rate_per_s: must be a number from 1e-09 to 100,000 per virtual s, not -1",
    ),
    (changed(*SOURCE, "mix", to={"gpt3": 1}), "workload[0] names unknown model 'gpt3'; did you mean 'gpt2'?"),
    (
        changed(*SOURCE, "mix", to={"sd": -1}),
        "workload[0].mix.sd: must be a number from 0 to 1,000,000, not -1",
    ),
    (changed(*SOURCE, "mix", to={"sd": 0}), "workload[0].mix: has no positive share"),
    (changed(*SOURCE, "origins", to=["n9"]), "workload[0].origins names unknown node 'n9'"),
    (changed(*SOURCE, "kind", to="poison"), "workload[0]: unknown kind 'poison'; did you mean 'poisson'?"),
    (changed(*SOURCE, to={"rate_per_s": 1}), "workload[0]: has no kind"),
    (changed("workload", to=[]), "workload: must have at least 1 entry, not 0"),
    (
        changed("events", to=event("n9", 1, 2)),
        "events[0].node names unknown node 'n9'; did you mean 'n2'? known: n1, n2",
    ),
    (changed("events", to=event("n1", 3, 2)), "events[0]: until_s 2 must be after at_s 3"),
    (changed(BED, "models", 3, "modes", to=["gpu"]), "testbed: model 'sd' has no feasible node"),
    (changed(BED, "nodes", 1, "models", to=["gpt9"]), "node 'n2' names unknown model 'gpt9'"),
    (changed(BED, to="bristol"), "unknown testbed 'bristol'; did you mean 'bristol-a'?"),
    (changed(BED, to=7), "testbed: must be a mapping of fields to values, not 7"),
    ({"name": "s", "workload": [POISSON]}, "testbed: is missing; add it"),
    (changed("slots", to="many"), "slots: must be a whole number from 1 to 1,000,000 slots, not 'many'"),
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


def test_of_several_mistakes_the_first_is_told_and_the_others_are_counted(tmp_path: Path) -> None:
    content = {**changed("workload", 0, "rate_per_s", to=-1), "slot": 1, "slots": 0}
    with pytest.raises(ConfigError) as caught:
        load_scenario(write(tmp_path, content))
    assert "workload[0].rate_per_s: must be" in str(caught.value)
    assert str(caught.value).endswith("(and 2 more)")
    assert "\n" not in str(caught.value)


def test_a_mistake_in_a_testbed_file_names_that_file(tmp_path: Path) -> None:
    bed = write(tmp_path, {**TESTBED, "models": []}, "bed.yaml")
    with pytest.raises(ConfigError) as caught:
        load_scenario(write(tmp_path, changed("testbed", to="bed.yaml")))
    assert str(caught.value).startswith(f"{bed}: models: ")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "is empty"),
        ("- a\n- b\n", "is a list; the file must be a mapping"),
        ("name: [s\nslots: 3\n", "line 2, column 6: not valid YAML"),
        ("name: s\nslots: 3\nname: t\n", "line 1, column 1: not valid YAML: key 'name' appears twice"),
        ("name: s\n\tslots: 3\n", "line 2, column 1: not valid YAML: "),
        ("name: s\nworkload:\n\t- a\n", "indent with spaces"),
        ("a: 1\n---\nb: 2\n", "expected a single document"),
        (
            "name: M\u00fcller\n".encode("latin-1"),
            "line 1: is not UTF-8 (byte 0xfc); save the file as UTF-8 text",
        ),
        ("name: s\n".encode("utf-16"), "is not UTF-8"),
        ("name: s\nnote: a\x00b\n", "line 2: holds the control character '\\x00'; remove it"),
        ("[" * 5000, "is nested more than 40 levels deep"),
        ("a: " + "[" * 60 + "]" * 60, "is nested more than 40 levels deep"),
        ("a: &a [*a]\n", "an alias stands inside what it names"),
        ("a: *b\n", "found undefined alias"),
        (
            "a0: &a0 [x,x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1},*a{i - 1}]\n" for i in range(1, 30)),
            "aliases",
        ),
        ("slots: !!int many\n", "'many' is no whole number"),
        ("slots: !!float many\n", "'many' is no number"),
        ("a: !!bool maybe\n", "'maybe' is neither true nor false"),
        ("a: !!timestamp x\n", "could not determine a constructor"),
        ("a: !!python/object:os.system x\n", "could not determine a constructor"),
        ("slots: " + "9" * 5000, "is no whole number of at most 400 digits"),
        ("? [a, b]\n: 1\n", "a list or a mapping is no key"),
        ("1: 2\n", "every key must be text, not 1"),
        ("a\x1b]0;title\x07: 1", "control character"),
        ('"a\\e[31m": 1', "unknown key 'a\\x1b[31m'"),
        ("".join(f"k{i}: 1\n" for i in range(5_000)), "unknown key 'k0'"),
        ("x" * 5_000_000, "is larger than 4 MiB"),
    ],
    ids=lambda value: str(value)[:20].encode("unicode_escape").decode(),
)
def test_broken_files_are_told_with_their_place(tmp_path: Path, text: str | bytes, told: str) -> None:
    path = tmp_path / "s.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError) as caught:
        load_scenario(path)
    assert told in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("change", ["\ufeff{}", "{}\n\n", "--- \n{}", "# a comment\n{}"])
def test_a_byte_order_mark_blank_lines_and_other_line_ends_change_nothing(
    tmp_path: Path, change: str
) -> None:
    plain = write(tmp_path, GOOD)
    text = plain.read_text()
    other = tmp_path / "t.yaml"
    other.write_bytes(change.replace("{}", text).replace("\n", "\r\n").encode())
    assert load_scenario(other) == load_scenario(plain)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("slot_s: 1e3", 1000.0),
        ("slot_s: 012", 12.0),
        ("slot_s: .5", 0.5),
        ("slot_s: +7", 7.0),
        ("slot_s: 0x10", 16.0),
    ],
)
def test_numbers_are_what_they_look_like(tmp_path: Path, text: str, value: float) -> None:
    path = write(tmp_path, GOOD)
    path.write_text(path.read_text() + text)
    assert load_scenario(path).slot_s == value


@pytest.mark.parametrize(
    "text", ["slot_s: 1:30", "slot_s: 2024-01-01", "slot_s: 1_000,5", "slot_s: nan", "slot_s: -.inf"]
)
def test_what_is_no_number_is_refused(tmp_path: Path, text: str) -> None:
    path = write(tmp_path, GOOD)
    path.write_text(path.read_text() + text)
    with pytest.raises(ConfigError, match="slot_s: must be a number from 0.001 to 1,000,000 virtual s, not "):
        load_scenario(path)


def test_aliases_and_merges_say_what_they_name(tmp_path: Path) -> None:
    events = (
        "events:\n  - &first {kind: leave, node: n1, at_s: 1, until_s: 2}\n"
        "  - {<<: *first, at_s: 3, until_s: .inf}\n"
    )
    path = write(tmp_path, GOOD)
    path.write_text(path.read_text() + events)
    first, second = load_scenario(path).events
    assert (first.at_s, second.at_s, second.until_s) == (1, 3, float("inf"))
    assert second.kind == "leave"


def test_what_never_returns_is_kept_in_json(tmp_path: Path) -> None:
    loaded = load_scenario(write(tmp_path, changed("events", to=event("n1", 1, float("inf")))))
    assert Scenario.model_validate_json(loaded.model_dump_json()) == loaded


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("", "unknown scenario ''"),
        (".", "is a folder"),
        ("x" * 5000, "unknown scenario"),
        ("a\x00b", "unknown scenario 'a\\x00b'"),
        ("/dev/zero", "no such file"),
        ("no\x1b[31m/such.yaml", "no such file"),
    ],
    ids=lambda value: repr(value[:12]),
)
def test_a_name_that_is_no_file_is_told(name: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_scenario(name)
    assert told in str(caught.value)
    assert str(caught.value).isprintable()


def test_unknown_names_suggest_and_list_the_known() -> None:
    with pytest.raises(ConfigError, match="unknown scenario 'dem'; did you mean 'demo'"):
        load_scenario("dem")
    with pytest.raises(ConfigError, match="unknown scenario 'xyzzy'; known: .*demo.*e3-basic"):
        load_scenario("xyzzy")
    with pytest.raises(ConfigError, match="did you mean 'bristol-A'"):
        load_scenario("bristol-a")
    with pytest.raises(ConfigError, match="no such file"):
        load_scenario("no/such.yaml")
