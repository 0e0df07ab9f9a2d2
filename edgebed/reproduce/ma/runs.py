"""One run of `reproduce ma`, in virtual time in a process of its own, reduced there to what tables need."""

from __future__ import annotations

from dataclasses import replace

from edgebed.report import RunResult
from edgebed.reproduce.common.cells import Cell, scenario_of
from edgebed.reproduce.ma.slots import SlotFigures, SlotTally
from edgebed.runs.virtual import end_if_asked, simulate
from emulation.metrics.summary import summarise
from emulation.recording import MemorySink


def measure_scheme(cell: Cell) -> RunResult | None:
    """Figures 5 and 6: the figures of one cell as every table of the package measures them, its records left behind.

    None if the run was interrupted.
    """
    sink = MemorySink()
    footer = simulate(scenario_of(cell), cell.variant.scheme, cell.seed, sink, on_slot=end_if_asked)
    if footer.interrupted:
        return None
    run = sink.run()
    light = replace(run, requests=(), decisions=(), events=(), executors=())
    return RunResult(light, summarise(run))


def measure_slots(cell: Cell) -> SlotFigures | None:
    """Figure 7 and the adaptation: what became of the requests of each slot; no record is kept.

    None if the run was interrupted.
    """
    tally = SlotTally()
    footer = simulate(scenario_of(cell), cell.variant.scheme, cell.seed, tally, on_slot=end_if_asked)
    return None if footer.interrupted else tally.figures()
