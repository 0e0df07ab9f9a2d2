"""The reproduction: how gaps are counted, the paper's own range, and what the command leaves."""

from __future__ import annotations

import csv
from pathlib import Path
from statistics import fmean

import orjson
import pytest
from typer.testing import CliRunner

from edgebed.commands.main import app
from edgebed.reproduce.common.cells import Cell, variant
from edgebed.reproduce.e3.gaps import easy, gap
from edgebed.reproduce.e3.run import settings
from edgebed.reproduce.e3.runs import measure
from edgebed.reproduce.e3.settings import TEST_SEEDS, TUNE_SEEDS, known_laws, paper_settings
from emulation.files import load_scenario
from tests.build.accessible import problems
from tests.build.terminals import cut, written_tables
from workloads.mismatch import world_truth
from workloads.pools import random_pool


def test_gap_is_the_mean_over_pools_of_each_pools_own_ratio() -> None:
    found = gap([[2.0, 4.0], [10.0, 10.0], [1.0, 2.0]], [[2.0, 2.0], [10.0, 10.0], [2.0, 2.0]])
    assert found.mean.mean == pytest.approx((0.5 + 0.0 - 0.25) / 3)
    assert found.median == pytest.approx(0.0)
    assert found.share_negative == pytest.approx(1 / 3)
    assert found.n == 3


def test_gap_after_warm_up_leaves_the_same_indices_out_of_both() -> None:
    assert gap([[100.0, 3.0, 3.0]], [[1.0, 2.0, 2.0]], skip=1).mean.mean == pytest.approx(0.5)
    with pytest.raises(ValueError, match="do not pair"):
        gap([[1.0]], [[1.0]], skip=1)
    with pytest.raises(ValueError, match="do not pair"):
        gap([[1.0]], [])


def test_a_cell_is_easy_where_never_learning_is_within_three_times() -> None:
    ours = gap([[1.02]], [[1.0]])
    assert easy(ours, gap([[1.05]], [[1.0]]))
    assert not easy(ours, gap([[1.07]], [[1.0]]))


def test_parameters_were_chosen_on_other_pools_than_are_reported() -> None:
    assert not set(TUNE_SEEDS) & set(TEST_SEEDS)
    assert len(TEST_SEEDS) >= 60


@pytest.mark.slow
def test_four_device_pool_gives_the_papers_oracle_and_static_baselines() -> None:
    setting = next(s for s in paper_settings() if s.name == "e3-warmup-0")

    def mean_s(scheme: str) -> float:
        return fmean(fmean(measure(Cell(setting, variant(scheme), seed)).latencies_s) for seed in range(6))

    assert mean_s("oracle") == pytest.approx(4.97, abs=0.05)
    assert mean_s("fixed-heuristic") == pytest.approx(16.95, abs=0.2)
    assert mean_s("round-robin") == pytest.approx(17.1, abs=0.2)
    assert mean_s("e3-prior") == pytest.approx(mean_s("oracle"), rel=1e-6)


def test_every_event_window_covers_the_task_indices_it_names() -> None:
    windows = {
        "e3-semantic-a": [(40, 60), (90, 110), (140, 160), (190, 210), (240, 260)],
        "e3-semantic-b": [(30, 60), (80, 110), (130, 160), (180, 210), (230, 260)],
        "e3-churn": [(50, 80), (120, 150), (200, 230), (250, 265)],
        "e3-drift": [(100, 220)],
    }
    arrivals = [i / 0.28 for i in range(300)]
    for name, expected in windows.items():
        found = []
        for event in load_scenario(name).events:
            inside = [i for i, t in enumerate(arrivals) if event.at_s <= t < event.until_s]
            found.append((inside[0], inside[-1] + 1))
        assert found == expected, name


def test_known_laws_are_the_truth_of_the_pool() -> None:
    pool, known = random_pool(3), known_laws(3)
    truth = world_truth(pool, 3)
    for before, after in zip(pool.testbed.profile, known.testbed.profile, strict=True):
        ratios = truth.ratios(str(before.node), before.model, before.mode)
        assert after.theta == pytest.approx([c * r for c, r in zip(before.theta, ratios, strict=False)])
    assert known.mismatch_sigma == 0.0
    assert known.workload == pool.workload


@pytest.mark.slow
@pytest.mark.usefixtures("undrawn")  # in the page; its figures are drawn into files
def test_command_writes_page_tables_and_figures_and_prints_the_promised_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = {"e3-warmup-30", "e3-semantic-a", "e3-drift", "pool4-warmup-0", "pool4-drift"}
    few = [s for s in settings(quick=True) if s.name in kept]
    monkeypatch.setattr("edgebed.reproduce.e3.run.settings", lambda quick: few)
    done = CliRunner().invoke(
        app, ["reproduce", "e3", "--quick", "--pools", "1", "--out", str(tmp_path), "--json"]
    )
    assert done.exit_code == 0, done.output
    found = orjson.loads(done.stdout)
    for scenario in kept:
        row = found[scenario]["e3"]
        assert {"oracle_gap", "mean_latency_ms", "stutter_rate"} <= set(row)
    assert found["e3-semantic-a"]["e3"]["stutter_rate"] == 0.0
    assert found["e3-drift"]["oracle"]["oracle_gap"] == 0.0
    for name in ("rows.csv", "table-5.csv", "table-6.csv", "courtesy.csv", "pools.csv"):
        assert len((tmp_path / name).read_text().splitlines()) > 1, f"{name} has rows"
    for name in ("table-5.csv", "pools.csv"):
        heads = next(csv.reader((tmp_path / name).read_text().splitlines()))
        gap = next(i for i, head in enumerate(heads) if head in ("gap", "our gap"))
        assert heads[gap + 1] == "gap to courteous Oracle", "beside the gap to the paper's"
    for name in ("figure-3.png", "figure-4.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
    page = (tmp_path / "report.html").read_text()
    assert page.count('role="img"') == 2
    assert problems(page) == []
    assert page.index("Table 5, mean latencies within 10%: ") < page.index("<nav")
    for table in written_tables(tmp_path):
        assert not cut(table, 80), table.title
        assert not cut(table, 40), table.title
