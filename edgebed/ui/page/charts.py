"""The live tab: how the run goes, model by model, with earlier schemes as ghosts behind it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nicegui import ui

from edgebed.report.palette import Look, scheme_looks
from edgebed.ui.page.plots import (
    GHOSTS,
    PLOTS,
    PREDICTED,
    Plot,
    ended,
    is_blank,
    marked,
    points_of,
    predicted_options,
    predicted_points,
    time_options,
)
from edgebed.ui.page.room import Room
from edgebed.ui.page.stage import Stage
from edgebed.ui.views import EventView, Source, Span


class Charts:
    """The plots of the run that is shown. Made once; then only points that are new are sent (`Stage.plot`)."""

    def __init__(self, room: Room, stage: Stage, shown: Callable[[], bool]) -> None:
        """`shown`: whether anybody looks at them."""
        self._room, self._stage, self._shown = room, stage, shown
        self._ghosts: list[Source] = []
        self._haunted: tuple[str, list[float]] | None = None
        self._blank: dict[int, bool] = {}
        self._marked: tuple[EventView, ...] = ()
        self._ended: Span | None = None
        with ui.element("div").classes("bar"):
            self._model = ui.toggle([], on_change=self.refresh).props("dense no-caps unelevated")
            self._legend = ui.element("div").classes("legend")
        with ui.element("div").classes("charts"):
            blank = Look("tone-5", "o", (0, ()))
            self._plots = [_chart(p.name, time_options(p, blank, (), "")) for p in PLOTS]
            self._predicted = _chart(PREDICTED, predicted_options(blank))
        room.on_open(self.opened)
        room.on_slow(self.refresh)

    def opened(self) -> None:
        """Another run is shown: other models, other looks, other ghosts."""
        source = self._source()
        models = [model.id for model in source.testbed.models]
        self._ghosts = self._room.earlier()[-GHOSTS:]
        looks = scheme_looks(dict.fromkeys(entry.scheme for entry in self._room.entries))
        own = looks[source.scheme]
        behind = [(ghost.scheme, looks[ghost.scheme]) for ghost in self._ghosts]
        for chart, plot in zip(self._plots, PLOTS, strict=True):
            self._redo(chart, time_options(plot, own, behind, source.scheme))
        self._redo(self._predicted, predicted_options(own))
        self._marked, self._ended, self._haunted = (), None, None
        self._draw_legend([(source.scheme, own), *behind])
        kept = self._model.value if self._model.value in models else models[0]
        self._model.set_options(models, value=kept)

    def refresh(self) -> None:
        """Send what the plots lack at this moment."""
        if self._room.source is None or self._model.value is None or not self._shown():
            return
        if self._room.earlier()[-GHOSTS:] != self._ghosts:  # another one has been read
            self.opened()
        source, t_s, model = self._source(), self._room.moment.t_s, str(self._model.value)
        series = source.series(t_s)
        for chart, plot in zip(self._plots, PLOTS, strict=True):
            lines = points_of(plot, series, model)
            self._say_blank(chart, is_blank(lines))
            for line, points in lines.items():
                self._stage.plot(chart.id, f"own-{line}", points)
        self._stage.plot(self._predicted.id, "own-predicted", predicted_points(series, model))
        self._haunt(model)
        self._mark(source, t_s)

    def _say_blank(self, chart: ui.echart, blank: bool) -> None:
        """Say in a plot that it has nothing to show, while that is so."""
        if self._blank.get(chart.id, False) != blank:
            self._blank[chart.id] = blank
            _change(chart, {"title": {"show": blank}})

    def _haunt(self, model: str) -> None:
        """Draw the earlier schemes, if they are others, or longer, than those that are drawn."""
        ends = [ghost.span().to_s for ghost in self._ghosts]
        if (model, ends) == self._haunted:
            return
        self._haunted = (model, ends)
        for i, (ghost, to_s) in enumerate(zip(self._ghosts, ends, strict=True)):
            whole = ghost.series(to_s)
            for chart, plot in self._compared():
                first = next(iter(points_of(plot, whole, model).values()))
                self._stage.plot(chart.id, f"ghost-{i}", first)

    def _compared(self) -> list[tuple[ui.echart, Plot]]:
        """The plots that other schemes stand in."""
        return [(c, plot) for c, plot in zip(self._plots, PLOTS, strict=True) if plot.compared]

    def _redo(self, chart: ui.echart, options: dict[str, Any]) -> None:
        """Give a chart other series; what it showed is gone."""
        chart.options.clear()
        chart.options.update(options)
        chart.update()
        self._stage.forget(chart.id)
        self._blank.pop(chart.id, None)

    def _mark(self, source: Source, t_s: float) -> None:
        """Bands where something was wrong, and how far the axis goes; sent when they change."""
        events, span = tuple(source.events(t_s)), source.span()
        open_ones = any(event.undone_s is None for event in events)
        if events != self._marked or open_ones:
            for chart in self._plots:
                _change(chart, marked(events, t_s))
            self._marked = events
        if self._ended is None or ended(span) != ended(self._ended):
            for chart in self._plots:
                _change(chart, ended(span))
            self._ended = span

    def _draw_legend(self, shown: list[tuple[str, Look]]) -> None:
        self._legend.clear()
        with self._legend:
            for i, (scheme, look) in enumerate(shown):
                with ui.element("span"):
                    style = "solid" if not i else "dotted"
                    ui.element("i").style(f"border-color: var(--{look.ink}); border-top-style: {style}")
                    ui.label(scheme + ("" if not i else " (same requests)")).style("display: inline")
            with ui.element("span"):
                ui.element("i").classes("band")
                ui.label("while an event was in force").style("display: inline")

    def _source(self) -> Source:
        assert self._room.source is not None, "panels are told of a run when there is one"
        return self._room.source


def _change(chart: ui.echart, options: dict[str, Any]) -> None:
    """Change options of a chart; it is drawn anew once, with all that is changed in the same frame."""
    chart.run_chart_method("setOption", options, {"lazyUpdate": True})


def _chart(name: str, options: dict[str, object]) -> ui.echart:
    with ui.element("figure").classes("chart").style("margin: 0"):
        with ui.element("h2"):
            ui.label(name)
        return ui.echart(options, renderer="svg").props(f'role=img aria-label="{name}"')
