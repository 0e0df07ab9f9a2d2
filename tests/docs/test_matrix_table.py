"""The README's table of schemes is the one that `make matrix` wrote, and what it says of it stands there too."""

from __future__ import annotations

import re
from math import comb
from pathlib import Path

from edgebed.matrix.plan import load_plan

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
RESULT = (ROOT / "benchmarks" / "results" / "matrix" / "matrix.md").read_text(encoding="utf-8")


def test_the_table_is_that_of_the_result() -> None:
    table = RESULT.split("## Order of the schemes")[1].strip().split("\n\n")[0]
    assert table.count("\n") > 8
    assert table in README


def test_what_is_said_of_it_is_said_in_the_result() -> None:
    both_ways = re.search(r"(\d+) pairs are significantly better one way in some cells", RESULT)
    assert both_ways is not None
    assert f"{both_ways[1]} of {comb(13, 2)} pairs are significantly better one way" in README
    best = re.search(r"(\d+) of 13 schemes are best in some cell", RESULT)
    assert best is not None
    words = (
        "no",
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "ten",
        "eleven",
        "twelve",
        "all",
    )
    assert f"{words[int(best[1])]}\nschemes are best in some cell" in README
    assert "INCOMPLETE" not in RESULT
    assert "FAILED" not in RESULT


def test_the_result_is_of_the_plan_that_is_shipped() -> None:
    plan, _ = load_plan("standard")
    runs = len(plan.schemes) * len(plan.seeds) * 18
    assert f"{len(plan.schemes)} schemes, {len(plan.seeds)} seeds: {runs} runs" in RESULT
    assert f"{runs:,} runs" in README
