"""What the comparison tab shows of a folder, as plain values: read in a process of its own, drawn by the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edgebed.report.cells import TableCell
from edgebed.report.figures import BY_NAME, NOT_MEASURED, decimals_for, number
from edgebed.report.model import Comparison, compare_runs
from edgebed.report.page import key
from edgebed.report.palette import scheme_looks
from edgebed.report.serving_table import serving_columns, serving_headings, serving_rows
from edgebed.report.tables import FigureRow, main_rows, paired_rows
from edgebed.runs.folder_runs import FolderRuns, kept_runs
from edgebed.runs.layout import Layout, layout_of
from edgebed.ui.comparing.leading import Headline, headline
from edgebed.ui.comparing.reactions import Change, Reaction, event_text, reactions
from edgebed.ui.comparing.so_far import up_to_the_slowest
from emulation.files import ConfigError
from emulation.jsonl import RecordError
from emulation.metrics.shares import share_percent
from emulation.recording import Run

SHOWN = (
    "success_ratio", "goodput", "mean_latency_s", "p95_s", "fairness_norm", "reconfigurations", "thinking_s",
    "energy_request_j", "energy_request_idle_j", "cost",
)  # fmt: skip
"""Figures of the table of this tab, by their names in `FIGURES`; the report has all."""


@dataclass(frozen=True, slots=True)
class Row:
    """What one scheme did about an event, in words with units."""

    scheme: str
    first: str
    at_target: str
    sent: str
    latency: str


@dataclass(frozen=True, slots=True)
class ServingRow:
    """When the tokens of one model came under one scheme, a cell per column of the report's serving table."""

    scheme: str
    cells: tuple[TableCell, ...]


@dataclass(frozen=True, slots=True)
class Compared:
    """Everything the tab shows. Texts are plain; `keys` and pictures are SVG elements of the report's own making."""

    title: str
    headline: Headline
    covered: str
    """Which part of the runs it is about, where that is not the whole; else empty."""
    left_out: tuple[str, ...]
    """Runs that count in no figure, and why."""
    labels: dict[str, str]
    keys: dict[str, str]
    """Scheme to a sample of its line."""
    figures: tuple[FigureRow, ...]
    baseline: str | None
    paired: tuple[FigureRow, ...]
    """Differences to the baseline, a cell for each of `others`."""
    others: tuple[str, ...]
    serving_columns: tuple[str, ...]
    serving: tuple[tuple[str, tuple[ServingRow, ...]], ...]
    """Model to its rows; nothing where no figure of serving was measured."""
    seeds: tuple[int, ...]
    seed: int
    """Of the runs whose events are told."""
    events: tuple[tuple[str, tuple[Row, ...]], ...]
    pictures: dict[str, str]
    """`plane` and `time`; a picture that would be empty is not there."""


def fingerprint(root: Path) -> tuple[tuple[str, int, int], ...]:
    """Changes whenever a record of the folder does: nothing need be read again before. Never raises."""
    try:
        layout = layout_of(root)
        found = [(folder, (folder / "record.jsonl").stat()) for folder in layout.records()]
    except (ConfigError, OSError):
        return ()
    return tuple((str(folder), stat.st_size, stat.st_mtime_ns) for folder, stat in found)


def compared(root: Path, seed: int | None = None, baseline: str | None = None) -> Compared | str:
    """The comparison in a folder, or in words why there is none. `seed`: of whose runs the events are told.

    A scheme that has no whole run but is on its way is compared as far as it has come.
    """
    try:
        layout = layout_of(root)
        kept = kept_runs(layout)
        runs, covered = _runs(kept)
        if not runs:
            return "Nothing to compare yet: no request has ended."
        comparison = _comparison(layout, kept, runs)
        return _shown(comparison, covered, seed, baseline)
    except (ConfigError, RecordError, ValueError, OSError) as error:
        return str(error)


def _runs(kept: FolderRuns) -> tuple[list[Run], str]:
    """The runs that can be compared, and which part of them, in words; those on their way only if they must."""
    whole = kept.runs()
    begun = [run for (scheme, _), run in kept.cut.items() if all(scheme != s for s, _ in kept.whole)]
    begun = [run for run in begun if run.requests]
    if not begun:
        return whole, ""
    seeds = {run.header.seed for run in begun}
    runs, t_s = up_to_the_slowest(begun, [r for r in whole if r.header.seed in seeds])
    names = ", ".join(run.header.scheme for run in begun)
    return runs, f"The first {t_s:.0f} s of each: {names} has come no further yet."


