"""A plan from its file to its result: goes on where it was stopped, keeps failures apart, says the same each time."""

from __future__ import annotations

import csv
import os
import signal
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml

from controller.routers.sect import Sect
from edgebed.matrix import cells, running
from edgebed.matrix.figures import measure
from edgebed.matrix.files import write_files
from edgebed.matrix.journal import Journal
from edgebed.matrix.plan import load_plan, plan_names
from edgebed.matrix.running import Made, run_plan
from edgebed.matrix.stability import analyse
from edgebed.matrix.tables import costs_table
from edgebed.matrix.watched import Watch
from edgebed.report.figures import number
from edgebed.runs import virtual
from edgebed.wiring.parts import find_scheme
from emulation.domain.mistakes import ConfigError
from emulation.files import load_scenario
from emulation.recording import MemorySink
from tests.build.command_line import edgebed, small

MEASURED = ("costs.csv", "costs.md", "matrix.html", "journal.jsonl")


def plan(folder: Path, **changes: Any) -> Path:
    """Two cells, three schemes, three seeds."""
    small(folder)
    path = folder / "plan.yaml"
    path.write_text(yaml.safe_dump({
        "name": "tiny", "scenarios": ["small.yaml"], "parameters": {"load": [1, 2]},
        "schemes": ["RR", "AL", "sect"], "seeds": "0-2", **changes,
    }))  # fmt: skip
    return path


def made(folder: Path, out: str = "out", workers: int | None = 1, **changes: Any) -> Made:
    return run_plan(*load_plan(str(plan(folder, **changes))), folder / out, quiet=True, workers=workers)


def result(folder: Path, out: str) -> dict[str, bytes]:
    """The files that follow from the plan alone."""
    return {f.name: f.read_bytes() for f in (folder / out).iterdir() if f.name not in MEASURED}


@pytest.mark.slow
def test_a_plan_is_run_ranked_and_written(tmp_path: Path) -> None:
    said = edgebed("matrix", str(plan(tmp_path)), "--out", str(tmp_path / "out"))
    assert "Order of the schemes" in said.stdout
    found = orjson.loads((tmp_path / "out" / "summary.json").read_bytes())
    assert found["runs"] == {"wanted": 18, "finished": 18, "failed": 0}
    assert len(found["cells"]) == 2
    assert {row["scheme"] for row in found["order"]} == {"RR", "AL", "sect"}
    rows = list(csv.DictReader((tmp_path / "out" / "cells.csv").read_text().splitlines()))
    assert len(rows) == 6
    assert all(float(r["success_ratio"]) <= 1 and float(r["rank_low"]) <= float(r["rank"]) for r in rows)
    assert len((tmp_path / "out" / "journal.jsonl").read_bytes().splitlines()) == 18


@pytest.mark.slow
def test_the_same_plan_gives_the_same_bytes_and_finished_runs_are_not_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(plan(tmp_path))
    for out in ("one", "two"):
        edgebed("matrix", path, "--out", str(tmp_path / out), "--quiet")
    assert result(tmp_path, "one") == result(tmp_path, "two")

    def begun(*_: Any, **__: Any) -> Any:
        raise AssertionError("a run was made again")

    monkeypatch.setattr(running, "measure", begun)
    before = result(tmp_path, "one")
    edgebed("matrix", path, "--out", str(tmp_path / "one"), "--quiet")
    assert result(tmp_path, "one") == before
    edgebed("matrix", path, "--out", str(tmp_path / "one"), "--rank-by", "goodput")
    assert orjson.loads((tmp_path / "one" / "summary.json").read_bytes())["rank_by"] == "goodput"


@pytest.mark.slow
def test_what_an_interrupt_leaves_is_gone_on_with_to_the_same_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add, written = Journal.add, []

    def struck(self: Journal, *given: Any) -> None:
        add(self, *given)
        written.append(given)
        if len(written) == 4:
            os.kill(os.getpid(), signal.SIGINT)

    path = str(plan(tmp_path))
    with monkeypatch.context() as patched:
        patched.setattr(Journal, "add", struck)
        said = edgebed("matrix", path, "--out", str(tmp_path / "cut"), "--workers", "2", code=130)
    assert "the same command goes on with it" in said.stderr
    assert "INCOMPLETE" in (tmp_path / "cut" / "matrix.md").read_text()
    kept = (tmp_path / "cut" / "journal.jsonl").read_bytes().splitlines()
    assert 4 <= len(kept) < 18
    edgebed("matrix", path, "--out", str(tmp_path / "cut"))
    edgebed("matrix", path, "--out", str(tmp_path / "whole"))
    assert (tmp_path / "cut" / "journal.jsonl").read_bytes().splitlines()[: len(kept)] == kept
    assert result(tmp_path, "cut") == result(tmp_path, "whole")


