"""A check of the profile on paper: table, plain data, plot and page."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from matplotlib.axes import Axes

from edgebed.calibrate.check import Check, Compared, TypeCheck
from edgebed.report.figures import NOT_MEASURED
from edgebed.report.plain import plain_page
from edgebed.report.sheet import Sheet
from edgebed.report.theme import SCHEME_COLOURS, plain_drawing, png
from emulation.files import ConfigError
from emulation.recording import write_whole

PAGE, PLOT, DATA = "check.html", "check.png", "check.json"
COLUMNS = (
    "model", "figure", "n", "mean live", "virtual", "error", "p95 live", "virtual", "error", "p99 live", "virtual",
    "error", "bias", "r", "rank r",
)  # fmt: skip
_HOW = {
    "recorded": "Every request goes where it went live, at the instant it did: what differs is the law.",
    "own": "The scheme's controllers decide again, on the live arrivals: what differs is the law and what follows.",
}


def verdict(check: Check) -> str:
    """The result of a check in one sentence."""
    if check.ok:
        return f"The virtual mean latency of every real model is within {check.within:.0%} of the live one."
    outside = [t.model for t in check.types if not t.ok]
    return f"Outside {check.within:.0%} of the live mean latency: {', '.join(outside)}."


def table(check: Check) -> Sheet:
    """Two lines per model: latency, and time in service alone."""
    return Sheet("", _HOW[check.decisions], COLUMNS, tuple(_rows(check)), keys=2)


def to_json(check: Check) -> dict[str, Any]:
    """All figures as plain data, without the single requests."""
    header = check.run.header
    return {
        "ok": check.ok,
        "within": check.within,
        "decisions": check.decisions,
        "scenario": header.scenario,
        "scheme": header.scheme,
        "seed": header.seed,
        "laws": dict(check.laws),
        "types": {
            t.model: {
                "ok": t.ok,
                "done_live": t.done_live,
                "done_virtual": t.done_virtual,
                "latency": None if t.latency is None else asdict(t.latency),
                "service": None if t.service is None else asdict(t.service),
            }
            for t in check.types
        },
    }


def write_report(folder: Path, check: Check) -> Path:
    """`check.html`, and its plot and figures as files of their own. Returns the page's path. Raises `ConfigError`."""
    plot = plot_png(check)
    header = check.run.header
    page = plain_page(
        title=f"Real models against their laws: {header.scenario}, {header.scheme}, seed {header.seed}",
        paragraphs=[verdict(check), _HOW[check.decisions]],
        sheets=[table(check)],
        pictures=[("Live against virtual", plot)],
        notes_title="Laws in force",
        notes=[f"{name}: {source}" for name, source in check.laws.items()],
    )
    try:
        write_whole(folder / PLOT, plot)
        write_whole(folder / DATA, orjson.dumps(to_json(check), option=orjson.OPT_INDENT_2))
        write_whole(folder / PAGE, page)
    except OSError as error:
        raise ConfigError(f"{folder}: cannot be written: {error}") from error
    return folder / PAGE


def plot_png(check: Check) -> bytes:
    """Left: every request, live against virtual. Middle and right: how latency and time in service are distributed."""
    with plain_drawing(11, 3.8) as figure:
        scatter, latency, service = figure.subplots(1, 3)
        for number, row in enumerate(check.types):
            colour = SCHEME_COLOURS[number % len(SCHEME_COLOURS)]
            _scatter(scatter, row, colour)
            _distribution(latency, row.model, [(p.live_s, p.virtual_s) for p in row.pairs], colour)
            _distribution(service, row.model, [(p.live_s, p.virtual_s) for p in row.service_pairs], colour)
        _diagonal(scatter)
        scatter.set(xlabel="live latency, s", ylabel="virtual latency, s", title="every request")
        latency.set(xlabel="latency, s", ylabel="share of requests", title="latency")
        service.set(xlabel="time in service, s", title="time in service")
        for axes in (scatter, latency, service):
            if axes.get_legend_handles_labels()[0]:
                axes.legend(fontsize=7.5)
        return png(figure)


def _scatter(axes: Axes, row: TypeCheck, colour: str) -> None:
    live, virtual = [p.live_s for p in row.pairs], [p.virtual_s for p in row.pairs]
    axes.scatter(live, virtual, s=10, alpha=0.6, color=colour, edgecolors="none", label=row.model)


def _diagonal(axes: Axes) -> None:
    end = max(axes.get_xlim()[1], axes.get_ylim()[1])
    axes.plot([0, end], [0, end], color="#999999", linewidth=0.8, zorder=0)
    axes.set(xlim=(0, end), ylim=(0, end))


def _distribution(axes: Axes, model: str, pairs: list[tuple[float, float]], colour: str) -> None:
    if not pairs:
        return
    share = np.arange(1, len(pairs) + 1) / len(pairs)
    for index, (world, style) in enumerate((("live", "-"), ("virtual", "--"))):
        values = sorted(pair[index] for pair in pairs)
        axes.step(values, share, style, where="post", color=colour, linewidth=1.3, label=f"{model}, {world}")
    axes.set_ylim(0, 1.02)
    axes.set_xlim(left=0)


def _rows(check: Check) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for t in check.types:
        named = (("latency", t.latency), ("service", t.service))
        rows.extend((t.model, name, *_cells(figures)) for name, figures in named)
    return rows


def _cells(c: Compared | None) -> tuple[str, ...]:
    if c is None:
        return ("0", *[NOT_MEASURED] * (len(COLUMNS) - 3))
    return (
        str(c.n),
        *(f"{c.live_mean_s:.3f}", f"{c.virtual_mean_s:.3f}", _percent(c.mean_error)),
        *(f"{c.live_p95_s:.3f}", f"{c.virtual_p95_s:.3f}", _percent(c.p95_error)),
        *(f"{c.live_p99_s:.3f}", f"{c.virtual_p99_s:.3f}", _percent(c.p99_error)),
        f"{c.bias_s:+.3f}",
        NOT_MEASURED if c.pearson is None else f"{c.pearson:.3f}",
        NOT_MEASURED if c.spearman is None else f"{c.spearman:.3f}",
    )


def _percent(value: float | None) -> str:
    return NOT_MEASURED if value is None else f"{100 * value:+.1f}%"
