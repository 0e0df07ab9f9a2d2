"""What is said of the order of schemes follows from the figures, and each of the verdicts can come out."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from edgebed.matrix.cells import Cell
from edgebed.matrix.figures import Cost, Figures, Kept
from edgebed.matrix.files import said_order
from edgebed.matrix.picture import critical_difference_picture
from edgebed.matrix.results import Results
from edgebed.matrix.stability import Analysis, analyse
from edgebed.matrix.tables import tables_of

NOTHING: dict[str, Any] = dict.fromkeys(Figures.model_fields)
COUNTS = {"arrived": 10, "done": 10, "decisions": 10, "control_calls": 0, "thinking_s": 0.0, "invalid": 0}


def results(latency: Any) -> Results:
    """Of figures: schemes x cells x seeds."""
    schemes = [chr(ord("a") + i) for i in range(len(latency))]
    cells = [
        Cell("one" if i < 3 else "two", "bed", (("load", str(i)),), lambda _: None, False)
        for i in range(len(latency[0]))
    ]  # type: ignore[arg-type, return-value]
    plan: Any = SimpleNamespace(
        schemes=schemes, seeds=tuple(range(len(latency[0][0]))), risk=0.05, warm_up=0.2
    )
    kept = {
        (c, s, n): Kept(
            figures=Figures(**NOTHING | COUNTS | {
                "penalised_latency_s": float(latency[i][c][n]), "mean_latency_s": float(latency[i][c][n]),
                "success_ratio": 1.0, "steady_success_ratio": 1.0,
            }),
            cost=Cost(cpu_s=1.0, routing_s=0.1, control_s=0.1),
        )
        for i, s in enumerate(schemes) for c in range(len(cells)) for n in plan.seeds
    }  # fmt: skip
    return Results(plan, cells, kept, labels={s: s for s in schemes})


def found(latency: Any) -> Analysis:
    analysis = analyse(results(latency), "penalised_latency_s")
    assert analysis is not None
    return analysis


def noise(shape: tuple[int, ...], seed: int = 0) -> Any:
    return np.random.default_rng(seed).normal(size=shape) * 0.1


def levels(*of: list[float], cells: int = 40, seeds: int = 8) -> Any:
    """One level per scheme and cell, with a little noise."""
    return np.array([[[level] * seeds for level in (row * cells)[:cells]] for row in of]) + noise(
        (len(of), cells, seeds)
    )


def test_the_same_order_everywhere_is_stable() -> None:
    one = found(levels([1], [2], [3]))
    assert (one.verdict, one.overall.schemes, one.overall.wins) == ("stable", ("a", "b", "c"), (40, 0, 0))
    assert [o.share for o in one.orders] == [1, 1, 1]
    assert one.leaving == []
    assert one.groups == []


def test_an_order_that_turns_over_between_cells_depends_on_them() -> None:
    one = found(levels([1, 1, 2], [2, 2, 1], [3]))
    assert one.verdict == "depends on the cell"
    assert "a before b in 27 of 40 cells and behind in 13" in one.why


def test_noise_is_not_distinguishable() -> None:
    one = found(10 + noise((4, 6, 4), 3))
    assert one.verdict == "not distinguishable"
    assert one.groups == [one.overall.schemes]


def test_what_is_clear_for_some_and_not_for_others_is_partly_told_apart() -> None:
    one = found(levels([1], [1], [3], cells=12))
    assert one.verdict == "partly told apart"
    assert one.overall.schemes[2] == "c"


def test_a_pair_that_the_test_over_cells_turns_round_is_not_called_stable() -> None:
    """a is a little ahead in 52 cells and far behind in 48."""
    latency = levels([10.0] * 13 + [13.0] * 12, [10.5] * 13 + [10.0] * 12, [50.0], cells=100, seeds=2)
    one = found(latency)
    (turned,) = [o for o in one.orders if {o.first, o.second} == {"a", "b"}]
    assert (turned.first, turned.tested(0.05)) == ("a", "b")
    assert one.verdict == "partly told apart"
    assert "and 1 the other way round than by mean ranks" in one.why
    table = next(t for t in tables_of(results(latency), one) if "order of each pair" in t.title)
    (row,) = [row for row in table.rows if row[:2] == ("a", "b")]
    assert row[-1].endswith(" behind")


def test_two_cells_are_too_little_to_say() -> None:
    one = found(levels([1], [2], [3], cells=2))
    assert one.verdict == "too little to say"
    assert critical_difference_picture(one, {s: s for s in "abc"}) is None


def test_one_order_in_so_few_cells_that_no_pair_can_be_tested_is_too_little_to_say() -> None:
    one = found(levels([1], [2], [3], cells=4))
    assert one.friedman is not None
    assert one.friedman.concordance == 1
    assert one.verdict == "too little to say"
    assert "the schemes differ" in one.why


def test_the_cell_that_decides_is_named() -> None:
    """a leads by one cell of five; without it, b does."""
    one = found(levels([1, 1, 1, 3, 3], [2, 2, 2, 1, 1], [3, 3, 3, 2, 2], cells=5))
    assert one.overall.schemes[0] == "b"
    swaps = {leaving.what: leaving for leaving in one.leaving}
    assert swaps["two"].best == "a"
    assert swaps["two"].best_changes
    assert ("b", "a") in swaps["two"].swapped


def test_pairs_add_up_to_all_cells() -> None:
    one = found(np.round(levels([1, 2], [2, 1], [1.5], [1.5]), 0))
    assert {o.cells for o in one.orders} == {40}
    assert all(o.ahead >= o.ahead_significantly and o.behind >= o.behind_significantly for o in one.orders)


@pytest.mark.parametrize(
    "latency", [levels([1], [2], [3]), 10 + noise((4, 6, 4), 3), levels([1], [1], [3], cells=2)]
)
def test_tables_can_be_made_of_any_of_them_and_the_picture_is_drawn(latency: Any) -> None:
    of = results(latency)
    one = found(latency)
    titles = [table.title for table in tables_of(of, one)]
    assert titles[0] == "Order of the schemes"
    picture = critical_difference_picture(one, dict(of.labels))
    assert picture is None or picture.png().startswith(b"\x89PNG")


def test_what_was_not_measured_is_last() -> None:
    of = results(levels([1], [2], [3], cells=4))
    for key, kept in list(of.runs.items()):
        if key[1] == "a":
            of.runs[key] = kept.model_copy(
                update={"figures": kept.figures.model_copy(update={"penalised_latency_s": None})}
            )
    one = analyse(of, "penalised_latency_s")
    assert one is not None
    assert one.overall.schemes == ("b", "c", "a")
    assert replace(one).winners(0) == ("b",)


def test_schemes_of_one_mean_rank_are_not_put_before_each_other() -> None:
    assert said_order(["a", "b", "c"], [1.5, 1.5, 3.0]) == "a = b > c"
    assert said_order(["a"], [1.0]) == "a"
