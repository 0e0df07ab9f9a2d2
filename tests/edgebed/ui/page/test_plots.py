"""What the plots show: the run's own lines, other schemes behind them, when something was wrong; no text is markup."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from edgebed.report.palette import scheme_looks
from edgebed.ui.page.plots import (
    NAMED,
    PLOTS,
    ended,
    is_blank,
    marked,
    points_of,
    predicted_options,
    predicted_points,
    time_options,
)
from edgebed.ui.page.words import percent
from edgebed.ui.views import EventView, Span
from tests.build.room import HOSTILE, ComputedRun

RUN = ComputedRun("MA")
LOOKS = scheme_looks(["MA", HOSTILE])
ALL = [
    *(time_options(plot, LOOKS["MA"], [(HOSTILE, LOOKS[HOSTILE])], "MA") for plot in PLOTS),
    predicted_options(LOOKS["MA"]),
]


def keys(value: Any) -> Iterator[str]:
    for key, inner in value.items() if isinstance(value, dict) else ():
        yield from (key, *keys(inner))
    for inner in value if isinstance(value, list) else ():
        yield from keys(inner)


@pytest.mark.parametrize("options", ALL)
def test_no_text_of_others_is_a_key_or_markup(options: dict[str, Any]) -> None:
    assert all(key.isidentifier() for key in keys(options)), "NiceGUI evaluates keys that begin with a colon"
    assert options["tooltip"]["renderMode"] == "richText"
    assert json.loads(json.dumps(options)) == options


@pytest.mark.parametrize("plot", PLOTS, ids=lambda plot: plot.name)
def test_every_line_of_a_plot_has_its_points(plot: Any) -> None:
    lines = points_of(plot, RUN.series(300), "gpt2")
    ids = {series["id"] for series in time_options(plot, LOOKS["MA"], (), "MA")["series"]}
    assert {f"own-{line}" for line in lines} == ids - {"marks"}
    assert all(len(points) == 30 for points in lines.values())


def test_a_later_moment_only_adds_points() -> None:
    before, after = (points_of(PLOTS[0], RUN.series(t), "gpt2")["p50"] for t in (200, 300))
    assert list(after[: len(before)]) == list(before)


def test_what_was_not_measured_is_said_and_not_drawn_as_zero() -> None:
    first = next(plot for plot in PLOTS if "first token" in plot.name)
    assert is_blank(points_of(first, RUN.series(300), "sd"))
    assert not is_blank(points_of(first, RUN.series(300), "gpt2"))


def test_a_model_without_figures_has_lines_without_points() -> None:
    assert points_of(PLOTS[0], RUN.series(300), "nobody") == {"p50": [], "p95": []}


def test_bands_end_where_their_event_does_or_at_the_moment_shown() -> None:
    def bands(t_s: float) -> list[tuple[float, float]]:
        data = marked(RUN.events(t_s), t_s)["series"][0]["markArea"]["data"]
        return [(begin["xAxis"], end["xAxis"]) for begin, end in data]

    assert [bands(t) for t in (50, 150, 350)] == [[], [(100, 150)], [(100, 200), (300, 350)]]


def test_bands_say_what_they_are_unless_there_are_many() -> None:
    def names(events: Sequence[EventView]) -> set[str]:
        return {begin["name"] for begin, _ in marked(events, 400)["series"][0]["markArea"]["data"]}

    assert names(RUN.events(400)) == {"slowdown edge-0", "leave edge-2"}
    assert names([replace(RUN.events(400)[0], number=i) for i in range(NAMED + 1)]) == {""}


def test_the_axis_of_a_run_without_end_goes_as_far_as_it_is() -> None:
    endless = Span(from_s=0, to_s=70, end_s=1e9, growing=True)
    assert ended(endless)["xAxis"]["max"] == 70


def test_logarithmic_axes_get_no_zero() -> None:
    assert all(real > 0 and said > 0 for real, said in predicted_points(RUN.series(300), "gpt2"))


@pytest.mark.parametrize(
    ("share", "said"), [(0, "0%"), (1, "100%"), (574 / 576, "99.7%"), (0.99999, "99.9%"), (0.5, "50%")]
)
def test_nearly_all_is_not_said_to_be_all(share: float, said: str) -> None:
    assert percent(share) == said
