"""One run of the reproduction, in virtual time, and what it leaves for the tables."""

from __future__ import annotations

from dataclasses import dataclass

from controller.meta.audit import counts
from edgebed.reproduce.common.cells import Cell, scenario_of
from edgebed.runs.virtual import simulate_in_memory
from emulation.metrics.calibration import calibration
from workloads.pools import peak_load


@dataclass(frozen=True, slots=True)
class TaskRun:
    """What one run left: the latency of every task, and how the controller did."""

    latencies_s: tuple[float, ...]
    """By task index."""
    stutters: tuple[bool, ...]
    predictions: int
    within_80: int
    within_95: int
    reasoner_calls: int
    tool_calls: int
    peak_load: float | None
    """Highest true load of a type at any time; None outside the random pools."""
    peak_load_avoiding: float | None
    """The same if degraded devices are not used at all."""


def measure(cell: Cell) -> TaskRun:
    """Run one cell. Raises `RuntimeError` if a task was not served: gaps compare all tasks or nothing."""
    scenario = scenario_of(cell)
    run = simulate_in_memory(scenario, cell.variant.scheme, cell.seed)
    rows = sorted((r for r in run.requests if r.counted), key=lambda r: r.request_id)
    lost = [r for r in rows if r.outcome != "done"]
    if lost or not rows:
        raise RuntimeError(f"{cell}: {len(lost)} tasks not served")
    stated = calibration(rows)
    calls, tools = counts(run.decisions)
    return TaskRun(
        latencies_s=tuple(r.ended_s - r.intended_s for r in rows),
        stutters=tuple(r.stutter for r in rows),
        predictions=stated.n if stated else 0,
        within_80=round(stated.within_80 * stated.n) if stated else 0,
        within_95=round(stated.within_95 * stated.n) if stated else 0,
        reasoner_calls=calls,
        tool_calls=tools,
        peak_load=peak_load(scenario, cell.seed) if cell.setting.pool else None,
        peak_load_avoiding=peak_load(scenario, cell.seed, avoiding=True) if cell.setting.pool else None,
    )