def _comparison(layout: Layout, kept: FolderRuns, runs: Sequence[Run]) -> Comparison:
    scenario = layout.scenario()
    schemes = {run.header.scheme for run in runs}
    return compare_runs(
        runs,
        scenario.events,
        baseline=kept.baseline if kept.baseline in schemes else None,
        sites={n.id: n.site for n in scenario.testbed.nodes},
        testbed=scenario.testbed,
        slo=scenario.slo,
        left_out=kept.left_out,
    )


def _shown(comparison: Comparison, covered: str, seed: int | None, baseline: str | None) -> Compared:
    said = headline(comparison)
    known = baseline if baseline in comparison.schemes else said.leader or comparison.baseline
    paired = replace(comparison, baseline=known if len(comparison.schemes) > 1 else None)
    told = seed if seed in comparison.seeds else comparison.seeds[0]
    labels = {name: comparison.label(name) for name in comparison.schemes}
    looks = scheme_looks(comparison.schemes)
    return Compared(
        title=comparison.scenario,
        headline=said,
        covered=covered,
        left_out=tuple(
            f"{o.scheme}, seed {o.seed}: {o.how}: {o.why}" for o in comparison.left_out if not covered
        ),
        labels=labels,
        keys={name: str(key(look)) for name, look in looks.items()},
        figures=tuple(r for r in main_rows(comparison) if r.short in {BY_NAME[name].short for name in SHOWN}),
        baseline=paired.baseline,
        paired=tuple(paired_rows(paired)) if paired.baseline else (),
        others=tuple(name for name in comparison.schemes if name != paired.baseline),
        serving_columns=tuple(serving_headings(comparison)),
        serving=_serving(comparison),
        seeds=comparison.seeds,
        seed=told,
        events=_events(comparison, told),
        pictures=_pictures(comparison),
    )


def _serving(comparison: Comparison) -> tuple[tuple[str, tuple[ServingRow, ...]], ...]:
    found: dict[str, list[ServingRow]] = {}
    for row in serving_rows(comparison) if serving_columns(comparison) else ():
        found.setdefault(row["model"], []).append(ServingRow(row["scheme"], tuple(row["cells"])))
    return tuple((model, tuple(rows)) for model, rows in found.items())


def _pictures(comparison: Comparison) -> dict[str, str]:
    # Drawing takes a second to import: only when drawing.
    from edgebed.report.plots import latency_against_fairness
    from edgebed.report.plots_time import latency_over_time

    drawings = {"plane": latency_against_fairness(comparison), "time": latency_over_time(comparison)}
    return {name: drawing.svg() for name, drawing in drawings.items() if drawing is not None}


# -- events


def _events(comparison: Comparison, seed: int) -> tuple[tuple[str, tuple[Row, ...]], ...]:
    """What happened, and what each scheme did about it: of the events that any run of this seed was hit by."""
    found: dict[tuple[int, str, str], tuple[str, list[Row]]] = {}
    for name, results in comparison.schemes.items():
        run = next((r.run for r in results if r.summary.seed == seed), None)
        if run is None:
            continue
        onsets = {e.event: e for e in run.events if e.phase == "onset"}
        for reaction in reactions(run):
            band = reaction.band
            onset = onsets[band.number]
            text = event_text(onset, band, run.header.horizon_s)
            of = (band.number, onset.type, onset.target)
            found.setdefault(of, (text, []))[1].append(row_of(name, reaction))
    return tuple((text, tuple(rows)) for text, rows in found.values())


def row_of(scheme: str, reaction: Reaction) -> Row:
    """A reaction in words."""
    same = reaction.first is not None and reaction.first == reaction.at_target
    return Row(
        scheme=scheme,
        first=_change(reaction.first, "the router alone"),
        at_target="the same" if same else _change(reaction.at_target, "the router alone"),
        sent=_sent(reaction),
        latency=_latency(reaction),
    )


def _change(change: Change | None, none: str) -> str:
    return (
        none
        if change is None
        else f"{change.actor.replace(':', ' of ')} after {change.after_s:.1f} s ({change.cause}): {change.said}"
    )


def _sent(reaction: Reaction) -> str:
    if reaction.sent_during is None:
        return NOT_MEASURED
    before = NOT_MEASURED if reaction.sent_before is None else share_percent(reaction.sent_before, 0)
    return f"{before} → {share_percent(reaction.sent_during, 0)}"


def _latency(reaction: Reaction) -> str:
    calm, worst = (_seconds(v) for v in (reaction.calm_s, reaction.worst_s))
    if reaction.back_after_s == 0:
        return f"{calm} before, never above {worst}"
    back = "not back" if reaction.back_after_s is None else f"back after {reaction.back_after_s:.0f} s"
    return f"{calm} before, {worst} at worst, {back}"


def _seconds(value: float | None) -> str:
    return NOT_MEASURED if value is None else f"{number(value, decimals_for([value]))} s"
