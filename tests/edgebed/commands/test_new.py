"""What `edgebed new` writes works as it is, and nothing that is there is touched."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from edgebed.commands.new import Kind
from edgebed.wiring.parts import ROUTER, find_scheme
from tests.build.command_line import edgebed, small

pytestmark = pytest.mark.usefixtures("undrawn", "one_elsewhere")

KINDS: tuple[Kind, ...] = ("router", "deployer", "scheduler", "planner", "perf-model")
OF_SCENARIO: tuple[Kind, ...] = ("fault", "workload")


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*(p for p in sys.path if p), str(tmp_path)])
    yield tmp_path
    for name in [n for n in sys.modules if n.partition(".")[0].startswith("newlab")]:
        del sys.modules[name]


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_written_keeps_every_law(kind: Kind, tmp_path: Path) -> None:
    package = f"newlab_{kind.replace('-', '_')}"
    said = edgebed("new", kind, f"{package}/very_careful.py")
    assert f"edgebed check {package}.very_careful:VERY_CAREFUL" in said.stdout
    assert {p.name for p in (tmp_path / package).iterdir() if p.is_file()} == {
        "__init__.py",
        "very_careful.py",
        "test_very_careful.py",
    }
    kept = edgebed("check", f"{package}.very_careful:VERY_CAREFUL")
    assert f"{package}.very_careful:VeryCareful" in kept.stdout
    assert "edgebed.starts" not in (tmp_path / package / "very_careful.py").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("kind", OF_SCENARIO)
def test_what_a_scenario_names_keeps_every_law_and_runs_as_it_says(kind: Kind, tmp_path: Path) -> None:
    said = edgebed("new", kind, f"newlab_{kind}/very_careful.py").stdout
    path = f"newlab_{kind}.very_careful:VeryCareful"
    assert path in edgebed("check", path).stdout
    assert "edgebed.starts" not in (tmp_path / f"newlab_{kind}" / "very_careful.py").read_text()
    field, _, value = said.split("in a scenario, ")[1].partition(": ")
    scenario = small(tmp_path, **{field: [yaml.safe_load(value)]})
    edgebed("compare", str(scenario), "--schemes", "sect", "--out", str(tmp_path / "out"))


def test_a_file_that_is_there_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "newlab").mkdir()
    (tmp_path / "newlab" / "mine.py").write_text("mine")
    assert "is there already" in edgebed("new", "router", "newlab/mine.py", code=2).stderr
    (tmp_path / "newlab" / "test_other.py").write_text("mine")
    assert "is there already" in edgebed("new", "router", "newlab/other.py", code=2).stderr
    assert sorted(p.name for p in (tmp_path / "newlab").iterdir()) == ["mine.py", "test_other.py"]


@pytest.mark.parametrize("file", ["mine", "/tmp/mine.py", "my-lab/mine.py", "../mine.py", "1.py"])
def test_a_file_that_is_no_module_of_a_package_here_is_refused(file: str) -> None:
    assert "is no module of a package here" in edgebed("new", "router", file, code=2).stderr


@pytest.mark.parametrize("file", ["json/mine.py", "controller/mine.py", "random.py"])
def test_a_name_under_which_something_else_is_found_is_refused(file: str, tmp_path: Path) -> None:
    top = file.partition("/")[0].removesuffix(".py")
    assert f"{top} is installed, and found in its place" in edgebed("new", "router", file, code=2).stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("scheme", "SchemeRouter"),
        ("router", "MyRouter"),
        ("none", "NoneRouter"),
        ("mine", "Mine"),
        ("x", "XRouter"),
    ],
)
def test_a_name_that_the_start_itself_uses_is_told_from_it(word: str, name: str) -> None:
    said = edgebed("new", "router", f"newlab/{word}.py").stdout
    scheme = find_scheme(said.split("edgebed check ")[1].split()[0])
    assert ROUTER.find(scheme.router).__name__ == name
