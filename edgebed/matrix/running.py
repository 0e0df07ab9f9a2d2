"""Every run of a plan on all cores: what is in the journal is not made again, what fails is counted and told."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import monotonic

from edgebed.commands.console import Bar, progress_bar, say, warn
from edgebed.matrix.cells import Cell, Job, cells_of, jobs_of
from edgebed.matrix.figures import Kept, measure
from edgebed.matrix.journal import JOURNAL_FILE, Journal
from edgebed.matrix.plan import MatrixPlan
from edgebed.matrix.results import Results
from edgebed.runs.comparison import check
from edgebed.runs.layout import empty_or_held
from edgebed.runs.pool import each_ended
from edgebed.wiring.reasoners import asks_model
from emulation.domain.mistakes import ConfigError, Mistake

SHOWN_FAILURES = 5
"""That are told one by one while it runs; all of them are in the result."""


@dataclass(frozen=True, slots=True)
class Made:
    """What a command came to."""

    results: Results
    interrupted: bool
    before: int
    """Runs that were there already."""


def run_plan(
    plan: MatrixPlan, beside: Path, folder: Path, quiet: bool = False, workers: int | None = None
) -> Made:
    """Make every run that the folder does not have yet. Ctrl-C stops early and keeps what was finished.

    `workers`: runs at a time, by default one per core, or one where some ask a language model: what else its server is
    asked meanwhile would count as thinking.

    Raises `ConfigError`, before anything is written, for what is wrong with the plan or the folder.
    """
    cells = cells_of(plan, beside)
    jobs = jobs_of(plan, cells)
    check_all(plan, cells)
    claim(folder)
    labels = {job.scheme.name: job.scheme.label() for job in jobs}
    results = Results(plan, cells, labels=labels)
    asking = workers is None and any(_asks_model(plan, cell) for cell in cells)
    with Journal(folder) as journal:
        return _Course(results, journal, jobs).run(quiet, 1 if asking else workers)


def _asks_model(plan: MatrixPlan, cell: Cell) -> bool:
    scenario = cell.build(plan.seeds[0])
    return any(asks_model(scenario, scheme) for scheme in plan.schemes)


def check_all(plan: MatrixPlan, cells: list[Cell]) -> None:
    """Everything that can be wrong with schemes in the cells, before anything runs. Raises `ConfigError`."""
    for cell in cells:
        try:
            check(cell.build(plan.seeds[0]), plan.schemes, seeds=plan.seeds)
        except Mistake as error:
            raise ConfigError(f"{cell}: {error}") from error


def claim(folder: Path) -> None:
    """Make the folder that of a matrix, or go on with one. Raises `ConfigError` if it holds anything else."""
    held = empty_or_held(folder)
    if held and not (folder / JOURNAL_FILE).exists():
        raise ConfigError(
            f"{folder}: is not empty and holds no matrix (it holds {held}); give another with --out"
        )
    folder.mkdir(parents=True, exist_ok=True)


class _Course:
    """The runs of one command."""

    def __init__(self, results: Results, journal: Journal, jobs: list[Job]) -> None:
        self._results, self._journal = results, journal
        self._number = {id(cell): i for i, cell in enumerate(results.cells)}
        self._todo = []
        self._done = self._told = 0
        for job in jobs:
            if (kept := journal.runs.get(job.key)) is None:
                self._todo.append(job)
            else:
                results.take(self._number[id(job.cell)], job, kept)

    def run(self, quiet: bool, workers: int | None) -> Made:
        """All of them."""
        before = len(self._results.runs)
        if before and not quiet:
            say(
                f"{before} of {self._results.wanted} runs are there already, {len(self._todo)} are to be made"
            )
        interrupted = False
        with progress_bar(f"matrix {self._results.plan.name}", len(self._todo), quiet) as bar:
            begun_s = monotonic()
            work = partial(_work, self._results.plan.warm_up)
            try:
                for ended in each_ended(work, self._todo, workers, bar.reach):
                    self._take(ended.item, ended.result, ended.failure.said if ended.failure else None)
                    self._say(bar, monotonic() - begun_s)
            except KeyboardInterrupt:
                interrupted = True
                warn("interrupted: what was finished is kept; the same command goes on with it")
        return Made(self._results, interrupted, before)

    def _take(self, job: Job, kept: Kept | None, failed: str | None) -> None:
        number = self._number[id(job.cell)]
        if failed is not None:
            self._results.failed[number, job.scheme.name, job.seed] = failed
            self._told += 1
            if self._told <= SHOWN_FAILURES:
                warn(f"FAILED {job}: {failed}")
            elif self._told == SHOWN_FAILURES + 1:
                warn("more runs failed; all of them are named in the result")
        elif kept is not None:
            self._journal.add(job.key, str(job), kept)
            self._results.take(number, job, kept)
        self._done += 1

    def _say(self, bar: Bar, taken_s: float) -> None:
        left_s = taken_s / self._done * (len(self._todo) - self._done)
        failed = f", {len(self._results.failed)} failed" if self._results.failed else ""
        bar.say(f"{self._done} of {len(self._todo)}{failed}, about {_time(left_s)} left")


def _work(warm_up: float, job: Job) -> Kept | None:
    return measure(job.cell.build(job.seed), job.scheme, job.seed, warm_up)


def _time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
