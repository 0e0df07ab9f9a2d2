"""Runs of several folders are checked and judged as those of one are, and what differs is not averaged in silence."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from edgebed.report import ParityReport, ParityRow, comparison_json
from edgebed.report.several import page_names
from edgebed.runs.comparison import compare_virtual, conclude
from edgebed.runs.layout import Layout
from edgebed.runs.manifest import read_note
from edgebed.runs.several import groups_of
from emulation.domain.scenario import Scenario
from emulation.recording import RECORD_FILE
from tests.build.command_line import edgebed
from tests.build.small import small_scenario
from workloads.accounting import Accounting

pytestmark = pytest.mark.usefixtures("undrawn")

STATED = {"tier": "estimate", "source": "test"}
AGREES = ParityRow("AL", "replay", "gpt2", 10.0, 10.1, 0.01, 9.8, 10.2, True)
DISAGREES = ParityRow("AL", "replay", "sd", 10.0, 12.0, 0.2, 9.8, 10.2, False)


def judged(idle_watts: int = 100, e2e_s: float = 10.0, per_hour: float = 1.0) -> Scenario:
    """The small scenario on a testbed of these watts and prices, with an SLO."""
    testbed = small_scenario().testbed.model_dump()
    watts = {"idle": idle_watts, "cpu": 200, "gpu": 300}
    testbed["power"] = [{"mode": mode, "watts": value, **STATED} for mode, value in watts.items()]
    testbed["prices"] = {"currency": "EUR", "nodes": [{"per_hour": per_hour, **STATED}]}
    plain = {**small_scenario().model_dump(), "testbed": testbed, "slo": {"gpt2": {"e2e_s": e2e_s}}}
    return Scenario.model_validate(plain)


def made(root: Path, scheme: str = "AL", seeds: int = 1, **of: Any) -> Path:
    compare_virtual(judged(**of), scheme.split(","), range(seeds), Layout(root), quiet=True)
    return root


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with watts, prices, an SLO, sources that are accounted for, and a parity report."""
    root = made(tmp_path_factory.mktemp("several") / "one", "sect,AL", seeds=2)
    Layout(root).save_parity(ParityReport((AGREES,)))
    return root


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    return Path(shutil.copytree(whole, tmp_path / "spoilt"))


def test_a_group_of_one_folder_is_what_the_folder_itself_reports(whole: Path) -> None:
    (group,), troubles = groups_of([whole])
    own = conclude(Layout(whole))
    assert own is not None
    assert troubles == []
    assert comparison_json(group.comparison()) == comparison_json(own)
    told = comparison_json(own)
    assert told["schemes"]["AL"]["slo_share"] is not None
    assert told["schemes"]["AL"]["energy_wh"] is not None
    assert told["workload"]
    assert told["parity"]


def test_seeds_that_are_still_to_run_count_for_none_as_in_the_folder_itself(folder: Path) -> None:
    shutil.rmtree(folder / "AL" / "seed-1")
    (group,), _ = groups_of([folder])
    own = conclude(Layout(folder))
    assert own is not None
    assert own.seeds == (0,)
    assert comparison_json(group.comparison()) == comparison_json(own)


@pytest.mark.parametrize("other", [{"idle_watts": 10}, {"per_hour": 9.0}, {"e2e_s": 1.0}])
def test_what_is_judged_by_other_watts_prices_or_slo_is_not_put_together(
    tmp_path: Path, other: dict[str, Any]
) -> None:
    one, two = made(tmp_path / "one"), made(tmp_path / "two", "sect", **other)
    groups, _ = groups_of([one, two])
    assert [group.name for group in groups] == ["small (1)", "small (2)"]
    own = conclude(Layout(two))
    assert own is not None
    shown = groups[1].comparison()
    for name in ("energy_wh", "cost", "slo_share"):
        assert getattr(shown.summaries("sect")[0], name) == getattr(own.summaries("sect")[0], name)
    said = f"{two}: not put together with {one}, which is judged by other watts, prices or another SLO"
    assert said in shown.remarks


def test_what_is_judged_alike_is_put_together(tmp_path: Path) -> None:
    (group,), _ = groups_of([made(tmp_path / "one"), made(tmp_path / "two", "sect")])
    assert list(group.comparison().schemes) == ["AL", "sect"]


def test_a_folder_that_is_reached_twice_counts_once(folder: Path) -> None:
    """What is left out of it too, and nobody is told that schemes of two folders differ in seeds."""
    shutil.rmtree(folder / "AL" / "seed-1")
    failed_run(folder)
    (once,), _ = groups_of([folder])
    (twice,), _ = groups_of([folder.parent, folder, folder / ".." / folder.name])
    assert {(out.scheme, out.seed, out.how) for out in once.kept.left_out} == {
        ("AL", 0, "failed"),
        ("AL", 1, "missing"),
    }
    assert comparison_json(twice.comparison()) == comparison_json(once.comparison())
    assert twice.folders == once.folders


