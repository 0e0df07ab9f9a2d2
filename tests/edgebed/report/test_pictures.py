"""Pictures: axes say what they show and in which unit, events are shaded wherever time is, names do not collide."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations
from typing import cast

import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg, RendererAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from edgebed.report import Comparison, compare_runs, plots, plots_time, timelines
from edgebed.report.palette import LIGHT
from edgebed.report.theme import Drawing, lettering
from edgebed.report.timelines import Mark, decision_marks
from tests.build.comparisons import synthetic_comparison, synthetic_run
from tests.build.records import decision, event

PICTURES = {
    "latency over time": plots_time.latency_over_time,
    "load over time": plots_time.load_over_time,
    "distribution": plots.latency_distribution,
    "fairness": plots.latency_against_fairness,
    "per model": plots.per_model,
    "ends": plots.ends_by_outcome,
    "modes": lambda c: timelines.executor_modes(c.results[0].run, "modes", "sect"),
}
OVER_TIME = {"latency over time": 2, "load over time": 2, "modes": 2}
"""Charts over time of each picture."""


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    return synthetic_comparison()


def many(schemes: int, events: int = 0) -> Comparison:
    """So many schemes with long names, on the same requests, under so many events that overlap."""
    of = synthetic_run("sect", 1)
    onsets = tuple(event(100.0 + 30 * i, "onset", i, "slowdown", f"node-{i}") for i in range(events))
    runs = [
        replace(
            of, header=replace(of.header, scheme=f"scheme with a long name {i}"), events=onsets or of.events
        )
        for i in range(schemes)
    ]
    return compare_runs(runs)


def the(name: str, comparison: Comparison) -> Drawing:
    found = PICTURES[name](comparison)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def drawn(comparison: Comparison) -> dict[str, str]:
    """Every picture as it stands in a page."""
    return {name: the(name, comparison).svg() for name in PICTURES}


def charts(figure: Figure) -> Iterator[Axes]:
    yield from (axes for axes in figure.axes if axes.axison)


@pytest.mark.parametrize("name", PICTURES)
def test_every_axis_says_what_it_shows(name: str, comparison: Comparison) -> None:
    with the(name, comparison).figure(LIGHT) as figure:
        figure.canvas.draw()
        for axes in charts(figure):
            for axis in (axes.xaxis, axes.yaxis):
                ticks = [t.get_text() for t in axis.get_ticklabels() if t.get_visible()]
                shown = axis.get_tick_params().get(
                    "labelleft", axis.get_tick_params().get("labelbottom", True)
                )
                named = all(re.search("[A-Za-z]", t) for t in ticks if t)
                assert axis.get_label_text() or named or not shown, f"{name}: {ticks}"


@pytest.mark.parametrize("name", PICTURES)
def test_seconds_are_called_seconds(name: str, comparison: Comparison) -> None:
    with the(name, comparison).figure(LIGHT) as figure:
        labels = {axis.get_label_text() for axes in charts(figure) for axis in (axes.xaxis, axes.yaxis)}
    timed = [label for label in labels if "latency" in label or "virtual" in label]
    assert all(re.search(r"\bs\b", label) for label in timed)
    assert timed or name == "ends"


@pytest.mark.slow
@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_says_what_it_shows(name: str, comparison: Comparison, drawn: dict[str, str]) -> None:
    alt = the(name, comparison).alt
    assert len(alt) > 80
    assert alt in drawn[name].replace("&#x27;", "'")


@pytest.mark.parametrize(("name", "count"), OVER_TIME.items())
def test_faults_are_shaded_in_every_chart_over_time(
    name: str, count: int, comparison: Comparison, drawn: dict[str, str]
) -> None:
    assert drawn[name].count("fill: var(--band)") == 2 * count
    assert "slowdown n1 from 300 to 500 s, leave n2 from 700 to 800 s" in the(name, comparison).alt


@pytest.mark.slow
@pytest.mark.parametrize("name", PICTURES)
@pytest.mark.parametrize("schemes", [3, 10])
def test_no_two_names_stand_on_one_another(name: str, schemes: int) -> None:
    with the(name, many(schemes, events=14)).figure(LIGHT) as figure:
        boxes = _boxes(figure)
        clashes = [(a, b) for (a, one), (b, other) in combinations(boxes, 2) if _overlap(one, other)]
        assert not clashes
        outside = [text for text, box in boxes if box.x0 < -1 or box.x1 > figure.bbox.x1 + 1]
        assert not outside


def _boxes(figure: Figure) -> list[tuple[str, Bbox]]:
    renderer = cast(RendererAgg, FigureCanvasAgg(figure).get_renderer())
    figure.draw(renderer)
    texts = [t for t in figure.findobj(Text) if t.get_text().strip() and t.get_visible()]
    hidden = {
        t for axes in figure.axes for axis in (axes.xaxis, axes.yaxis) for t in axis.get_ticklabels()
        if not axes.axison or not _within(axis.get_view_interval(), t, axis is axes.xaxis)
    }  # fmt: skip
    off = {
        t
        for axes in figure.axes
        if not axes.axison
        for a in (axes.xaxis, axes.yaxis)
        for t in a.findobj(Text)
    }
    return [(t.get_text(), t.get_window_extent(renderer)) for t in texts if t not in hidden | off]


def _within(interval: object, text: Text, across: bool) -> bool:
    low, high = sorted(cast("tuple[float, float]", tuple(interval)))  # type: ignore[call-overload]
    return low <= text.get_position()[0 if across else 1] <= high


def _overlap(one: Bbox, other: Bbox) -> bool:
    shared = Bbox.intersection(one, other)
    return shared is not None and shared.width > 1.5 and shared.height > 1.5


def test_decisions_are_marked_by_who_took_them_and_whether_they_were_refused() -> None:
    decisions = [
        decision(10, "planner"),
        decision(20, "deployer:n1", changes=1),
        decision(20, "deployer:n2", changes=2),
        decision(30, "deployer:n1", changes=0),
        decision(40, "meta", outcome="voided"),
        decision(50, "router", request_id="r"),
        decision(99, "planner"),
    ]
    assert decision_marks(decisions, 60) == [
        Mark(10, "planner", False), Mark(20, "deployer", False), Mark(40, "meta", True),
    ]  # fmt: skip


def test_epochs_are_marked_in_the_chart_of_modes(comparison: Comparison) -> None:
    drawing = the("modes", comparison)
    with drawing.figure(LIGHT) as figure:
        lines = [line for line in figure.axes[-1].lines if line.get_linestyle() == "--"]
        header = comparison.results[0].run.header
        starts = sorted({float(line.get_xdata()[0]) for line in lines})  # type: ignore[index,arg-type]
        epoch_s = header.epoch_slots * header.slot_s
        assert starts[:3] == [epoch_s, 2 * epoch_s, 3 * epoch_s]


def test_a_line_of_the_distribution_ends_at_the_success_ratio(comparison: Comparison) -> None:
    with plots.latency_distribution(comparison).figure(LIGHT) as figure:
        ends = [float(line.get_ydata()[-1]) for line in figure.axes[0].lines]  # type: ignore[index,arg-type]
    pooled = [
        sum(s.done for s in comparison.summaries(n)) / sum(s.arrived for s in comparison.summaries(n))
        for n in comparison.schemes
    ]
    assert ends == pytest.approx(pooled)


@pytest.mark.slow
@pytest.mark.parametrize("name", PICTURES)
def test_the_same_picture_is_drawn_twice_alike(
    name: str, comparison: Comparison, drawn: dict[str, str]
) -> None:
    assert the(name, comparison).svg() == drawn[name]


def test_drawing_leaves_no_colour_name_behind(comparison: Comparison) -> None:
    from matplotlib.colors import get_named_colors_mapping

    the("ends", comparison).svg()
    assert not [name for name in get_named_colors_mapping() if name.startswith("page:")]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("two\nlines", "two lines"),
        ("_hidden", " _hidden"),
        ("模型", "\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}"),
        ("$x_{", "$x_{"),
    ],
)
def test_letters_from_outside_are_drawn_as_they_are(text: str, shown: str) -> None:
    assert lettering(text) == shown


def test_long_names_lose_their_middle() -> None:
    assert lettering("a" * 30 + "b" * 30, 21) == "a" * 10 + "…" + "b" * 10
