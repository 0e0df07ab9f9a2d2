"""Controllers of another package: found by path or entry point, refused in a sentence, never able to end a run."""

from __future__ import annotations

import json
import re
import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from controller.loop import INVALID
from controller.routers.guarded import Guarded
from edgebed.runs.virtual import simulate_in_memory
from edgebed.wiring.controllers import build_controllers
from edgebed.wiring.parts import PARTS, ROUTER, find_scheme, outsiders, scheme_names
from edgebed.wiring.switching import LiveSchemes
from emulation import outside
from emulation.domain.scenario import Scenario
from emulation.files import ConfigError, load_scenario
from emulation.recording import Run
from tests.build import badlab, faultlab, mylab
from tests.build.command_line import edgebed, small

HERE = mylab.HERE


@pytest.fixture
def scenario(tmp_path: Path) -> Scenario:
    events = [{"kind": "leave", "node": "arc-b60", "at_s": 20, "until_s": 50}]
    return load_scenario(small(tmp_path, events=events))


def offer(monkeypatch: pytest.MonkeyPatch, *points: tuple[str, str, str]) -> None:
    """Installed packages offer these: group, name, path."""

    def found(group: str) -> list[EntryPoint]:
        return [EntryPoint(name, path, of) for of, name, path in points if of == group]

    monkeypatch.setattr(outside, "entry_points", found)


def reasons(run: Run, actor: str) -> list[str]:
    return [d.reason for d in run.decisions if d.actor == actor]


def test_a_scheme_of_a_path_runs_and_its_path_is_its_name_in_the_record(scenario: Scenario) -> None:
    run = simulate_in_memory(scenario, f"{HERE}:CAREFUL", 0)
    assert run.header.scheme == f"{HERE}:CAREFUL"
    assert set(reasons(run, "router")) <= {"careful", "every node that may serve it is away"}


def test_a_router_of_ours_under_a_path_decides_as_it_does_under_its_name(scenario: Scenario) -> None:
    row = mylab._row("controller.routers.sect:Sect")
    outer, own = simulate_in_memory(scenario, row, 0), simulate_in_memory(scenario, mylab._row(), 0)
    assert outer.requests == own.requests
    assert outer.decisions == own.decisions


def test_parameters_of_a_path_are_set_in_the_scenario_and_checked(scenario: Scenario) -> None:
    name = f"{HERE}:Careful"
    given = scenario.model_copy(update={"controllers": {name: {"weight": 3.0}}})
    router = build_controllers(mylab.CAREFUL, given, 0).fast_path.innermost.router  # type: ignore[union-attr]
    assert isinstance(router, Guarded)
    assert router.inner.config.weight == 3.0
    wrong = scenario.model_copy(update={"controllers": {name: {"weight": -1.0}}})
    with pytest.raises(ConfigError, match="weight"):
        build_controllers(mylab.CAREFUL, wrong, 0)


@pytest.mark.parametrize("name", [f"{faultlab.HERE}:Regular", f"{faultlab.HERE}:Slower", "pathlib:Path"])
def test_a_class_that_is_no_controller_has_no_parameters_among_theirs(name: str, scenario: Scenario) -> None:
    given = scenario.model_copy(update={"controllers": {name: {}}})
    with pytest.raises(ConfigError, match=f"controllers names '{name}': is the class .*, none of router, "):
        build_controllers(mylab.CAREFUL, given, 0)


def test_entry_points_are_found_listed_and_offered_to_a_live_run(
    monkeypatch: pytest.MonkeyPatch, scenario: Scenario
) -> None:
    offer(
        monkeypatch,
        ("edgebed.schemes", "careful", f"{HERE}:CAREFUL"),
        ("edgebed.schemes", "sect", f"{HERE}:RAISING"),
        ("edgebed.routers", "careful-router", f"{HERE}:Careful"),
    )
    assert find_scheme("careful").name == "careful"
    assert find_scheme("sect").router == "sect", "no name of ours comes to mean something else"
    assert scheme_names().count("sect") == 1
    assert "careful" in scheme_names()
    assert ROUTER.find("careful-router") is mylab.Careful
    assert LiveSchemes("AL", scenario, 0).refusals()["careful"] == ""
    given = scenario.model_copy(update={"controllers": {"careful-router": {"weight": 2.0}}})
    build_controllers(mylab._row("careful-router"), given, 0)


def test_a_live_run_of_a_scheme_of_a_path_has_it_among_the_schemes(scenario: Scenario) -> None:
    assert LiveSchemes(f"{HERE}:CAREFUL", scenario, 0).refusals()[f"{HERE}:CAREFUL"] == ""


