"""`edgebed reproduce ma`: run what is asked for, write tables and figures beside the paper's."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from pathlib import Path
from typing import Any

from edgebed.report.export import write_csv
from edgebed.reproduce.common.cells import Cell, cells
from edgebed.reproduce.common.course import Paper, Part, Reproduction
from edgebed.reproduce.common.course import reproduce as run_parts
from edgebed.reproduce.ma.figures import figure_5, figure_6
from edgebed.reproduce.ma.figures_time import figure_7, figure_adaptation
from edgebed.reproduce.ma.findings import claim_findings, reference_findings
from edgebed.reproduce.ma.inconsistency import Draw, draw, measured
from edgebed.reproduce.ma.inconsistency_view import (
    figure_inconsistency,
    inconsistency_json,
    inconsistency_table,
)
from edgebed.reproduce.ma.results import AdaptationResults, EpochResults, SchemeResults
from edgebed.reproduce.ma.runs import measure_scheme, measure_slots
from edgebed.reproduce.ma.settings import (
    ADAPTING,
    COMPARED,
    DEPLOY_FIRST,
    EPOCHS,
    MEMORY,
    NO_MEMORY,
    PARTS,
    TESTBEDS,
    PartName,
    adaptation_settings,
    by_estimate,
    epoch_settings,
    scheme_settings,
)
from edgebed.reproduce.ma.slots import SlotFigures
from edgebed.reproduce.ma.tables import claims_table, figure_5_table, figure_6_table
from edgebed.reproduce.ma.tables_time import adaptation_table, figure_7_table
from emulation.files import ConfigError, did_you_mean

SEEDS, QUICK_SEEDS = 12, 2
EPOCH_SEEDS = 6
"""Of Figure 7 where no number is asked for: each of its runs plans 30 times."""
EPOCHS_RUN, QUICK_EPOCHS = 30, 6
DRAWS, QUICK_DRAWS = 200, 8
DRAW_SEED = 0

DEVIATIONS = (
    "RF's magnitude: no plausible service times give the paper's 406 s together with the rest. W* is a fit that "
    "does so in the independent reference; it needs GPT-2 to be slower than GPT-2-large.",
    "Jain's index: the paper's Figure 5 says normalised, its text does not say. Both are in the table.",
    "RL's Jain index of about 1.0 does not go together with an LM4 that AL starves, as both deploy by the same "
    "controller: see the draws above.",
    "Latencies are over the served, none of which waited longer than the deadline of 900 s. A mean of 600 s and "
    "more needs hardly anything to be served early.",
    "Both testbeds are overloaded, so every number of Figures 5 and 6 depends on the horizon of 50 slots from empty.",
    "Own plans are searched by the planner's estimate alone; with --what-if those of Figure 7 and the adaptation have "
    "their short list emulated, which takes about ten times as long.",
    "The paper's Figure 7 has no numbers. Ours runs its epochs without a break, so that every one but the first "
    "begins with the queues of the one before. Its first plan is made from the profile, before anything was seen.",
    "Nothing here was decided by a language model: planner and agents are run by `rules`.",
)


PAPER = Paper(
    name="ma",
    title="Multi-Agentic: the paper and edgebed",
    intro=(
        "Every figure comes from runs in virtual time on this machine, the same requests for every scheme. The "
        "paper's own numbers are those of its text; its figures have none. What the runs took, with all that this "
        "machine did beside them: {took}."
    ),
    deviations=DEVIATIONS,
    ours=("MA (rules)", "MA+sect (rules)"),
)


def parts_of(text: str | None) -> tuple[PartName, ...]:
    """Parts named in a comma list, in their own order; all for None. Raises `ConfigError` for a name that is none."""
    names = PARTS if text is None else tuple(n.strip() for n in text.split(",") if n.strip())
    for name in names:
        if name not in PARTS:
            raise ConfigError(f"--only names unknown {name!r}; {did_you_mean(name, PARTS)}")
    if not names:
        raise ConfigError(f"--only names no part; known: {', '.join(PARTS)}")
    return tuple(p for p in PARTS if p in names)


def reproduce(
    folder: Path,
    quick: bool = False,
    quiet: bool = False,
    seeds: int | None = None,
    only: Collection[PartName] = PARTS,
    workers: int | None = None,
    what_if: bool = False,
) -> Reproduction:
    """Run, measure and write. Ctrl-C reports what was finished. `what_if`: planners of Figure 7 and of the adaptation
    emulate their short list."""
    count = seeds or (QUICK_SEEDS if quick else SEEDS)
    epoch_count = seeds or (QUICK_SEEDS if quick else EPOCH_SEEDS)
    parts: list[Part[Any, Any]] = []
    if {"fig5", "fig6"} & set(only):
        parts.append(_schemes(cells(scheme_settings(), lambda _: count), only))
    if "fig7" in only:
        wanted = epoch_settings(QUICK_EPOCHS if quick else EPOCHS_RUN)
        parts.append(_epochs(cells(wanted if what_if else by_estimate(wanted), lambda _: epoch_count)))
    if "adaptation" in only:
        wanted = adaptation_settings()
        parts.append(_adaptation(cells(wanted if what_if else by_estimate(wanted), lambda _: count)))
    if "inconsistency" in only:
        parts.append(_draws(QUICK_DRAWS if quick else DRAWS))
    return run_parts(PAPER, folder, parts, quiet, workers)


def _schemes(todo: list[Cell], only: Collection[PartName]) -> Part[Cell, Any]:
    """Figures 5 and 6. JSON: `<scenario>.schemes.<S>.mean_latency_s | fairness_norm | ...` and `.per_model.<m>`."""
    names = [n for given, planned in TESTBEDS.items() for n in (given, DEPLOY_FIRST[given], planned)]
    results = SchemeResults(names, COMPARED)

    def conclude(done: Reproduction) -> None:
        comparisons = results.comparisons()
        done.found |= results.to_json()
        if comparisons and "fig5" in only:
            done.tables["figure-5"] = figure_5_table(comparisons)
            done.tables["claims"] = claims_table(comparisons)
            done.findings += reference_findings(done.tables["figure-5"])
            done.findings += claim_findings(done.tables["claims"])
            done.pictures["figure-5"] = figure_5(comparisons)
        if comparisons and "fig6" in only:
            done.tables["figure-6"] = figure_6_table(comparisons)
            done.pictures["figure-6"] = figure_6(comparisons)
        for name, comparison in comparisons.items():
            write_csv(comparison, done.folder / f"runs-{name}.csv")

    return Part("figures 5 and 6", todo, measure_scheme, results.add, conclude)


def _epochs(todo: list[Cell]) -> Part[Cell, SlotFigures]:
    """Figure 7. JSON: `<scenario of the epochs>.<start>.<memory>`, as the results have it."""
    results = EpochResults((MEMORY, NO_MEMORY))

    def conclude(done: Reproduction) -> None:
        if results.keys:
            done.found[EPOCHS] = results.to_json()
            done.tables["figure-7"] = figure_7_table(results)
            done.pictures["figure-7"] = figure_7(results)

    return Part("figure 7", todo, measure_slots, results.add, conclude)


def _adaptation(todo: list[Cell]) -> Part[Cell, SlotFigures]:
    """JSON: `<scenario>.schemes.<S>.phases.<phase>`, as the results have it."""
    results = AdaptationResults(ADAPTING)

    def conclude(done: Reproduction) -> None:
        recovered = results.to_json()
        if recovered:
            done.found |= recovered
            done.tables["adaptation"] = adaptation_table(results)
            done.pictures["adaptation"] = figure_adaptation(results)

    return Part("adaptation", todo, measure_slots, results.add, conclude)


def _draws(count: int) -> Part[Draw, Draw]:
    """RL's fairness against AL's starved LM4, over draws of parameters. JSON: `rl_inconsistency`."""
    drawn: dict[int, Draw] = {}

    def take(_: Draw, left: Draw) -> None:
        drawn[left.number] = left

    def conclude(done: Reproduction) -> None:
        draws = [drawn[number] for number in sorted(drawn)]
        if draws:
            done.found["rl_inconsistency"] = inconsistency_json(draws)
            done.tables["inconsistency"] = inconsistency_table(draws)
            done.pictures["inconsistency"] = figure_inconsistency(draws)

    todo = [draw(number, DRAW_SEED) for number in range(count)]
    return Part("inconsistency", todo, partial(measured, DRAW_SEED), take, conclude)
