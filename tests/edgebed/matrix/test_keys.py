"""The key of a run follows from what it comes to, and from no name or note."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from subprocess import run

import pytest

from controller.schemes import SCHEMES
from edgebed.matrix.keys import code_files, run_key, scenario_digest, scheme_digest
from edgebed.wiring.parts import find_scheme
from emulation.domain.scenario import Scenario
from emulation.domain.sources import OutsideSource
from emulation.files import load_scenario
from tests.build.command_line import small
from workloads.trace_files import trace_path

DEMO = load_scenario("demo")


def other(**changes: object) -> Scenario:
    return DEMO.model_copy(update=changes)


def test_names_and_notes_are_no_part_of_it(tmp_path: Path) -> None:
    assert scenario_digest(other(name="renamed", note="other")) == scenario_digest(DEMO)
    copy = tmp_path / "another-name.csv"
    copy.write_bytes(trace_path("azure-conv").read_bytes())
    source = DEMO.workload[0].model_copy(update={"trace": str(copy)})
    assert scenario_digest(other(workload=(source,))) == scenario_digest(DEMO)
    copy.write_bytes(copy.read_bytes()[:-60])
    assert scenario_digest(other(workload=(source,))) != scenario_digest(DEMO)


@pytest.mark.parametrize(
    "change",
    [
        lambda: other(service_cv=0.2),
        lambda: other(deadline_s=121.0),
        lambda: other(events=DEMO.events[:1]),
        lambda: other(controllers={"lyapunov": {"v": 2}}),
        lambda: other(testbed=load_scenario("bristol-A").testbed),
    ],
)
def test_whatever_a_run_follows_from_is(change: Callable[[], Scenario]) -> None:
    assert scenario_digest(change()) != scenario_digest(DEMO)


def test_scheme_seed_and_settings_are() -> None:
    row = SCHEMES["sect"]
    assert scheme_digest(row) != scheme_digest(SCHEMES["e3-prior"])
    assert scheme_digest(replace(row, router_params={"courtesy": 1.0})) != scheme_digest(row)
    assert scheme_digest(replace(row, summary="in other words")) == scheme_digest(row)
    keys = {
        run_key(*of)
        for of in [("a", "b", 0, 0.2), ("a", "b", 1, 0.2), ("a", "b", 0, 0.1), ("b", "b", 0, 0.2)]
    }
    assert len(keys) == 4


BESIDE = (
    "edgebed.commands",
    "edgebed.harmless",
    "edgebed.matrix.watched",
    "edgebed.report",
    "edgebed.runs.failure",
    "edgebed.runs.layout",
    "edgebed.runs.manifest",
    "edgebed.runs.pool",
    "edgebed.runs.processes",
    "edgebed.runs.provenance",
)
"""What a run loads and no figure follows from: where it is said, shown, kept, timed and shared out."""
PLANNED = """
import sys
from pathlib import Path
import edgebed.matrix.figures as figures
from edgebed.wiring.parts import find_scheme
from emulation.files import load_scenario
assert figures.measure(load_scenario(Path(sys.argv[1])), find_scheme("MA"), 0, 0.2) is not None
import edgebed.runs.whatif_world  # what the planner's own process runs
for name, module in sorted(sys.modules.items()):
    if name.split(".")[0] == "edgebed" and not module.__file__.endswith("__init__.py"):
        print(name, module.__file__)
"""


@pytest.mark.slow
def test_all_of_our_code_that_a_run_is_computed_by_is(tmp_path: Path) -> None:
    """MA has the most of it: a planner whose plans are tried in a world of their own."""
    found = run(
        [sys.executable, "-c", PLANNED, str(small(tmp_path))], capture_output=True, text=True, check=True
    )
    loaded = {name: Path(file).resolve() for name, file in map(str.split, found.stdout.splitlines())}
    digested = {file.resolve() for file in code_files()}
    assert "edgebed.runs.whatif_fixed" in loaded
    assert [n for n, file in loaded.items() if file not in digested and not n.startswith(BESIDE)] == []
    assert len(digested) > 200


def test_an_edit_of_ones_own_package_makes_its_runs_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    package = tmp_path / "keyed_lab"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "helping.py").write_text("STEP = 1\n")
    (package / "own.py").write_text(
        "from dataclasses import replace\nfrom controller.schemes import SCHEMES\n"
        'OWN = replace(SCHEMES["sect"], name="own")\n'
    )
    try:
        before = scheme_digest(find_scheme("keyed_lab.own:OWN"))
        assert scheme_digest(find_scheme("keyed_lab.own:OWN")) == before
        (package / "helping.py").write_text("STEP = 2\n")
        edited = scheme_digest(find_scheme("keyed_lab.own:OWN"))
        assert edited != before
        (package / "weights.npz").write_bytes(b"trained")
        trained = scheme_digest(find_scheme("keyed_lab.own:OWN"))
        assert trained != edited
        (package / "runs" / "matrix-mine").mkdir(parents=True)
        (package / "runs" / "matrix-mine" / "journal.jsonl").touch()
        (package / "runs" / "matrix-mine" / "summary.json").write_text("{}")
        assert scheme_digest(find_scheme("keyed_lab.own:OWN")) == trained, (
            "results are not what it decides by"
        )
    finally:
        for name in [m for m in sys.modules if m.startswith("keyed_lab")]:
            del sys.modules[name]
        while str(tmp_path) in sys.path:
            sys.path.remove(str(tmp_path))


def test_an_edit_of_ones_own_source_makes_its_runs_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "keyed_source.py"
    file.write_text("class Mine:\n    pass\n")
    own = other(workload=(OutsideSource(source="keyed_source:Mine"),))
    try:
        before = scenario_digest(own)
        assert scenario_digest(own) == before
        file.write_text("class Mine:\n    STEP = 2\n")
        assert scenario_digest(own) != before
    finally:
        sys.modules.pop("keyed_source", None)
        while str(tmp_path) in sys.path:
            sys.path.remove(str(tmp_path))
