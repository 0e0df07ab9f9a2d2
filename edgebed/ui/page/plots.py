"""What the plots show, as options and points of ECharts. Pure. Colours are the page's variables, so that light and dark
need nothing of their own; tooltips are drawn, never markup."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edgebed.report.palette import Look
from edgebed.ui.page.deltas import Points
from edgebed.ui.page.words import one_line
from edgebed.ui.views import EventView, ModelSeries, Series, Span

FIGURES = 4
"""Digits that are sent of a value."""
GHOSTS = 4
"""Most earlier schemes that are drawn behind."""
DIAGONAL = "diagonal"
NAMED = 6
"""Events whose bands say what they are; of more, none does: the slider's marks and the ledger tell."""
LABEL_PX = 110
Values = Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Plot:
    """A plot over time: a value of the model that is chosen, or of all of them."""

    name: str
    unit: str
    of_model: bool
    lines: tuple[tuple[str, Callable[[ModelSeries], Values]], ...] = ()
    """Names and values of its lines; of fairness, which is of no model, none."""
    scale: float = 1.0
    compared: bool = True
    """Whether other schemes are drawn behind; what all of them share is drawn once."""
    top: float | None = None


PLOTS = (
    Plot("Latency, p50 and p95 dashed", "s", True, (("p50", lambda m: m.p50_s), ("p95", lambda m: m.p95_s))),
    Plot("Served in time", "%", True, (("success", lambda m: m.success),), 100.0, top=100.0),
    Plot("Time to first token, p50", "s", True, (("first", lambda m: m.first_token_s),)),
    Plot("Fairness over models (F_norm)", "0 to 1", False, (), top=1.0),
    Plot("Requests that arrive", "per s", True, (("rate", lambda m: m.arrived_per_s),), compared=False),
)
PREDICTED = "Predicted and measured time of requests"


def points_of(plot: Plot, series: Series, model: str) -> dict[str, Points]:
    """Line to its points; a plot of a model without figures has lines without points."""
    if not plot.of_model:
        return {"all": _points(series.t_s, series.fairness, plot.scale)}
    found = series.models.get(model)
    return {n: [] if found is None else _points(series.t_s, of(found), plot.scale) for n, of in plot.lines}


def _points(t_s: Sequence[float], values: Values, scale: float) -> Points:
    pairs = zip(t_s, values, strict=False)
    return [[_short(t), None if v is None else _short(scale * v)] for t, v in pairs]


def is_blank(lines: Mapping[str, Points]) -> bool:
    """Whether a plot has nothing to show of this run."""
    return all(value is None for points in lines.values() for _, value in points)


def predicted_points(series: Series, model: str) -> Points:
    """(measured, predicted) of the latest requests of a model, for logarithmic axes."""
    found = series.predicted
    return [[_short(real), _short(said)] for said, real, of in found if of == model and said > 0 and real > 0]


def _short(value: float) -> float:
    return float(f"{value:.{FIGURES}g}") if abs(value) < 10 ** (FIGURES - 1) else round(value, 1)


def time_options(plot: Plot, own: Look, ghosts: Sequence[tuple[str, Look]], scheme: str) -> dict[str, Any]:
    """A plot over time: lines of this run, thin ones of earlier schemes behind them, and what went wrong when."""
    lines = [name for name, _ in plot.lines] or ["all"]
    behind = [
        _line(f"ghost-{i}", name, look.ink, 1.7, "dotted", 1.0)
        for i, (name, look) in enumerate(ghosts if plot.compared else ())
    ]
    front = [_line(f"own-{lines[0]}", f"{scheme} {lines[0]}", own.ink, 2.4, "solid", 1.0)]
    front += [_line(f"own-{line}", f"{scheme} {line}", own.ink, 1.4, "dashed", 1.0) for line in lines[1:]]
    marks = {
        "id": "marks", "type": "line", "data": [], "silent": True,
        "markArea": {
            "silent": True, "itemStyle": {"color": "var(--bad)", "opacity": 0.13}, "data": [],
            "label": {
                "show": plot is PLOTS[0], "position": "insideTop", "color": "var(--muted)", "fontSize": 10,
                "width": LABEL_PX, "overflow": "truncate",
            },
        },
    }  # fmt: skip
    y = _axis(plot.unit) | {"min": 0, "scale": False} | ({} if plot.top is None else {"max": plot.top})
    return {
        **_frame(),
        "title": {
            "text": "nothing measured up to this moment", "show": False, "left": "center", "top": "middle",
            "textStyle": {"color": "var(--muted)", "fontSize": 12, "fontWeight": "normal"},
        },
        "tooltip": {"trigger": "axis", "renderMode": "richText", "confine": True, **_TOOLTIP},
        "xAxis": _axis("virtual s") | {"min": "dataMin", "nameLocation": "end", "splitLine": {"show": False}},
        "yAxis": y,
        "series": [marks, *behind, *front],
    }  # fmt: skip


