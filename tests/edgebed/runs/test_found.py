"""Runs are found wherever they lie; a damaged or foreign folder is a line and hides nothing."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path
from typing import Any

import orjson
import pytest

from edgebed.runs.comparison import compare_virtual
from edgebed.runs.found import FoundRun, Trouble, Wanted, ends_of, run_folders, search
from edgebed.runs.layout import Layout
from edgebed.runs.manifest import MANIFEST_FILE, RUN_FILE
from edgebed.runs.several import groups_of
from emulation.domain.mistakes import ConfigError
from emulation.jsonl import RecordError
from emulation.recording import RECORD_FILE
from tests.build.command_line import edgebed
from tests.build.small import small_scenario

pytestmark = pytest.mark.usefixtures("undrawn")


def compared(root: Path, schemes: str, seeds: int = 2, **changes: Any) -> Path:
    compare_virtual(small_scenario(**changes), schemes.split(","), range(seeds), Layout(root), quiet=True)
    return root


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two folders of one experiment, and one of another, deeper."""
    root = tmp_path_factory.mktemp("runs")
    compared(root / "one", "AL,sect")
    compared(root / "two", "RR,sect", seeds=3)
    compared(root / "far" / "away" / "other", "AL", deadline_s=30.0)
    return root


@pytest.fixture
def runs(made: Path, tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    return Path(shutil.copytree(made, tmp_path / "runs"))


def found(root: Path, **wanted: Any) -> tuple[list[FoundRun], list[Trouble]]:
    return search([root], Wanted(**wanted), lambda folder: False)


@pytest.mark.slow
def test_every_run_below_a_folder_is_found(made: Path) -> None:
    runs, troubles = found(made)
    assert len(runs) == 2 * 2 + 2 * 3 + 2
    assert troubles == []
    assert {run.status for run in runs} == {"whole"}
    assert all(run.date.endswith("+00:00") for run in runs)


@pytest.mark.parametrize(
    ("wanted", "number"),
    [
        ({"schemes": ("AL",)}, 4),
        ({"schemes": ("A*", "RR")}, 7),
        ({"schemes": ("al",)}, 0),
        ({"seeds": (2,)}, 2),
        ({"scenarios": ("smal?",)}, 12),
        ({"statuses": ("cut",)}, 0),
        ({"world": "live"}, 0),
        ({"since": "2020-01-01"}, 12),
        ({"until": "2020-01-01"}, 0),
        ({"since": "9999-01-01"}, 0),
    ],
)
def test_runs_are_found_by_what_they_are(made: Path, wanted: dict[str, Any], number: int) -> None:
    assert len(found(made, **wanted)[0]) == number


def test_a_day_counts_to_its_end() -> None:
    run = FoundRun(Path(), Path(), "s", "AL", 0, "virtual", "whole", "2026-03-01T18:30:00+00:00")
    assert Wanted(since="2026-03-01", until="2026-03-01").takes(run)
    assert not Wanted(until="2026-02-28").takes(run)
    assert not Wanted(until="2026-03-01T18:29").takes(run)
    assert not Wanted(since="2026-03-01T18:31").takes(run)


def test_what_became_of_a_run_is_told_from_its_ends(runs: Path) -> None:
    one = runs / "one"
    record = (one / "AL/seed-0" / RECORD_FILE).read_bytes()
    (one / "AL/seed-0" / RECORD_FILE).write_bytes(record[: len(record) // 2])
    (one / "AL/seed-1" / RECORD_FILE).write_text("no record\n")
    (one / "sect/seed-0" / RECORD_FILE).unlink()
    note = orjson.loads((one / "sect/seed-1" / RUN_FILE).read_bytes())
    (one / "sect/seed-1" / RUN_FILE).write_bytes(orjson.dumps(note | {"failed": "ValueError: no"}))
    shown = {(run.scheme, run.seed): run for run in found(one)[0]}
    assert {pair: run.status for pair, run in shown.items()} == {
        ("AL", 0): "cut", ("AL", 1): "damaged", ("sect", 0): "missing", ("sect", 1): "failed",
    }  # fmt: skip
    assert shown["sect", 1].why == "ValueError: no"
    running, _ = search([one], Wanted(statuses=("running",)), lambda folder: True)
    assert [(run.scheme, run.seed) for run in running] == [("AL", 0)]
    with pytest.raises(RecordError, match="line 1"):
        ends_of(one / "AL/seed-1" / RECORD_FILE)


def test_a_damaged_or_foreign_folder_is_a_line_and_hides_nothing(runs: Path) -> None:
    (runs / "foreign").mkdir()
    (runs / "foreign" / "x.txt").touch()
    (runs / "two" / MANIFEST_FILE).write_text("{}")
    shown, troubles = found(runs)
    assert len(shown) == 6
    assert [trouble.folder for trouble in troubles] == [runs / "two"]
    said = edgebed("runs", "list", str(runs))
    assert said.stderr.count("left out") == 1
    assert "Traceback" not in said.stderr
    alone = edgebed("runs", "list", str(runs / "foreign"), code=1)
    assert "no run in" in alone.stderr


def test_links_and_hidden_folders_are_left_alone(runs: Path) -> None:
    (runs / "again").symlink_to(runs / "one")
    (runs / ".kept").mkdir()
    shutil.copytree(runs / "one", runs / ".kept" / "one")
    assert len(found(runs)[0]) == 12


def test_the_order_is_that_of_the_comparison(made: Path) -> None:
    shown = [f"{f.parent.name}/{f.name}" for f in run_folders(Layout(made / "two"))]
    assert shown == [f"{scheme}/seed-{n}" for n in range(3) for scheme in ("RR", "sect")]


def test_runs_of_one_experiment_are_put_together_and_others_are_not(made: Path) -> None:
    groups, troubles = groups_of([made])
    assert troubles == []
    assert [(group.name, len(group.runs)) for group in groups] == [("small (1)", 2), ("small (2)", 8)]
    whole = groups[1].comparison("RR")
    assert (whole.baseline, {s: len(own) for s, own in whole.schemes.items()}) == (
        "RR",
        {"AL": 2, "sect": 3, "RR": 3},
    )
    assert any("different seeds (AL: 0, 1; RR: 0, 1, 2" in remark for remark in whole.remarks)
    assert groups[0].comparison("RR").baseline is None


def test_other_records_of_the_same_scheme_and_seed_are_not_put_together(runs: Path) -> None:
    record = runs / "two" / "sect" / "seed-0" / RECORD_FILE
    lines = record.read_bytes().splitlines(keepends=True)
    record.write_bytes(lines[0].replace(b'"edgebed":"', b'"edgebed":"other ') + b"".join(lines[1:]))
    groups, _ = groups_of([runs / "one", runs / "two"])
    assert [len(group.runs) for group in groups] == [4, 6]
    assert any("holds other runs of the same scheme and seed" in remark for remark in groups[1].remarks)


def test_one_run_alone_can_be_named(made: Path) -> None:
    groups, _ = groups_of([made / "one" / "AL" / "seed-1", made / "two" / "RR" / "seed-1"])
    assert [list(group.runs) for group in groups] == [[("AL", 1), ("RR", 1)]]
    assert groups[0].comparison().left_out == ()


def test_all_runs_of_one_scheme_can_be_named(made: Path) -> None:
    assert {run.scheme for run in found(made / "two" / "RR")[0]} == {"RR"}
    assert len(found(made / "two" / "RR")[0]) == 3
    groups, _ = groups_of([made / "two" / "RR"])
    assert [set(group.runs) for group in groups] == [{("RR", 0), ("RR", 1), ("RR", 2)}]


def test_tables_are_printed_experiment_by_experiment(made: Path) -> None:
    said = edgebed("runs", "compare", str(made))
    assert "small (1)" in said.stdout
    assert "no figure is a mean over several" in said.stdout
    plain = orjson.loads(edgebed("runs", "compare", str(made), "--json").stdout)
    assert set(plain["experiments"]) == {"small (1)", "small (2)"}


def test_a_report_over_several_folders_has_a_page_for_all_and_one_for_each(
    made: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    edgebed("report", str(made / "one"), str(made / "far"), "--out", str(out))
    assert {file.name for file in out.iterdir()} == {"report.html", "small-1.html", "small-2.html"}
    page = (out / "report.html").read_text()
    assert "small-2.html" in page
    assert not (made / "one" / "report.html").exists()


def test_what_cannot_be_read_of_several_is_said_and_the_exit_code_tells(runs: Path, tmp_path: Path) -> None:
    (runs / "two" / MANIFEST_FILE).write_text("{}")
    said = edgebed("report", str(runs / "one"), str(runs / "two"), "--out", str(tmp_path / "out"), code=1)
    assert "left out: " in said.stderr
    assert "left out" in (tmp_path / "out" / "report.html").read_text()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("report", "{one}", "--out", "x"), "lies in its own folder"),
        (("report", "{one}", "{two}", "--paper", "x"), "--paper x: is of one comparison"),
        (("report", "{one}", "{two}", "--baseline", "MA"), "--baseline 'MA': was not run in any of them"),
        (("runs", "find", "--status", "hole"), "--status 'hole': did you mean 'whole'"),
        (("runs", "find", "--since", "yesterday"), "--since 'yesterday': is no date; give one as 2026-01-31"),
        (("runs", "find", "--since", "2026-02-30"), "--since '2026-02-30': is no date"),
        (("runs", "find", "absent"), "no such folder"),
        (("runs", "compare", "absent"), "FOLDERS: folder 'absent' does not exist; give an existing folder"),
        (("report", "absent"), "FOLDERS: folder 'absent' does not exist; give an existing folder"),
        (("runs", "export", "{one}", "--tables", "request"), "--tables 'request': did you mean 'requests'"),
    ],
)
def test_what_is_wrong_is_one_line(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    given = [word.format(one=made / "one", two=made / "two") for word in words]
    assert said in edgebed(*given, code=2).stderr
    assert not (tmp_path / "x").exists()


def test_tables_of_all_runs_are_exported(made: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    edgebed("runs", "export", str(made), "--tables", "summaries,requests", "--out", str(out))
    rows = list(csv.DictReader((out / "summaries.csv").read_text().splitlines()))
    assert len(rows) == 10  # sect, seeds 0 and 1, is the same in both folders
    assert {row["experiment"] for row in rows} == {"small (1)", "small (2)"}
    requests = (out / "requests.csv").read_text().splitlines()
    assert len(requests) - 1 >= sum(int(row["arrived"]) for row in rows)


@pytest.mark.slow
def test_parquet_is_exported_where_it_can_be_written(made: Path, tmp_path: Path) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    edgebed("runs", "export", str(made), "--parquet", "--out", str(tmp_path / "out"))
    assert pq.read_table(tmp_path / "out" / "summaries.parquet").num_rows == 10
    assert not (tmp_path / "out" / "summaries.csv").exists()


def test_a_folder_that_is_not_there_is_a_mistake() -> None:
    with pytest.raises(ConfigError, match="no such folder"):
        search([Path("absent")], Wanted(), lambda folder: False)