def test_a_name_that_two_packages_offer_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, ("edgebed.schemes", "x", "one:X"), ("edgebed.schemes", "x", "other:X"))
    with pytest.raises(ConfigError, match="offered by one:X and other:X; name the one you mean"):
        find_scheme("x")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nowhere.to:FIND", "no module nowhere in"),
        (f"{HERE}:CARFUL", "has no CARFUL; did you mean 'Careful'\\? known: .*CAREFUL"),
        (f"{HERE}:NO_SCHEME", "is the class Careful; it must be a controller.schemes.Scheme"),
        ("a b:c", "no path of a Python object"),
        (f"{HERE}:", "no path of a Python object"),
        ("sekt", "did you mean 'sect'"),
    ],
)
def test_a_name_that_is_no_scheme_is_refused_with_what_to_do(name: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        find_scheme(name)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import no_such_thing", "ModuleNotFoundError: No module named 'no_such_thing' .*line 1"),
        ("\nx = 1 / 0", "ZeroDivisionError.*line 2"),
        ("\ndef f(:", r"SyntaxError: .* \(.*brokenlab\.py, line 2\)$"),
    ],
)
def test_a_module_that_cannot_be_imported_is_named_with_its_line(
    text: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "brokenlab.py").write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    with pytest.raises(ConfigError, match=f"brokenlab cannot be imported: {said}"):
        find_scheme("brokenlab:X")


def test_the_current_folder_is_looked_in_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p])
    (tmp_path / "lastlab.py").write_text(f"from {HERE} import CAREFUL\n")
    assert find_scheme("lastlab:CAREFUL").router == f"{HERE}:Careful"
    assert sys.path[-1] == str(tmp_path)
    monkeypatch.delitem(sys.modules, "lastlab")


@pytest.mark.parametrize(
    ("scheme", "said"),
    [
        (mylab.NOT_THERE, "unknown router 'no_such_router'"),
        (mylab._row(f"{HERE}:Greedy"), "is the class Greedy; it must be a class derived from .*Router"),
        (mylab._row(f"{HERE}:CAREFUL"), "is a Scheme; it must be a class"),
        (mylab.UNPICKLABLE, "cannot be pickled.*lock"),
    ],
)
def test_a_scheme_of_parts_that_cannot_be_built_is_refused_before_it_runs(
    scheme: Any, said: str, scenario: Scenario
) -> None:
    with pytest.raises(ConfigError, match=said):
        build_controllers(scheme, scenario, 0)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("OUT_OF_RANGE", r"router OutOfRange returned column \d of a pool of \d: lowest score instead"),
        ("RAISING", "router Raising raised ZeroDivisionError: no reason: lowest score instead"),
        ("NO_PICK", "router NoPick returned None, not a column and a reason"),
        ("MUDDLED", "router Muddled gave '' as its reason"),
        ("FORGETFUL", "router Forgetful raised KeyError: 'lost' in dispatched"),
        ("NEGATIVE", "performance model NegativeModel gave coefficients .*: the profile instead: sect"),
    ],
)
def test_what_a_router_or_model_does_wrong_is_recorded_and_replaced(
    name: str, said: str, scenario: Scenario
) -> None:
    run = simulate_in_memory(scenario, f"{HERE}:{name}", 0)
    wrong = [d for d in run.decisions if d.reason.startswith(INVALID)]
    assert wrong
    assert all(d.actor == "router" for d in wrong)
    pattern = re.compile(said)
    assert all(pattern.search(d.reason) for d in wrong), wrong[0].reason
    assert all(score == score for d in run.decisions for _, score in d.candidates)
    assert {r.outcome for r in run.requests} <= {"done", "expired"}


def test_a_router_that_sends_to_a_node_that_is_away_is_overruled(scenario: Scenario) -> None:
    run = simulate_in_memory(scenario, f"{HERE}:ABSENT", 0)
    wrong = [d for d in run.decisions if d.reason.startswith(INVALID)]
    assert wrong
    assert all("whose node is away" in d.reason for d in wrong)
    assert all(20 <= d.t_s <= 50 for d in wrong)


@pytest.mark.parametrize(
    ("name", "said"), [("GREEDY", "no-such-model"), ("DEAF", "begin raised OSError: not now")]
)
def test_what_a_deployer_does_wrong_is_recorded_and_replaced(
    name: str, said: str, scenario: Scenario
) -> None:
    run = simulate_in_memory(scenario, f"{HERE}:{name}", 0)
    wrong = [d for d in run.decisions if d.reason.startswith(INVALID)]
    assert wrong
    assert all(said in " ".join(d.violations) for d in wrong)


def test_every_part_has_a_group_of_its_own() -> None:
    assert len({part.group for part in PARTS}) == len({part.noun for part in PARTS}) == len(PARTS)


def test_what_is_not_shipped_is_named() -> None:
    assert outsiders(mylab.CAREFUL) == [(ROUTER, f"{HERE}:Careful")]
    assert outsiders(find_scheme("MA")) == []


