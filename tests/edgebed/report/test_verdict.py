"""The verdict: a word and the figures it rests on, and no more than the seeds can tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from edgebed.report import Comparison, compare_runs
from edgebed.report.verdict import Verdict, percentage, relative, verdicts
from tests.build.records import request, run

Latencies = Mapping[int, Sequence[float | None]]
"""Seed to the latency of each request; None: it expired."""


def compared(base: Latencies, other: Latencies) -> Comparison:
    runs = [
        run(
            [
                request(
                    float(i), 30.0 if late is None else late, outcome="expired" if late is None else "done"
                )
                for i, late in enumerate(latencies)
            ],
            scheme=scheme,
            seed=seed,
            reasoner="none",
        )
        for scheme, seeds in (("AL", base), ("sect", other))
        for seed, latencies in seeds.items()
    ]
    return compare_runs(runs, baseline="AL")


def the(comparison: Comparison) -> Verdict:
    (found,) = verdicts(comparison)
    return found


def test_what_is_faster_on_every_seed_is_better_by_so_much() -> None:
    found = the(compared({s: [20.0 + s] for s in range(8)}, {s: [10.0 + s] for s in range(8)}))
    assert found.word == "better"
    assert found.text.startswith("sect against AL: mean −10.0 s (−43%), 95% −10.0 to −10.0; success the same")
    assert found.text.endswith("; 8 seeds")


def test_a_difference_that_changes_its_sign_is_not_distinguishable() -> None:
    other = {s: [20.0 + (5 if s % 2 else -5)] for s in range(8)}
    found = the(compared({s: [20.0] for s in range(8)}, other))
    assert found.word == "not distinguishable"
    assert "which includes 0" in found.text


@pytest.mark.parametrize(("seeds", "said"), [(1, "1 seed, so no interval"), (2, "2 seeds, so no interval")])
def test_one_or_two_seeds_are_no_verdict(seeds: int, said: str) -> None:
    found = the(compared({s: [20.0] for s in range(seeds)}, {s: [10.0] for s in range(seeds)}))
    assert found.word == "too few seeds"
    assert said in found.text
    assert "95%" not in found.text


@pytest.mark.parametrize("seeds", [3, 4])
def test_few_seeds_are_said_to_be_few(seeds: int) -> None:
    found = the(compared({s: [20.0 + s] for s in range(seeds)}, {s: [10.0] for s in range(seeds)}))
    assert f"only {seeds} seeds, so intervals are wide (t = " in found.text


def test_faster_by_refusing_work_is_mixed() -> None:
    base = {s: [20.0 + s, 22.0] for s in range(6)}
    found = the(compared(base, {s: [10.0 + s, None] for s in range(6)}))
    assert found.word == "mixed"
    assert "success −0.50" in found.text


def test_slower_is_worse_and_success_that_may_be_nothing_is_said_so() -> None:
    base = {s: [10.0 + s] * 4 for s in range(6)}
    other = {s: [20.0 + s] * 3 + [20.0 if s else None] for s in range(6)}
    found = the(compared(base, other))
    assert found.word == "worse"
    assert "(95% includes 0)" in found.text


def test_nothing_served_has_no_latency_to_compare() -> None:
    found = the(compared({s: [10.0] for s in range(5)}, {s: [None] for s in range(5)}))
    assert found.word == "worse"
    assert "mean latency not measured on both sides" in found.text


def test_runs_that_share_no_seed_are_no_pair() -> None:
    found = the(compared({0: [10.0], 1: [11.0]}, {2: [9.0], 3: [9.5]}))
    assert found.word == "no pair"


def test_a_share_is_of_the_seeds_both_ran() -> None:
    pairs = compared({0: [10.0], 1: [1000.0]}, {0: [5.0]})
    assert relative(pairs, "sect", "mean_latency_s") == pytest.approx(-0.5)
    assert verdicts(compare_runs([run()])) == []


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (None, ""),
        (-0.473, "−47%"),
        (0.0312, "+3.1%"),
        (-0.9999, "−99.9%"),
        (-1.0, "−100%"),
        (0.0002, "+<0.1%"),
        (-0.0002, "−<0.1%"),
        (0.0, "0.0%"),
        (24.0, "×25.0"),
    ],
)
def test_percentages_keep_their_sign_and_do_not_become_a_tie(share: float | None, text: str) -> None:
    assert percentage(share) == text
