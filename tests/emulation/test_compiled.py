"""Compiled code runs only where it was compiled from the very sources that are there, and then says the same."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from emulation import compiled
from emulation.compiled import FOLDER, LIBRARY, PACKAGES, PURE, ROOT, SUFFIX, WHY_NOT, digest
from tests.build.sources import statements

needs_build = pytest.mark.skipif(WHY_NOT is not None, reason=f"runs uncompiled: {WHY_NOT}")


def hot_files() -> list[Path]:
    """What is compiled, as `pyproject.toml` lists it."""
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["edgebed"]["compiled"]
    return [file for pattern in listed for file in sorted(ROOT.glob(pattern)) if file.name != "__init__.py"]


def run(code: str, path: Path = ROOT, pure: str = "") -> str:
    """What a process of its own prints that finds our packages in `path`."""
    environment = {**os.environ, "PYTHONPATH": str(path), PURE: pure}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=path, check=True)
    return done.stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The sources alone, elsewhere."""
    for package in PACKAGES:
        ignored = shutil.ignore_patterns("__pycache__", FOLDER.name)
        shutil.copytree(ROOT / package, tmp_path / package, ignore=ignored)
    return tmp_path


WHICH = "import emulation.compiled as c, emulation.engine.kernel as k; print(c.said(), '|', k.__file__)"


def test_a_checkout_that_was_not_compiled_runs_its_sources_and_says_so(checkout: Path) -> None:
    said, _, file = run(WHICH, checkout).partition(" | ")
    assert said.startswith("uncompiled: nothing was compiled here")
    assert file == str(checkout / "emulation/engine/kernel.py")


@needs_build
def test_an_edit_is_in_force_at_once_and_the_build_is_again_when_it_is_taken_back(checkout: Path) -> None:
    shutil.copytree(ROOT / FOLDER, checkout / FOLDER)
    built = str(checkout / FOLDER / digest() / f"emulation.engine.kernel{SUFFIX}")
    assert run(WHICH, checkout) == f"compiled | {built}"
    constant = (
        checkout / "emulation" / "domain" / "slots.py"
    )  # not compiled itself, but what is depends on it
    before = constant.read_bytes()
    constant.write_bytes(before + b"\n# a word\n")
    source = checkout / "emulation/engine/kernel.py"
    assert run(WHICH, checkout) == (
        f"uncompiled: no build is of these sources; `make compiled` makes one | {source}"
    )
    constant.write_bytes(before)
    assert run(WHICH, checkout) == f"compiled | {built}"


def test_a_build_of_another_machine_is_said_and_not_used(checkout: Path) -> None:
    build = checkout / FOLDER / digest(checkout)
    build.mkdir(parents=True)
    (build / f"{LIBRARY}{SUFFIX}").write_bytes(b"of another kind")
    said, _, file = run(WHICH, checkout).partition(" | ")
    assert said.startswith("uncompiled: what was compiled cannot be loaded here: ")
    assert file.endswith("kernel.py")


@needs_build
def test_it_can_be_turned_off_by_the_environment() -> None:
    assert run(WHICH, pure="1") == f"uncompiled: EDGEBED_PURE is set | {ROOT / 'emulation/engine/kernel.py'}"
    assert run(WHICH, pure="0").startswith("compiled | ")


def test_nothing_compiled_lies_beside_its_source() -> None:
    beside = [f for p in PACKAGES for f in (ROOT / p).rglob("*.so") if FOLDER.name not in f.parts]
    assert beside == []


def test_the_digest_knows_names_and_contents(checkout: Path) -> None:
    found = {digest(checkout)}
    moved = checkout / "controller" / "lengths.py"
    moved.rename(moved.with_name("length.py"))
    found.add(digest(checkout))
    moved.with_name("length.py").write_text("")
    found.add(digest(checkout))
    assert len(found) == 3


# The long scenario is cut after its first node has left and come back.
SAME = """
import sys
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from edgebed.runs.virtual import simulate
from emulation.files import load_scenario
from emulation.recording import RECORD_FILE, JsonlSink
SHORT = {"slots": 160, "events": load_scenario("bristol-A-loss").events[:1]}
SCHEMES = ("e3", "RF", "AL", "sect", "oracle")
for scenario, schemes in {"demo": SCHEMES, "e3-churn": SCHEMES, "bristol-A-loss": ("AL", "sect")}.items():
    for scheme in schemes:
        with TemporaryDirectory() as folder:
            sink = JsonlSink(Path(folder))
            changes = SHORT if scenario == "bristol-A-loss" else {}
            simulate(load_scenario(scenario).model_copy(update=changes), scheme, 1, sink)
            sink.close()
            print(scenario, scheme, sha256((Path(folder) / RECORD_FILE).read_bytes()).hexdigest())
"""


@needs_build
@pytest.mark.slow
def test_both_write_the_same_bytes() -> None:
    assert run(SAME) == run(SAME, pure="1")


def classes(file: Path) -> list[ast.ClassDef]:
    """Every class of a file."""
    return [node for node in statements(file) if isinstance(node, ast.ClassDef)]


def test_what_is_compiled_declares_nothing_that_is_read_at_run_time() -> None:
    """Of an annotation mypyc keeps the name at most: bounds of a pydantic field would be gone."""
    for file in hot_files():
        for found in classes(file):
            assert not {ast.unparse(base) for base in found.bases} & {"Strict", "BaseModel"}, found.name


def test_what_is_compiled_adds_numbers_up_as_the_interpreter_does() -> None:
    """mypyc adds a generator's items one by one; `sum` of Python 3.12 and later keeps what rounding loses."""
    for file in hot_files():
        calls = [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call)]
        sums = [c for c in calls if isinstance(c.func, ast.Name) and c.func.id == "sum"]
        assert [ast.unparse(c) for c in sums if isinstance(c.args[0], ast.GeneratorExp)] == [], file


def test_what_is_compiled_and_pickled_can_be_read_back() -> None:
    """A plain compiled class is made by calling `__init__` when it is read back, and a frozen one cannot be filled."""
    nobody_pickles = ("ledger.py", "scoring.py", "fixed_roles.py", "native.py")
    files = [f for f in hot_files() if f.parent.name not in ("engine", "workloads")]
    for found in (c for file in files if file.name not in nobody_pickles for c in classes(file)):
        said = " ".join(ast.unparse(decorator) for decorator in found.decorator_list)
        bases = {ast.unparse(base) for base in found.bases}
        plain = "mypyc_attr" in said or "value" in said or "dataclass(slots" in said or "Native" in bases
        assert plain or bases & {"Protocol", "NamedTuple"}, found.name


def test_said_in_words() -> None:
    assert compiled.said() == ("compiled" if WHY_NOT is None else f"uncompiled: {WHY_NOT}")
