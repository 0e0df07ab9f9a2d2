"""The wheel has everything, and runs in an empty folder outside the checkout. EDGEBED_WHEEL names one that was built
(`make wheel`); else one is built here, uncompiled."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.build.command_line import small

ROOT = Path(__file__).parents[2]
PACKAGES = ("emulation", "controller", "workloads", "serve_apps", "edgebed")
BESIDE = ("pyproject.toml", "setup.py", "README.md", "LICENSE", "NOTICE")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if named := os.environ.get("EDGEBED_WHEEL"):
        return Path(named).resolve()
    source, made = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("made")
    for package in PACKAGES:
        left_out = shutil.ignore_patterns("__pycache__", "_compiled")
        shutil.copytree(ROOT / package, source / package, ignore=left_out)
    for name in BESIDE:
        shutil.copy(ROOT / name, source / name)
    pip("wheel", "--no-deps", "--no-build-isolation", "-w", str(made), str(source))
    return next(made.glob("edgebed-*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("installed")
    pip("install", "--no-deps", "--no-index", "--no-compile", "--target", str(folder), str(wheel))
    return folder


def pip(*words: str) -> None:
    command = [sys.executable, "-m", "pip", "-q", "--disable-pip-version-check", *words]
    ended = subprocess.run(command, env={**os.environ, "EDGEBED_PURE": "1"}, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr


def run(installed: Path, here: Path, *words: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(installed), "EDGEBED_HOME": str(here / "home")}
    ended = subprocess.run(
        [sys.executable, *words], cwd=here, env=environment, capture_output=True, text=True
    )
    assert ended.returncode == 0, (words, ended.stdout, ended.stderr)
    return ended.stdout


COMMANDS = """
import sys
import edgebed, workloads
print(edgebed.__file__, workloads.__file__)
from edgebed.commands.main import main
from edgebed.report import paper
from edgebed.report.theme import Drawing
every = paper.pictures
paper.pictures = lambda comparison: {"per-model": every(comparison)["per-model"]}
Drawing.svg = lambda _: "<svg></svg>"
Drawing.svg_file = lambda _: b"<svg/>"
for words in sys.argv[1:]:
    sys.argv[1:] = words.split()
    try:
        main()
    except SystemExit as ended:
        assert not ended.code, words
"""
"""In one process, whose start is most of what a command costs, and with one picture drawn, into a PDF file."""


def test_every_file_of_the_packages_travels(wheel: Path) -> None:
    travels = set(zipfile.ZipFile(wheel).namelist())
    files = {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and not {"__pycache__", "_compiled"} & set(path.parts)
    }
    assert files - travels == set()
    assert {name.partition("/")[0] for name in travels if name.endswith(".py")} <= {*PACKAGES}


def test_it_compares_reports_and_holds_a_start_to_its_laws_in_an_empty_folder(
    installed: Path, tmp_path: Path
) -> None:
    scenario = small(tmp_path)
    said = run(
        installed, tmp_path, "-c", COMMANDS,
        "new router mylab/careful.py",
        f"compare {scenario.name} --schemes sect,mylab.careful:CAREFUL --out out",
        "report out --paper paper",
    )  # fmt: skip
    where, _, table = said.partition("\n")
    assert all(path.startswith(str(installed)) for path in where.split())
    assert "mylab.careful:CAREFUL" in table
    assert (tmp_path / "out" / "report.html").stat().st_size > 10_000
    assert (tmp_path / "paper" / "figures" / "per-model.pdf").is_file()


def test_what_a_live_testbed_starts_is_found_there_too(installed: Path, tmp_path: Path) -> None:
    """Its load generator, its page and its models' synthetic answers; Ray itself is tried in `tests/live`."""
    said = run(
        installed, tmp_path, "-c",
        "from pathlib import Path\n"
        "from emulation.files import list_scenarios, load_scenario\n"
        "from edgebed.ui.page import app\n"
        "import workloads.command as command, serve_apps.replica.content\n"
        "from workloads.traces import check_traces\n"
        "for name in list_scenarios(): check_traces(load_scenario(name))\n"
        "print((Path(command.__file__).parent / 'locustfile.py').is_file())\n",
    )  # fmt: skip
    assert said.split() == ["True"]