@pytest.mark.slow
def test_a_line_that_was_not_written_to_its_end_is_cut_off(tmp_path: Path) -> None:
    done = made(tmp_path)
    journal = tmp_path / "out" / "journal.jsonl"
    whole = journal.read_bytes()
    journal.write_bytes(whole[:-20])
    again = made(tmp_path)
    assert (again.before, len(again.results.runs)) == (17, 18)
    assert again.results.runs.keys() == done.results.runs.keys()
    journal.write_bytes(whole.replace(b'"cpu_s"', b'"cpu_time"', 1))
    assert made(tmp_path).before == 17  # another version's line is no longer of use
    journal.write_bytes(b"{}\n" + whole)
    with pytest.raises(ConfigError, match="journal.jsonl: line 1: not a run that was kept"):
        made(tmp_path)


@pytest.mark.slow
def test_a_scheme_that_fails_is_counted_and_ends_nobody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def choose(*_: Any, **__: Any) -> None:
        raise IndexError("no such column")

    with monkeypatch.context() as patched:
        patched.setattr(Sect, "choose", choose)
        said = edgebed("matrix", str(plan(tmp_path)), "--out", str(tmp_path / "out"), code=1)
    assert "IndexError: no such column" in said.stderr
    assert "not ranked: sect: every run failed in some cell" in said.stdout
    found = orjson.loads((tmp_path / "out" / "summary.json").read_bytes())
    assert found["runs"] == {"wanted": 18, "finished": 12, "failed": 6}
    assert found["not_ranked"] == ["sect"]
    assert {row["scheme"] for row in found["order"]} == {"RR", "AL"}
    edgebed("matrix", str(plan(tmp_path)), "--out", str(tmp_path / "out"))  # what failed is tried again


@pytest.mark.slow
def test_a_seed_on_which_one_scheme_failed_counts_for_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulate = virtual.simulate

    def sometimes(scenario: Any, scheme: Any, seed: int, *more: Any, **named: Any) -> Any:
        if (scheme.name, seed) == ("sect", 1):
            raise RuntimeError("by chance")
        return simulate(scenario, scheme, seed, *more, **named)

    monkeypatch.setattr(virtual, "simulate", sometimes)
    results = made(tmp_path).results
    assert len(results.failed) == 2
    assert results.ranked() == ("RR", "AL", "sect")
    assert [block.seeds for block in results.blocks()] == [(0, 2), (0, 2)]