def test_a_folder_that_cannot_be_read_is_told_once(tmp_path: Path) -> None:
    made(tmp_path / "one")
    failed_run(tmp_path / "one")
    groups, troubles = groups_of([tmp_path, tmp_path / "one"])
    assert groups == []
    assert len(troubles) == 1


def test_whoever_asks_for_one_run_hears_nothing_of_the_others(folder: Path) -> None:
    for scheme in ("AL", "sect"):
        own = folder / scheme / "seed-1"
        note = read_note(own)
        assert note is not None
        note.model_copy(update={"died": {"gateway": 1}}).write(own)
    for asked, runs in (
        (folder / "AL" / "seed-1", ["AL"]),
        (folder / "AL" / "seed-0", []),
        (folder, ["sect", "AL"]),
    ):
        (group,), _ = groups_of([asked])
        died = [said for said in group.comparison().remarks if "died" in said]
        assert died == [f"{scheme}, seed 1: died unplanned: gateway ×1" for scheme in runs]


def failed_run(folder: Path) -> None:
    note = orjson.loads((folder / "AL/seed-0/run.json").read_bytes())
    (folder / "AL/seed-0/run.json").write_bytes(orjson.dumps(note | {"failed": "ValueError: no"}))


def unread_rows(folder: Path) -> None:
    """One of two schemes of a seed lost what its sources read."""
    note = read_note(folder / "sect/seed-0")
    assert note is not None
    lost = Accounting("trace x", "trace", 10, 8, {"empty": 1})
    note.model_copy(update={"workload": (lost,)}).write(folder / "sect/seed-0")


def parity_fails(folder: Path) -> None:
    Layout(folder).save_parity(ParityReport((AGREES, DISAGREES)))


UNSOUND: dict[str, tuple[Callable[[Path], None], str]] = {
    "a run failed": (failed_run, "ValueError: no"),
    "a source does not add up": (unread_rows, "10 read ≠ 8 requests"),
    "the worlds disagree": (parity_fails, "1 of 2 comparisons with power agree"),
}


@pytest.mark.slow
@pytest.mark.parametrize("what", UNSOUND)
def test_what_does_not_hold_fails_a_report_over_several_as_it_fails_that_of_one(
    what: str, folder: Path, tmp_path: Path
) -> None:
    spoil, said = UNSOUND[what]
    spoil(folder)
    other = made(tmp_path / "other", e2e_s=3.0)
    edgebed("report", str(folder), code=1)
    assert said in (folder / "report.html").read_text()
    out = tmp_path / "out"
    told = edgebed("report", str(folder), str(other), "--out", str(out), code=1)
    assert "small (1): a run is missing, was cut or failed, or a check does not hold" in told.stderr
    assert said in (out / "report.html").read_text()
    edgebed("runs", "compare", str(folder), str(other), code=1)
    edgebed("runs", "export", str(folder), "--out", str(tmp_path / "tables"), code=1)
    assert list(csv.DictReader((tmp_path / "tables" / "summaries.csv").read_text().splitlines()))


def test_different_versions_in_different_folders_are_said(tmp_path: Path) -> None:
    one, two = made(tmp_path / "one"), made(tmp_path / "two", "sect")
    record = two / "sect" / "seed-0" / RECORD_FILE
    lines = record.read_bytes().splitlines(keepends=True)
    version = json.loads(lines[0])["edgebed"]
    record.write_bytes(
        lines[0].replace(f'"edgebed":"{version}"'.encode(), b'"edgebed":"0.0.1"') + b"".join(lines[1:])
    )
    (group,), _ = groups_of([one, two])
    said = [r for r in group.comparison().remarks if "different versions of edgebed" in r]
    assert said == [
        f"its runs were made by different versions of edgebed: {', '.join(sorted(('0.0.1', version)))}"
    ]


def test_pages_never_overwrite_one_another() -> None:
    names = page_names(["report", "demo (1)", "demo-1", "Demo-1", "Report", "室", "..", "a/b"])
    assert list(names.values()) == [
        "report-2.html", "demo-1.html", "demo-1-2.html", "Demo-1-3.html", "Report-3.html", "experiment.html",
        "experiment-2.html", "a-b.html",
    ]  # fmt: skip


@pytest.mark.slow
def test_scenarios_whose_names_look_like_ours_have_pages_of_their_own(tmp_path: Path) -> None:
    """Two of one name are numbered; a third is named as the first of these, another as the page over all."""
    for i, name in enumerate(("demo", "demo", "demo-1", "report")):
        scenario = small_scenario(name=name, deadline_s=60 + i)
        compare_virtual(scenario, ["AL"], [0], Layout(tmp_path / "in" / str(i)), quiet=True)
    groups, _ = groups_of([tmp_path / "in"])
    assert len({group.name for group in groups}) == 4
    out = tmp_path / "out"
    edgebed("report", str(tmp_path / "in"), "--out", str(out))
    assert len(list(out.iterdir())) == 5
    assert "Several experiments" in (out / "report.html").read_text()
