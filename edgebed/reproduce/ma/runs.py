"""One cell of `reproduce ma`, run in virtual time in a process of its own and reduced there to what tables need."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from edgebed.report import RunResult
from edgebed.reproduce.e3.runs import Cell, Setting, Variant, scenario_of
from edgebed.reproduce.ma.slots import SlotFigures, SlotTally
from edgebed.runs.pool import each, stopping
from edgebed.runs.virtual import simulate
from emulation.engine.run import Progress
from emulation.metrics import summarise
from emulation.recording import MemorySink


@dataclass(frozen=True, slots=True)
class SchemeRun:
    """A run of Figures 5 and 6: its figures, its records left behind."""

    setting: str
    label: str
    seed: int
    result: RunResult


@dataclass(frozen=True, slots=True)
class SlotRun:
    """A run of Figure 7 or of the adaptation: what became of the requests of each slot."""

    setting: str
    label: str
    seed: int
    figures: SlotFigures


def cells(wanted: Mapping[Setting, Sequence[Variant]], seeds: int) -> list[Cell]:
    """Every run, seeds outermost, so that what an interrupted reproduction has is whole seeds of everything."""
    return [Cell(s, v, seed) for seed in range(seeds) for s, variants in wanted.items() for v in variants]


def run_schemes(todo: Sequence[Cell], workers: int | None = None) -> Iterator[SchemeRun]:
    """Run every cell on all cores, yielding each as it ends; those cut short by Ctrl-C are left out."""
    yield from (run for run in each(measure_scheme, todo, workers) if run is not None)


def run_slots(todo: Sequence[Cell], workers: int | None = None) -> Iterator[SlotRun]:
    """The same, reduced to slots."""
    yield from (run for run in each(measure_slots, todo, workers) if run is not None)


def measure_scheme(cell: Cell) -> SchemeRun | None:
    """Run one cell, measured as every table of the package measures; None if it was interrupted."""
    sink = MemorySink()
    footer = simulate(scenario_of(cell), cell.variant.scheme, cell.seed, sink, on_slot=_end_if_asked)
    if footer.interrupted:
        return None
    run = sink.run()
    light = replace(run, requests=(), decisions=(), events=(), executors=())
    result = RunResult(light, summarise(run))
    return SchemeRun(cell.setting.name, cell.variant.label, cell.seed, result)


def measure_slots(cell: Cell) -> SlotRun | None:
    """Run one cell and count its requests by slot; no record is kept. None if it was interrupted."""
    tally = SlotTally()
    simulate(scenario_of(cell), cell.variant.scheme, cell.seed, tally, on_slot=_end_if_asked)
    if tally.interrupted:
        return None
    return SlotRun(cell.setting.name, cell.variant.label, cell.seed, tally.figures())


def _end_if_asked(_: Progress) -> None:
    """In a worker of a pool that is being stopped: end this run as Ctrl-C would, its books closed."""
    if stopping():
        raise KeyboardInterrupt
