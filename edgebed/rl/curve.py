"""The learning curve as a picture: what every episode brought, and who learned in it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from edgebed.report.theme import BAND, INK, MUTED, Drawing

if TYPE_CHECKING:
    from edgebed.rl.training import Played

SMOOTH = 10
"""Episodes over which the line is a mean."""


def draw(curve: Sequence[Played]) -> bytes:
    """The PNG: objective, latency and success of every episode over slots played."""
    last = curve[-1] if curve else None
    alt = "Learning curve of the DRL baseline: objective J, mean latency and success of every episode." + (
        f" {last.steps} slots in {last.cpu_s:.0f} processor seconds." if last else ""
    )
    drawing = Drawing("curve", "Learning curve", alt, (7.6, 6.4), partial(_draw, curve=list(curve)))
    return drawing.png()


def _draw(figure: Figure, curve: list[Played]) -> None:
    rows = (
        ("objective J (lower is better)", [p.objective for p in curve]),
        ("mean latency of the served, seconds", [p.latency_s for p in curve]),
        ("success ratio", [p.success for p in curve]),
    )
    steps = [p.steps for p in curve]
    for axes, (title, values) in zip(figure.subplots(len(rows), 1, sharex=True), rows, strict=True):
        _turns(axes, curve)
        axes.plot(steps, values, linestyle="", marker=".", markersize=3, color=MUTED)
        axes.plot(steps, _smooth(values), color=INK)
        axes.set_title(title)
    axes.set_xlabel(
        f"slots played; line: mean of {SMOOTH} episodes, exploration included; shaded: routing learns"
    )


def _turns(axes: Axes, curve: list[Played]) -> None:
    """Shade the stretches in which routing learned."""
    for tier, of_turn in groupby(curve, key=lambda p: p.tier):
        turn = list(of_turn)
        if tier == "routing":
            axes.axvspan(turn[0].steps, turn[-1].steps, color=BAND, linewidth=0, zorder=0)


def _smooth(values: Sequence[float]) -> list[float]:
    """Mean of each value and those before it, `SMOOTH` at most."""
    return [float(np.mean(values[max(0, i + 1 - SMOOTH) : i + 1])) for i in range(len(values))]
