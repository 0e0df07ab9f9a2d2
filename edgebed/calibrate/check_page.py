"""A check of the profile on paper: table, plain data, plot and page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from edgebed.calibrate.check import Check, Compared, TypeCheck
from edgebed.report.figures import NOT_MEASURED
from edgebed.report.page import Line, plain_page
from edgebed.report.text_table import TextTable
from edgebed.report.theme import INK, MUTED, Drawing, legend, lettering
from emulation.files import ConfigError
from emulation.recording import write_whole

PAGE, PLOT, DATA = "check.html", "check.png", "check.json"
COLUMNS = (
    "model", "figure", "n", "mean live", "virtual", "error", "p95 live", "virtual", "error", "p99 live", "virtual",
    "error", "bias", "r", "rank r",
)  # fmt: skip
WORLDS: Mapping[str, tuple[float, tuple[float, ...]]] = {"live": (0.0, ()), "virtual": (0.0, (5.0, 2.0))}
"""World to its dash."""
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


def table(check: Check) -> TextTable:
    """Two lines per model: latency, and time in service alone."""
    return TextTable("", f"{_HOW[check.decisions]} Times in seconds.", COLUMNS, tuple(_rows(check)), keys=2)


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
    header, plot = check.run.header, picture(check)
    page = plain_page(
        title=f"Real models against their laws: {header.scenario}, {header.scheme}, seed {header.seed}",
        paragraphs=[],
        summary=summary(check),
        tables=[table(check)],
        pictures=[plot],
        notes_title="Laws in force",
        notes=[f"{name}: {source}" for name, source in check.laws.items()],
    )
    try:
        write_whole(folder / PLOT, plot.png())
        write_whole(folder / DATA, orjson.dumps(to_json(check), option=orjson.OPT_INDENT_2))
        write_whole(folder / PAGE, page)
    except OSError as error:
        raise ConfigError(f"{folder}: cannot be written: {error}") from error
    return folder / PAGE


def summary(check: Check) -> list[Line]:
    """The result in one sentence, and a line per model."""
    lines = [Line("within" if check.ok else "outside", verdict(check), "good" if check.ok else "bad")]
    return lines + [
        Line("within" if t.ok else "outside", _model_text(t, check.within), "good" if t.ok else "bad")
        for t in check.types
    ]


def _model_text(of: TypeCheck, within: float) -> str:
    if of.latency is None:
        return f"{of.model}: nothing was done in both worlds"
    c = of.latency
    return (
        f"{of.model}: mean latency {c.live_mean_s:.2f} s live, {c.virtual_mean_s:.2f} s virtual "
        f"({_percent(c.mean_error)}, within {within:.0%} is asked); {c.n} requests"
    )


def picture(check: Check) -> Drawing:
    """A row per model. Left: every request, live against virtual; then how latency and time in service are spread."""
    said = "; ".join(_model_text(t, check.within) for t in check.types)
    return Drawing(
        "check",
        "Live against virtual",
        "A row of three charts per model: every request's latency live against virtual, in seconds; and the share of "
        f"requests by latency and by time in service, live unbroken and virtual dashed. {said}.",
        (9.6, 0.5 + 2.8 * max(1, len(check.types))),
        partial(_draw, check=check),
    )


def _draw(figure: Figure, check: Check) -> None:
    grid = figure.subplots(max(1, len(check.types)), 3, squeeze=False)
    for (scatter, latency, service), row in zip(grid, check.types, strict=False):
        pairs = row.pairs
        style = {"marker": "o", "linestyle": "", "markersize": 3.2, "alpha": 0.6, "color": INK}
        scatter.plot([p.live_s for p in pairs], [p.virtual_s for p in pairs], **style)
        _diagonal(scatter)
        _distribution(latency, [(p.live_s, p.virtual_s) for p in pairs])
        _distribution(service, [(p.live_s, p.virtual_s) for p in row.service_pairs])
        name = lettering(row.model, 24)
        scatter.set(xlabel="live latency, s", ylabel="virtual latency, s", title=f"{name}: every request")
        latency.set(xlabel="latency, s", ylabel="share of requests", title=f"{name}: latency")
        service.set(xlabel="time in service, s", ylabel="share of requests", title=f"{name}: in service")
    worlds = [Line2D([], [], color=INK, linestyle=dash, label=world) for world, dash in WORLDS.items()]
    legend(figure, worlds)


def _diagonal(axes: Axes) -> None:
    end = max(axes.get_xlim()[1], axes.get_ylim()[1])
    axes.plot([0, end], [0, end], color=MUTED, linewidth=0.8, zorder=0)
    axes.set(xlim=(0, end), ylim=(0, end))


def _distribution(axes: Axes, pairs: Sequence[tuple[float, float]]) -> None:
    share = np.arange(1, len(pairs) + 1) / max(1, len(pairs))
    for index, dash in enumerate(WORLDS.values()):
        values = sorted(pair[index] for pair in pairs)
        axes.step(values, share, where="post", color=INK, linestyle=dash, linewidth=1.3)
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