def predicted_options(own: Look) -> dict[str, Any]:
    """Predicted against measured, with the line on which both are the same."""
    axis = {"type": "log", "min": 0.01, "max": 1000}
    return {
        **_frame(),
        "tooltip": {"trigger": "item", "renderMode": "richText", "confine": True, **_TOOLTIP},
        "xAxis": _axis("measured s") | axis,
        "yAxis": _axis("predicted s") | axis,
        "series": [
            _line(DIAGONAL, "as predicted", "tone-3", 1, "solid", 1.0)
            | {"data": [[0.01, 0.01], [1000, 1000]], "silent": True},
            {
                "id": "own-predicted", "name": "requests", "type": "scatter", "symbolSize": 4, "data": [],
                "itemStyle": {"color": f"var(--{own.ink})", "opacity": 0.6}, "emphasis": {"disabled": True},
            },
        ],
    }  # fmt: skip


def marked(events: Sequence[EventView], until_s: float) -> dict[str, Any]:
    """The times at which something was wrong, and what it was, as a change of options."""
    named = len(events) <= NAMED
    data = [
        [
            {"name": one_line(f"{e.type} {e.target}", 40) if named else "", "xAxis": e.onset_s},
            {"xAxis": until_s if e.undone_s is None else min(e.undone_s, until_s)},
        ]
        for e in events
        if e.onset_s <= until_s
    ]
    return {"series": [{"id": "marks", "markArea": {"data": data}}]}


def ended(span: Span) -> dict[str, Any]:
    """How far the time axis goes: as far as the run is planned; with its end, if it is planned to have none."""
    return {"xAxis": {"min": span.from_s, "max": span.end_s if span.end_s < 1e8 else max(span.to_s, 1.0)}}


_TOOLTIP = {
    "backgroundColor": "var(--panel)", "borderColor": "var(--rule)",
    "textStyle": {"color": "var(--ink)", "fontSize": 12},
}  # fmt: skip


def _frame() -> dict[str, Any]:
    return {
        "animation": False,
        "backgroundColor": "transparent",
        "grid": {"left": 44, "right": 14, "top": 22, "bottom": 34},
        "textStyle": {"fontFamily": "inherit"},
    }


def _axis(name: str) -> dict[str, Any]:
    quiet = "var(--muted)"
    return {
        "type": "value", "name": name, "nameTextStyle": {"color": quiet, "fontSize": 11, "align": "left"},
        "nameGap": 8, "axisLabel": {"color": quiet, "fontSize": 11, "hideOverlap": True},
        "axisLine": {"show": True, "lineStyle": {"color": "var(--rule)"}},
        "splitLine": {"lineStyle": {"color": "var(--grid)"}},
        "axisPointer": {"lineStyle": {"color": quiet}},
    }  # fmt: skip


def _line(id_: str, name: str, ink: str, width: float, dash: str, opacity: float) -> dict[str, Any]:
    return {
        "id": id_, "name": name, "type": "line", "data": [], "showSymbol": False, "connectNulls": True,
        "lineStyle": {"color": f"var(--{ink})", "width": width, "type": dash, "opacity": opacity},
        "itemStyle": {"color": f"var(--{ink})"}, "emphasis": {"disabled": True},
    }  # fmt: skip
