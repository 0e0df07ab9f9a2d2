"""Many comparisons: how often a check in which all is well fails, and whether a real difference is still found."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from edgebed.report.model import ParityReport, ParityRow
from edgebed.runs.family import judged, rejected
from edgebed.runs.parity import CLOSED_LOOP_RUNS, LEVEL, closed_loop_row
from emulation.rng import stream

ROWS = 12
TRIES = 200


def check(number: int, live: Callable[[float], float], sd: float = 0.05) -> ParityReport:
    """Twelve comparisons whose live runs are `live` of what a virtual one may come to, at means of 10 s."""
    drawn = 10.0 * (1 + sd * stream(number, "family").standard_normal((ROWS, CLOSED_LOOP_RUNS + 1)))
    rows = [closed_loop_row("AL", f"m{i}", live(float(r[0])), r[1:].tolist()) for i, r in enumerate(drawn)]
    return ParityReport(judged(rows, 1 - LEVEL))


@pytest.mark.slow
def test_a_check_in_which_all_is_well_fails_in_5_of_100_runs_and_not_in_every_second() -> None:
    reports = [check(n, lambda s: s) for n in range(TRIES)]
    assert np.mean([any(row.outside for row in report.rows) for report in reports]) > 0.35, "row by row"
    assert np.mean([report.ok is False for report in reports]) < 0.08


@pytest.mark.parametrize(
    ("what", "live"), [("speed off by 30%", lambda s: 1.3 * s), ("a wait missing", lambda s: s - 2.5)]
)
def test_a_real_difference_is_found(what: str, live: Callable[[float], float]) -> None:
    found = [check(n, live) for n in range(40)]
    assert all(report.ok is False for report in found), what
    wrong = [sum(row.ok is False for row in report.rows) for report in found]
    assert np.mean(wrong) > 0.9 * ROWS


def test_a_difference_of_a_single_model_is_found_among_eleven_that_agree() -> None:
    def one(number: int) -> ParityReport:
        rows = list(check(number, lambda s: s).rows)
        virtual = (10.0 * (1 + 0.05 * stream(number, "one").standard_normal(CLOSED_LOOP_RUNS))).tolist()
        rows[3] = closed_loop_row("AL", "slow", 13.0, virtual)
        return ParityReport(judged(rows, 1 - LEVEL))

    assert all(one(n).rows[3].ok is False for n in range(40))


def test_holm_rejects_from_the_lowest_on_and_stops_at_the_first_that_chance_explains() -> None:
    assert rejected([0.04, 0.001, 0.02, 0.01], 0.05) == {1, 3, 2, 0}
    assert rejected([0.04, 0.02, 0.03], 0.05) == set()
    assert rejected([0.04, 0.016, 0.03], 0.05) == {1}
    assert rejected([], 0.05) == set()


def test_a_mean_just_outside_neither_agrees_nor_disagrees_and_the_head_line_says_so() -> None:
    inside = [closed_loop_row("AL", f"m{i}", 10.0, (9.8, 10.0, 10.2, 10.0)) for i in range(11)]
    just = closed_loop_row("AL", "just", 10.65, (9.8, 10.0, 10.2, 10.0))
    assert just.verdict == "disagree"
    report = ParityReport(judged([*inside, just], 1 - LEVEL))
    assert report.rows[-1].verdict == "may be chance"
    assert report.ok is True
    assert report.said == (
        "two worlds: 11 of 12 comparisons with power agree; 1 outside by no more than chance among so many"
    )
    assert judged([just], 1 - LEVEL)[0].verdict == "disagree"


def test_what_is_no_matter_of_chance_is_not_excused() -> None:
    replay = ParityRow("AL", "replay", "a", 10.0, 10.3, 0.03, 9.8, 10.2, False)
    alone = closed_loop_row("AL", "b", None, (10.0, 10.1))
    assert [row.ok for row in judged([replay, alone], 1 - LEVEL)] == [False, False]