def test_only_what_has_a_name_decides_in_the_shadow_and_nothing_that_needs_a_scheduler(
    scenario: Scenario,
) -> None:
    schemes = LiveSchemes("AL", scenario, 0)
    assert schemes.shadow("sect").router.__class__.__name__ == "Sect"
    with pytest.raises(ConfigError, match="no scheme is called"):
        schemes.shadow(f"{HERE}:CAREFUL")
    with pytest.raises(ConfigError, match="table of a scheduler"):
        schemes.shadow("MA")
    with pytest.raises(ConfigError, match="cannot come in while a live run goes on"):
        schemes.shadow("oracle")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("LEAVING", "router Leaving raised SystemExit: no more: lowest score instead"),
        ("LATE", "router LeavingLate raised SystemExit: 3 in dispatched"),
        ("INTERRUPTING", "router Interrupting raised KeyboardInterrupt: lowest score instead"),
        (
            "LAZY",
            "router Lazy returned <generator object Lazy.choose>, not a column and a reason: lowest score",
        ),
        ("SPEECHLESS", "router Speechless raised Wordless: cannot say what it is: lowest"),
        ("WORDY", r"router Wordy raised ValueError: first line second line \\x1b\[31m\\ud800: lowest"),
        ("MODEL", "performance model LeavingModel raised SystemExit: 1: the profile instead"),
        ("DEPLOYER", "random policy|last valid"),
    ],
)
def test_whatever_code_of_others_raises_is_replaced_and_told_in_one_line(
    name: str, said: str, scenario: Scenario
) -> None:
    run = simulate_in_memory(scenario, f"{badlab.HERE}:{name}", 0)
    wrong = [d for d in run.decisions if d.reason.startswith(INVALID)]
    assert wrong
    assert all(re.search(said, d.reason) for d in wrong), wrong[0].reason
    assert all("\n" not in text for d in wrong for text in (d.reason, *d.violations))


@pytest.mark.parametrize(("name", "actor"), [("GARBLED", "router"), ("MUMBLING", "deployer:arc-b60")])
def test_a_reason_that_no_record_could_hold_is_written_so_that_it_can(
    name: str, actor: str, scenario: Scenario, tmp_path: Path
) -> None:
    run = simulate_in_memory(scenario, f"{badlab.HERE}:{name}", 0)
    said = next(reason for reason in reasons(run, actor) if "ud800" in reason)
    assert said.isprintable()
    assert len(said) <= 200


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("AT_ONCE", "router .*LeavingAtOnce: SystemExit: not today$"),
        ("EVASIVE", "router .*Evasive: LookupError: who knows$"),
        ("SEALED", "router .*Sealed: cannot be unpickled, .* ValueError: lost on the way; keep no lambda"),
        ("BY_CLASS", f"router is the class Leaving; give a name or a path, as '{badlab.HERE}:Leaving'"),
        ("NO_MODEL", "perf is a NoneType; give a name or a path"),
        ("LISTED", "router_params is a list; give a dict"),
    ],
)
def test_what_cannot_even_be_made_is_refused_in_a_sentence(name: str, said: str, scenario: Scenario) -> None:
    with pytest.raises(ConfigError, match=said):
        build_controllers(find_scheme(f"{badlab.HERE}:{name}"), scenario, 0)


def test_parameters_on_which_their_own_check_fails_are_refused_in_a_sentence(scenario: Scenario) -> None:
    name = f"{badlab.HERE}:Checking"
    wrong = scenario.model_copy(update={"controllers": {name: {"weight": 2.0}}})
    with pytest.raises(ConfigError, match=f"controllers.{name}: KeyError: 2.0$"):
        build_controllers(badlab.CHECKING, wrong, 0)


def test_a_module_that_leaves_while_it_is_imported_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "leavinglab.py").write_text("import sys\nprint('bye')\nsys.exit('bye')\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    with pytest.raises(ConfigError, match=r"leavinglab cannot be imported: SystemExit: bye .*line 3"):
        find_scheme("leavinglab:X")


@pytest.mark.slow
@pytest.mark.usefixtures("undrawn")
def test_what_a_class_prints_is_no_part_of_the_answer(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    asked = ("compare", str(small(tmp_path)), "--schemes", f"sect,{badlab.HERE}:TALKING", "--json")
    said = edgebed(*asked, "--out", str(tmp_path / "out"), "--workers", "1")
    assert set(json.loads(said.stdout)["schemes"]) == {"sect", f"{badlab.HERE}:TALKING"}
    assert json.loads(edgebed("check", f"{badlab.HERE}:Talking", "--json").stdout)["ok"] is True


def test_what_one_package_offers_wrongly_keeps_nobody_from_seeing_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    offer(
        monkeypatch,
        ("edgebed.schemes", "careful", f"{HERE}:CAREFUL"),
        ("edgebed.schemes", "gone", "nowhere.to:FIND"),
        ("edgebed.schemes", "sect", f"{HERE}:RAISING"),
        ("edgebed.schemes", "two", "one:X"),
        ("edgebed.schemes", "two", "other:X"),
    )
    said = edgebed("schemes", "--json")
    names = [row["scheme"] for row in json.loads(said.stdout)]
    assert "careful" in names
    assert not {"gone", "two"} & set(names)
    assert "left out: scheme 'gone': there is no module nowhere" in said.stderr
    assert "left out: scheme 'two': is offered by one:X and other:X" in said.stderr
    assert f"left out: scheme 'sect' of {HERE}:RAISING: the name is ours; name it by its path" in said.stderr
