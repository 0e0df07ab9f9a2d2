"""What is kept of one run: figures that follow from its content alone, and what it cost this machine."""

from __future__ import annotations

from typing import Any

import psutil

from controller.loop import INVALID
from controller.schemes import Scheme
from edgebed.matrix.watched import Watch, can_be_watched, children_s
from edgebed.runs.pool import stopping, tell
from emulation.domain.cluster import TestbedConfig
from emulation.domain.scenario import Scenario
from emulation.domain.strict import Strict
from emulation.engine.run import SimulationProgress
from emulation.metrics.summary import summarise
from emulation.metrics.view import cut, latency_s, mean, ratio
from emulation.recording import MemorySink, Run

FORMAT = 3
"""Of `Figures`: a run that was kept in another one is made again."""


class Figures(Strict):
    """One run. None: not measured, or undefined for it."""

    arrived: int
    done: int
    success_ratio: float | None
    penalised_latency_s: float | None
    """Mean over all that arrived, capped at the deadline, without one at the horizon; what was not served counts as
    that."""
    mean_latency_s: float | None
    p95_s: float | None
    goodput: float | None
    fairness_norm: float | None
    objective: float | None
    steady_success_ratio: float | None
    """Of what arrived after the warm-up."""
    steady_latency_s: float | None
    """Mean over the served of these."""
    decisions: int
    """Of the router and of everything above it, within the run."""
    control_calls: int
    thinking_s: float
    """Virtual seconds charged for thinking."""
    invalid: int
    """Decisions that were replaced, as they were no valid ones."""
    energy_wh: float | None
    """Idle power included; None: the testbed states no watts."""
    cost: float | None
    """In the currency of the testbed's prices; None: it states none."""
    tokens: int | None
    """Of language models; None: none was asked."""
    price: float | None


class Cost(Strict):
    """What one run took here: another machine, or another day, gives other figures."""

    cpu_s: float
    """CPU seconds of its process and of those that it asks (a planner's what-if), emulation of the testbed included."""
    routing_s: float | None
    """Of these, what the fast path took; None: not measured, as the scheme was switched meanwhile."""
    control_s: float | None
    """The same of scheduler, deployment agents and planner, with what the planner asks."""


class Kept(Strict):
    """One finished run."""

    figures: Figures
    cost: Cost


def measure(scenario: Scenario, scheme: Scheme, seed: int, warm_up: float) -> Kept | None:
    """Run one scheme on one seed; None if it was cut short, because everything is being stopped.

    `warm_up`: share of the horizon. Raises whatever the scheme or the scenario makes the run fail with.
    """
    from edgebed.runs.virtual import simulate

    sink = MemorySink()
    watch = Watch() if can_be_watched(scenario.events) else None
    begun_s = _cpu_s()
    simulate(scenario, scheme, seed, sink, on_slot=_end_if_asked, watched=watch)
    cpu_s = _cpu_s() - begun_s
    run = sink.run()
    if cut(run):
        if not stopping():  # by a Ctrl-C that no pool has heard
            raise KeyboardInterrupt
        return None
    spent = None if watch is None else watch.spent
    cost = Cost(
        cpu_s=round(max(0.0, cpu_s), 4),
        routing_s=None if spent is None else round(spent.routing_s, 6),
        control_s=None if spent is None else round(spent.control_s, 6),
    )
    return Kept(figures=figures_of(run, warm_up, scenario.testbed), cost=cost)


def _cpu_s() -> float:
    """CPU seconds of this process and of all below it, those that have ended included."""
    own = psutil.Process().cpu_times()
    return float(own.user + own.system + own.children_user + own.children_system) + children_s()


def _end_if_asked(progress: SimulationProgress) -> None:
    tell(progress.t_s / progress.end_s)
    if stopping():
        raise KeyboardInterrupt


def figures_of(run: Run, warm_up: float, testbed: TestbedConfig | None = None) -> Figures:
    """The figures of a whole run. `warm_up`: share of the horizon whose arrivals `steady_*` leave out; `testbed`: for
    energy and cost, which are not known without it."""
    summary, header = summarise(run, testbed), run.header
    counted = [r for r in run.requests if r.counted]
    limit_s = header.horizon_s if header.deadline_s is None else header.deadline_s
    latencies = [latency_s(r) for r in counted]
    steady = [r for r in counted if r.intended_s >= warm_up * header.horizon_s]
    served = [found for r in steady if (found := latency_s(r)) is not None]
    shared: dict[str, Any] = {
        name: getattr(summary, name)
        for name in (
            "arrived", "done", "success_ratio", "mean_latency_s", "p95_s", "goodput", "fairness_norm", "objective",
            "thinking_s", "energy_wh", "cost", "tokens", "price",
        )
    }  # fmt: skip
    return Figures(
        **shared,
        penalised_latency_s=mean(limit_s if found is None else min(found, limit_s) for found in latencies),
        steady_success_ratio=ratio(len(served), len(steady)),
        steady_latency_s=mean(served),
        decisions=len(run.decisions),
        control_calls=summary.control_calls_total,
        invalid=sum(d.reason.startswith(INVALID) for d in run.decisions),
    )