@pytest.mark.slow
def test_two_commands_do_not_write_into_one_folder(tmp_path: Path) -> None:
    made(tmp_path)
    with (
        Journal(tmp_path / "out"),
        pytest.raises(ConfigError, match="another edgebed matrix is at work here"),
    ):
        made(tmp_path)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"scenarios": ["absent.yaml"]}, "absent.yaml: no such file"),
        ({"scenarios": []}, "scenarios"),
        ({"scenarios": ["demo", "demo"]}, "name 'demo' is there twice"),
        ({"scenarios": [{"scenario": "demo", "pool": {}}]}, "must have either scenario or pool"),
        ({"scenarios": [{"pool": {"devices": 7}}]}, "devices must be an even number, not 7"),
        ({"schemes": ["RR", "sekt"]}, "unknown scheme 'sekt'; did you mean 'sect'"),
        ({"schemes": ["RR"]}, "schemes: must have at least 2 entries, not 1"),
        ({"schemes": "RR,AL"}, "schemes: must be a list, not 'RR,AL'"),
        (
            {"scenarios": ["small.yaml", {"scenario": "small.yaml", "name": "other"}]},
            "same scenario, and would",
        ),
        ({"parameters": {"load": [1, "x1"]}}, "cells 'small, load 1' and 'small, load x1': are the same"),
        ({"seeds": "3-1"}, "3-1 names no seeds"),
        ({"seeds": [1, 1]}, "is there twice"),
        ({"parameters": {"service_kv": [1]}}, r"scenario small, service_kv 1: .*did you mean 'service_cv'"),
        ({"parameters": {"load": [1, 1]}}, "parameters.load: value '1' is there twice"),
        ({"parameters": {"controllers.lyapunov.w": [1]}}, "lyapunov"),
        ({"rank_by": "latency"}, "rank_by: must be 'penalised_latency_s', .* or 'objective', not 'latency'"),
        ({"surprise": 1}, "unknown key 'surprise'"),
        (
            {"scenarios": ["e3-basic"], "rank_by": "objective", "parameters": {}},
            "has no deadline, so there is no J",
        ),
    ],
)
def test_what_is_wrong_with_a_plan_is_one_line_before_anything_is_written(
    tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        made(tmp_path, **changes)
    assert not (tmp_path / "out").exists()


def test_too_many_runs_are_refused_before_any_cell_is_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def built(*_: Any) -> Any:
        raise AssertionError("a cell was built")

    monkeypatch.setattr(cells, "_base", built)
    many = list(range(1, 1_001))
    with pytest.raises(ConfigError, match=r"tiny: has 9000000000 runs; 1000000 are the most"):
        made(tmp_path, parameters={"deadline_s": many, "slot_s": many, "load": many})


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").touch()
    with pytest.raises(ConfigError, match="holds no matrix"):
        made(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["sect", "e3", "MA", "DRL", "oracle"])
def test_whoever_looks_at_the_clock_changes_no_byte_of_a_record(scheme: str, tmp_path: Path) -> None:
    world = load_scenario(small(tmp_path, slots=6))
    plain, looked_at, watch = MemorySink(), MemorySink(), Watch()
    virtual.simulate(world, scheme, 3, plain)
    virtual.simulate(world, scheme, 3, looked_at, watched=watch)
    assert looked_at.run() == plain.run()
    assert watch.spent.routing_s > 0
    assert watch.spent.control_s > 0


def test_a_run_in_which_the_scheme_is_switched_is_made_unwatched(tmp_path: Path) -> None:
    switch = {"kind": "scheme", "to": "AL", "at_s": 30}
    small(tmp_path, events=[switch])
    kept = measure(load_scenario(tmp_path / "small.yaml"), find_scheme("sect"), 0, 0.2)
    assert kept is not None
    assert (kept.cost.routing_s, kept.cost.control_s) == (None, None)


def test_routing_is_per_request_of_the_runs_in_which_it_was_measured(tmp_path: Path) -> None:
    (tmp_path / "switched").mkdir()
    small(tmp_path / "switched", events=[{"kind": "scheme", "to": "LL", "at_s": 30}])
    entries = ["small.yaml", {"scenario": "switched/small.yaml", "name": "switched"}]
    results = made(tmp_path, scenarios=entries, parameters={}, seeds=[0]).results
    found = analyse(results, "goodput")
    assert found is not None
    table = costs_table(results, found)
    shown = {row[0]: row[3] for row in table.rows}
    for scheme in ("RR", "AL", "sect"):
        measured, switched = (results.runs[cell, scheme, 0] for cell in (0, 1))
        assert measured.cost.routing_s is not None
        assert switched.cost.routing_s is None
        assert switched.figures.arrived > 0
        each_us = 1e6 * measured.cost.routing_s / measured.figures.arrived
        assert shown[results.labels[scheme]] == number(each_us, 0)


def test_a_pool_draws_a_testbed_for_each_seed(tmp_path: Path) -> None:
    entry = {"pool": {"devices": 4, "plan": "drift"}, "set": {"service_cv": 0}}
    results = made(
        tmp_path, scenarios=[entry], schemes=["sect", "round-robin"], seeds=[0, 1], parameters={}
    ).results
    (cell,) = results.cells
    assert cell.build(0).testbed != cell.build(1).testbed
    assert cell.build(0).service_cv == 0
    assert len(results.runs) == 4


@pytest.mark.slow
def test_one_order_is_called_stable_only_where_it_is(tmp_path: Path) -> None:
    results = made(tmp_path, seeds="0-3").results
    found = analyse(results, "penalised_latency_s")
    assert found is not None
    assert found.verdict == "too little to say"
    verdicts = {"stable", "depends on the cell", "partly told apart", "not distinguishable"}
    assert found.verdict not in verdicts


@pytest.mark.slow
def test_a_result_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    results = made(tmp_path).results
    (tmp_path / "shown").mkdir()
    (tmp_path / "shown" / "costs.md").mkdir()
    with pytest.raises(OSError, match="costs.md"):
        write_files(results, analyse(results, "goodput"), False, tmp_path / "shown")
    assert not list((tmp_path / "shown").glob(".*"))


@pytest.mark.parametrize("name", plan_names())
def test_every_shipped_plan_is_one_that_can_be_run(name: str) -> None:
    found, beside = load_plan(name)
    of_plan = running.cells_of(found, beside)
    assert len({cell.testbed for cell in of_plan}) >= 5
    assert len(found.schemes) >= 8
