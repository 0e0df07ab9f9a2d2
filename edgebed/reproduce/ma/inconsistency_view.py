"""RL's fairness against AL's starved LM4: what random parameters gave, as table and picture."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from edgebed.report.figures import NOT_MEASURED
from edgebed.report.palette import series_looks
from edgebed.report.text_table import TextTable
from edgebed.report.theme import BAND, Drawing, line_style
from edgebed.reproduce.ma.inconsistency import BASES, FAIR_JAIN, LM4, STARVED, Draw, satisfying_both


def inconsistency_table(draws: Sequence[Draw]) -> TextTable:
    """How many draws reproduce one statement of the paper, the other, and both; and the nearest misses."""
    groups = {name: [d for d in draws if d.scenario == name] for name in BASES} | {"all": list(draws)}
    rows = [_row(name, of) for name, of in groups.items() if of]
    columns = (
        "drawn around", "draws", f"RL fair (raw Jain ≥ {FAIR_JAIN})", f"AL starves {LM4} (success < {STARVED})", "both",
        f"highest Jain of RL where AL starves {LM4}", f"lowest {LM4} success of AL where RL is fair",
    )  # fmt: skip
    note = (
        "Both schemes deploy by the same Lyapunov controller. Drawn at random: V, p0, f0, seconds per prompt of every "
        "model on a GPU, and the contention of a shared GPU; RL and AL run on the same requests."
    )
    return TextTable(
        "RL at a Jain index of 1.0, and AL that starves LM4: both at once?", note, columns, tuple(rows)
    )


def _row(name: str, draws: Sequence[Draw]) -> tuple[str, ...]:
    starved = [d.rl_jain for d in draws if d.starved and d.rl_jain is not None]
    fair = [d.al_sd_success for d in draws if d.fair and d.al_sd_success is not None]
    return (
        name, str(len(draws)), str(sum(d.fair for d in draws)), str(sum(d.starved for d in draws)),
        str(satisfying_both(draws)), f"{max(starved):.3f}" if starved else NOT_MEASURED,
        f"{min(fair):.2f}" if fair else NOT_MEASURED,
    )  # fmt: skip


def figure_inconsistency(draws: Sequence[Draw]) -> Drawing:
    """A point per draw; the box is where both statements hold."""
    return Drawing(
        "inconsistency",
        "RL at a Jain index of 1.0, and AL that starves LM4: both at once?",
        f"Each of {len(draws)} draws of parameters as a point: success of {LM4} under AL, and raw Jain index of RL. "
        f"{satisfying_both(draws)} of them lie in the box in which both statements of the paper hold.",
        (6.4, 4.6),
        partial(_draw, draws=draws),
    )


def _draw(figure: Figure, draws: Sequence[Draw]) -> None:
    axes = figure.subplots()
    for name, look in series_looks(BASES).items():
        points = [
            (d.al_sd_success, d.rl_jain)
            for d in draws
            if d.scenario == name and d.al_sd_success is not None and d.rl_jain is not None
        ]
        x, y = zip(*points, strict=True) if points else ((), ())
        style = line_style(look) | {"linestyle": "", "markersize": 4.5, "alpha": 0.8}
        axes.plot(x, y, **style, label=f"around {name}")
    box = Rectangle((0, FAIR_JAIN), STARVED, 1 - FAIR_JAIN, color=BAND, linewidth=0, zorder=0)
    box.set_label("what the paper says of both")
    axes.add_patch(box)
    axes.set(
        xlabel=f"success of {LM4} (LM4) under AL",
        ylabel="Jain index of RL, raw",
        title=f"{len(draws)} draws, {satisfying_both(draws)} with both",
        xlim=(-0.01, 1.01),
        ylim=(None, 1.005),
    )
    axes.legend(loc="lower right")


def inconsistency_json(draws: Sequence[Draw]) -> dict[str, Any]:
    """How many draws reproduce each statement and both, and every draw with its figures."""
    return {
        "draws": len(draws),
        "rl_fair": sum(d.fair for d in draws),
        "al_starves": sum(d.starved for d in draws),
        "both": satisfying_both(draws),
        "each": [d.to_json() for d in draws],
    }
