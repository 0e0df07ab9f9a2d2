"""A folder holds one comparison: what does not belong is refused by name; how files were copied is nothing."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from controller.schemes import SCHEMES
from edgebed.runs.comparison import compare_virtual, conclude
from edgebed.runs.folder_runs import kept_runs, one_run
from edgebed.runs.layout import Layout
from edgebed.runs.manifest import MANIFEST_FILE, RUN_FILE, read_manifest, read_note
from edgebed.wiring.identity import identity_of
from emulation.domain.records import WITHOUT_TENANTS
from emulation.domain.scenario import Scenario
from emulation.files import ConfigError
from emulation.jsonl import RecordError
from emulation.recording import RECORD_FILE, read_run
from tests.build.small import small_scenario


def compared(root: Path, schemes: str = "AL,sect", seeds: int = 2, **changes: Any) -> Layout:
    """A finished comparison."""
    layout = Layout(root)
    compare_virtual(small_scenario(**changes), schemes.split(","), range(seeds), layout, quiet=True)
    return layout


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compared(tmp_path_factory.mktemp("made") / "runs").root


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    return Path(shutil.copytree(made, tmp_path / "copy"))


@pytest.mark.slow
def test_a_record_states_version_and_digests_and_its_neighbour_where_it_comes_from(made: Path) -> None:
    header = read_run(made / "AL" / "seed-1").header
    assert (header.scenario_digest, header.testbed_digest) == identity_of(small_scenario())
    assert header.edgebed
    note = read_note(made / "AL" / "seed-1")
    assert note is not None
    assert note.origin.host
    assert note.origin.command.startswith("edgebed")
    assert note.origin.date.endswith("+00:00")


def test_nothing_of_where_and_when_is_in_a_record(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.node", lambda: "elsewhere")
    again = compared(tmp_path / "again", schemes="AL", seeds=1)
    assert (again.root / "AL/seed-0" / RECORD_FILE).read_bytes() == (
        made / "AL/seed-0" / RECORD_FILE
    ).read_bytes()
    assert (again.root / "AL/seed-0" / RUN_FILE).read_bytes() != (made / "AL/seed-0" / RUN_FILE).read_bytes()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"slots": 5}, "slots: 4, now 5"),
        ({"deadline_s": None}, "deadline_s: 60.0, now null"),
        ({"rate_per_s": 2.0}, "workload[0].rate_per_s: 1.0, now 2.0"),
        ({"testbed": "bristol-a"}, "testbed."),
    ],
)
def test_going_on_with_another_experiment_is_refused_naming_the_difference(
    folder: Path, changes: dict[str, Any], said: str
) -> None:
    before = (folder / MANIFEST_FILE).read_bytes()
    with pytest.raises(ConfigError) as refused:
        compare_virtual(small_scenario(**changes), ["RR"], [0], Layout(folder), quiet=True, resume=True)
    assert said in str(refused.value)
    assert (folder / MANIFEST_FILE).read_bytes() == before
    assert not (folder / "RR").exists()


def test_a_folder_that_holds_a_comparison_asks_for_resume(folder: Path) -> None:
    with pytest.raises(ConfigError, match="--resume"):
        compare_virtual(small_scenario(), ["RR"], [0], Layout(folder), quiet=True)


@pytest.mark.parametrize("there", ["notes.txt", "AL", "scenario.json"])
def test_a_folder_with_anything_else_in_it_is_refused(tmp_path: Path, there: str) -> None:
    (tmp_path / there).mkdir() if there == "AL" else (tmp_path / there).write_text("mine")
    for resume in (False, True):
        with pytest.raises(ConfigError, match=f"is not empty.*{there}"):
            compare_virtual(small_scenario(), ["AL"], [0], Layout(tmp_path), quiet=True, resume=resume)
    assert [entry.name for entry in tmp_path.iterdir()] == [there]


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    for out in ("out", "out/below"):
        with pytest.raises(ConfigError):
            compare_virtual(small_scenario(), ["AL"], [0], Layout(tmp_path / out), quiet=True)


def test_going_on_makes_only_what_is_not_there(folder: Path) -> None:
    old = folder / "AL" / "seed-0" / RECORD_FILE
    before = old.stat().st_mtime_ns
    shutil.rmtree(folder / "sect" / "seed-1")
    outcome = compare_virtual(
        small_scenario(), ["AL", "RR"], [0, 1, 2], Layout(folder), quiet=True, resume=True
    )
    assert old.stat().st_mtime_ns == before
    assert list(outcome.runs)[:3] == [("AL", 0), ("AL", 1), ("sect", 0)]
    manifest = read_manifest(folder)
    assert manifest is not None
    assert manifest.plan == {"AL": (0, 1, 2), "sect": (0, 1), "RR": (0, 1, 2)}
    assert len(manifest.origins) == 2
    comparison = conclude(Layout(folder))
    assert comparison is not None
    assert {name: len(own) for name, own in comparison.schemes.items()} == {"AL": 3, "sect": 2, "RR": 3}
    assert comparison.complete


def test_order_and_baseline_are_the_comparisons_own_however_its_files_were_copied(folder: Path) -> None:
    for name in ("sect", "AL"):
        shutil.move(folder / name, folder / "elsewhere")
        shutil.move(folder / "elsewhere", folder / name)
        os.utime(folder / name)
    comparison = conclude(Layout(folder))
    assert comparison is not None
    assert list(comparison.schemes) == ["AL", "sect"]
    assert comparison.baseline == "AL"


def test_a_baseline_is_kept_with_the_comparison_and_can_be_another_one_later(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "out")
    compare_virtual(small_scenario(), ["AL", "sect"], [0], layout, quiet=True, baseline="sect")
    kept, other = conclude(layout), conclude(layout, baseline="AL")
    assert kept is not None
    assert other is not None
    assert (kept.baseline, other.baseline) == ("sect", "AL")
    with pytest.raises(ConfigError, match=r"--baseline 'RR'.*AL, sect"):
        conclude(layout, baseline="RR")
    with pytest.raises(ConfigError, match=r"--baseline 'RR'.*AL, sect"):
        compare_virtual(
            small_scenario(), ["AL", "sect"], [0], Layout(tmp_path / "no"), quiet=True, baseline="RR"
        )
    assert not (tmp_path / "no").exists()


def test_a_run_of_another_experiment_in_the_folder_is_refused_by_its_difference(
    folder: Path, tmp_path: Path
) -> None:
    other = compared(tmp_path / "other", schemes="RR", seeds=1, rate_per_s=3.0)
    shutil.copytree(other.root / "RR", folder / "RR")
    with pytest.raises(ConfigError, match=r"RR.*another experiment.*rate_per_s: 1.0, now 3.0"):
        conclude(Layout(folder))
    shutil.rmtree(folder / "sect" / "seed-1")
    shutil.move(folder / "RR" / "seed-0", folder / "sect" / "seed-1")
    with pytest.raises(ConfigError, match="is of RR, seed 0, and does not belong"):
        conclude(Layout(folder))


def test_a_scenario_that_was_changed_since_is_refused_by_report_and_replay(folder: Path) -> None:
    file = folder / "scenario.json"
    file.write_text(file.read_text().replace('"deadline_s": 60.0', '"deadline_s": 30.0'))
    for look in (lambda: conclude(Layout(folder)), lambda: one_run(folder / "AL" / "seed-0")):
        with pytest.raises(ConfigError, match=r"scenario.json: was changed.*deadline_s: 60.0, now 30.0"):
            look()


def test_an_event_that_never_ends_is_the_same_event_when_its_comparison_is_read_again(tmp_path: Path) -> None:
    event = {"kind": "slowdown", "node": "arc-b60", "factor": 2, "at_s": 20, "until_s": float("inf")}
    layout = compared(tmp_path / "runs", schemes="sect", seeds=1, events=[event])
    assert conclude(layout) is not None
    assert one_run(layout.root / "sect" / "seed-0")[1].events[0].until_s == float("inf")


def test_a_run_of_the_same_experiment_may_be_added_by_hand(folder: Path, tmp_path: Path) -> None:
    other = compared(tmp_path / "other", schemes="RR", seeds=2)
    shutil.copytree(other.root / "RR", folder / "RR")
    comparison = conclude(Layout(folder))
    assert comparison is not None
    assert list(comparison.schemes) == ["AL", "sect", "RR"]


def test_without_the_manifest_what_stands_beside_each_record_tells(folder: Path, tmp_path: Path) -> None:
    other = compared(tmp_path / "other", schemes="RR", seeds=1, rate_per_s=3.0)
    shutil.copytree(other.root / "RR", folder / "RR")
    (folder / MANIFEST_FILE).unlink()
    with pytest.raises(ConfigError, match=r"RR.*rate_per_s: 1.0, now 3.0"):
        conclude(Layout(folder))
    shutil.rmtree(folder / "RR")
    comparison = conclude(Layout(folder))
    assert comparison is not None
    assert list(comparison.schemes) == [name for name in SCHEMES if name in ("AL", "sect")]


def older(root: Path) -> Path:
    """The folder as version 2 would have written it."""
    for name in (MANIFEST_FILE, *(f"{s}/seed-{k}/{RUN_FILE}" for s in ("AL", "sect") for k in (0, 1))):
        (root / name).unlink()
    for file in root.glob(f"*/*/{RECORD_FILE}"):
        head, _, rest = file.read_text().partition("\n")
        header = json.loads(head) | {"version": 2}
        for key in ("edgebed", "scenario_digest", "testbed_digest"):
            del header[key]
        file.write_text(json.dumps(header) + "\n" + rest)
    return root


def test_records_of_version_2_still_open_and_are_said_to_carry_no_provenance(folder: Path) -> None:
    comparison = conclude(Layout(older(folder)))
    assert comparison is not None
    assert {name: len(own) for name, own in comparison.schemes.items()} == {"AL": 2, "sect": 2}
    assert any("no provenance" in remark for remark in comparison.remarks)


def test_records_of_version_2_that_do_not_fit_are_refused_too(folder: Path, tmp_path: Path) -> None:
    other = older(compared(tmp_path / "other", rate_per_s=3.0).root)
    older(folder)
    shutil.rmtree(folder / "sect")
    shutil.copytree(other / "sect", folder / "sect")
    with pytest.raises(ConfigError, match="not the same requests"):
        conclude(Layout(folder))


SPOILT: dict[str, Callable[[Path], object]] = {
    "zero bytes": lambda f: f.write_bytes(b""),
    "half a line": lambda f: f.write_bytes(f.read_bytes()[:100]),
    "cut in the middle": lambda f: f.write_bytes(f.read_bytes()[: f.stat().st_size // 2]),
    "no footer": lambda f: f.write_bytes(f.read_bytes().rpartition(b'{"t_s"')[0]),
    "gzip that was cut": lambda f: f.write_bytes(b"\x1f\x8b\x08\x00" + bytes(range(256))),
    "another format": lambda f: f.write_bytes(b"scheme,seed,latency\nAL,1,2.0\n"),
    "JSON that is no record": lambda f: f.write_bytes(b"[1, 2]\n{}\n"),
    "a list for a kind": lambda f: f.write_bytes(b'{"kind": ["header"]}\n{"kind": 1}\n'),
    "words for numbers": lambda f: f.write_bytes(f.read_bytes().replace(b'"slots":4', b'"slots":"four"')),
    "not text": lambda f: f.write_bytes(b"\xff\xfe" * 100 + b"\n" + b"\x00\n"),
    "a folder": lambda f: (f.unlink(), f.mkdir()),
}


@pytest.mark.parametrize("how", SPOILT)
def test_a_spoilt_record_is_named_and_the_others_are_reported(folder: Path, how: str) -> None:
    SPOILT[how](folder / "sect" / "seed-1" / RECORD_FILE)
    comparison = conclude(Layout(folder))
    assert comparison is not None
    assert [(o.scheme, o.seed) for o in comparison.left_out] == [("sect", 1)]
    assert not comparison.complete
    assert not comparison.sound
    assert len(comparison.schemes["sect"]) == 1


@pytest.mark.parametrize("how", SPOILT)
def test_a_spoilt_neighbour_is_never_a_traceback(folder: Path, how: str) -> None:
    for name in ("AL/seed-0/side.jsonl", f"AL/seed-1/{RUN_FILE}", MANIFEST_FILE, "scenario.json"):
        file = folder / name
        content = file.read_bytes() if file.exists() else b""
        file.write_bytes(content or b'{"line": 1}\n')
        SPOILT[how](file)
        said = name
        try:
            conclude(Layout(folder))
        except (ConfigError, RecordError) as error:
            said = str(error)
        assert name in said
        shutil.rmtree(file) if file.is_dir() else file.unlink()
        file.write_bytes(content) if content else None


def test_a_record_of_a_newer_version_is_refused_by_its_number(folder: Path) -> None:
    file = folder / "AL" / "seed-0" / RECORD_FILE
    now = f'"version":{WITHOUT_TENANTS}'.encode()
    file.write_bytes(file.read_bytes().replace(now, b'"version":99,"new_field":1', 1))
    with pytest.raises(RecordError, match="record version 99"):
        conclude(Layout(folder))


def test_foreign_files_beside_the_runs_do_no_harm(folder: Path) -> None:
    (folder / "notes.txt").write_text("mine")
    (folder / "AL" / "seed-x").mkdir()
    (folder / "AL" / "seed-x" / RECORD_FILE).write_text("mine")
    (folder / "AL" / "seed-7").mkdir()
    comparison = conclude(Layout(folder))
    assert comparison is not None
    assert comparison.complete


def test_a_trace_counts_by_its_content_not_by_its_path(tmp_path: Path) -> None:
    rows = "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:17:03.0,1,2\n"
    for name, text in (("a", rows), ("b", rows), ("c", rows.replace("1,2", "1,3"))):
        (tmp_path / name).mkdir()
        (tmp_path / name / "trace.csv").write_text(text)

    def traced(name: str) -> Scenario:
        source = {"kind": "trace", "trace": str(tmp_path / name / "trace.csv"), "mix": {"gpt2": 1.0}}
        return small_scenario(workload=[source])

    assert identity_of(traced("a")) == identity_of(traced("b"))
    assert identity_of(traced("a")) != identity_of(traced("c"))


def test_what_is_kept_of_an_untouched_folder_is_everything(made: Path) -> None:
    kept = kept_runs(Layout(made))
    assert list(kept.whole) == [("AL", 0), ("AL", 1), ("sect", 0), ("sect", 1)]
    assert (kept.cut, kept.left_out, kept.remarks) == ({}, [], [])


def test_options_that_came_since_change_no_run_of_before_unless_they_are_used(folder: Path) -> None:
    """As if an earlier version, which did not know them, had made it."""
    file = folder / MANIFEST_FILE
    manifest = json.loads(file.read_text())
    for model in manifest["experiment"]["testbed"]["models"]:
        del model["context_tokens"]
    del manifest["experiment"]["live"]["gateways"]
    file.write_text(json.dumps(manifest))
    assert conclude(Layout(folder)) is not None
    scenario = json.loads((folder / "scenario.json").read_text())
    scenario["live"]["gateways"] = 2
    (folder / "scenario.json").write_text(json.dumps(scenario))
    with pytest.raises(ConfigError, match=r"was changed.*live.gateways: absent, now 2"):
        conclude(Layout(folder))
