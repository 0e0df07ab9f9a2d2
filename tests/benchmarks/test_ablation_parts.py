"""What a part of `fused` is worth is counted in pairs, and the README beside them has the committed runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import ablation
from benchmarks.ablation_parts import ROWS, RUNS, main, read_runs, table, worth
from controller.schemes import Scheme

SEEDS = range(4)
WHOLE = {"one": {s: 10.0 + s for s in SEEDS}, "two": {s: 100.0 + s for s in SEEDS}}


def figures(
    scheme: str, factor: float, lost: float = 0.0
) -> tuple[dict[str, dict[str, dict[int, float]]], ...]:
    """Latencies with a scheme so many times as slow in the first world, and success with so much lost there."""
    latency = {world: {"fused": dict(v), scheme: dict(v)} for world, v in WHOLE.items()}
    latency["one"][scheme] = {s: v * factor for s, v in WHOLE["one"].items()}
    success = {
        world: {"fused": dict.fromkeys(SEEDS, 1.0), scheme: dict.fromkeys(SEEDS, 1.0)} for world in WHOLE
    }
    success["one"][scheme] = dict.fromkeys(SEEDS, 1.0 - lost)
    return latency, success


def test_it_is_the_difference_on_the_same_requests_in_per_cent_of_the_whole() -> None:
    part = worth("NO_META", *figures("NO_META", 1.5, lost=0.25))
    assert part.latency["one"].mean == pytest.approx(50.0)
    assert part.latency["one"].excludes_zero
    assert part.latency["two"].mean == 0.0
    assert not part.latency["two"].excludes_zero
    assert part.over.mean == pytest.approx(25.0)
    assert part.success == {"one": pytest.approx(-25.0), "two": pytest.approx(0.0)}


def test_a_world_without_all_its_seeds_is_not_averaged() -> None:
    latency, success = figures("NO_META", 1.5)
    del latency["two"]["NO_META"][3]
    with pytest.raises(ValueError, match="two: NO_META has 3 runs and fused has 4"):
        worth("NO_META", latency, success)


def test_every_scheme_of_the_ablation_has_a_row() -> None:
    assert set(ROWS) == {
        n for n, row in vars(ablation).items() if isinstance(row, Scheme) and row.name != "fused"
    }


def test_the_readme_has_the_table_of_the_runs_beside_it() -> None:
    said = (RUNS.parent.parent / "README.md").read_text(encoding="utf-8")
    assert table(*read_runs(RUNS)) in said


def test_another_file_is_told_by_its_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "runs.csv"
    other.write_text("a,b\n1,2\n")
    with pytest.raises(SystemExit) as ended:
        main([str(other)])
    assert ended.value.code == 2
    assert str(other) in capsys.readouterr().err
