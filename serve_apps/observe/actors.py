"""What the named actors have to tell a scraper: nodes, recorder, event player, vRAM ledger, whoever sends records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, get_args

from emulation.domain.cluster import Mode, NodeSpec
from emulation.domain.power import NodeWatts
from emulation.domain.snapshot import ExecutorState, NodeView
from emulation.executor import ExecutorLoad
from emulation.metrics.fairness import jain, jain_normalised
from serve_apps.observe.samples import Sample
from serve_apps.vram.ledger import Claim, Gpu

Accounts = Sequence[tuple[Gpu, tuple[Claim, ...]]]
"""GPUs, and who holds what of them."""
_GIB, _MIB = 2**30, 2**20
_STATES: tuple[ExecutorState, ...] = get_args(ExecutorState)
_MODES: tuple[Mode, ...] = get_args(Mode)


def node_samples(view: NodeView, loads: Sequence[ExecutorLoad]) -> list[Sample]:
    """A node: what it holds, and what every one of its executors does."""
    node = view.id
    found = [
        Sample("edgebed_node_available", (node,), float(view.available)),
        Sample("edgebed_node_cores_busy", (node,), view.cores_busy),
        Sample("edgebed_node_ram_used_bytes", (node,), view.ram_used_gb * _GIB),
        Sample("edgebed_node_gpu_slices_used", (node,), view.slices_used),
    ]
    for executor in view.executors:
        name = executor.id
        found += [
            Sample("edgebed_executor_state", (name, node, state), float(executor.state == state))
            for state in _STATES
        ]
        found += [
            Sample("edgebed_executor_mode", (name, node, mode), float(executor.mode == mode))
            for mode in _MODES
        ]
    found += [Sample("edgebed_executor_share_ratio", (load.id, node), load.share) for load in loads]
    running, waiting = Counter[str](), Counter[str]()
    for load in loads:
        running.update(load.running)
        waiting.update(load.waiting)
    for model in sorted({m for executor in view.executors for m in executor.models}):
        found.append(Sample("vllm:num_requests_running", (model, node), running[model]))
        found.append(Sample("vllm:num_requests_waiting", (model, node), waiting[model]))
    return found


def power_samples(
    node: NodeSpec, watts: NodeWatts, view: NodeView, loads: Sequence[ExecutorLoad]
) -> list[Sample]:
    """What the node draws now, by the law of `emulation.metrics.energy`; nothing where a mode at work has no watts."""
    on_gpu = {executor.id for executor in view.executors if executor.mode == "gpu"}
    busy_loads = [load for load in loads if any(load.running.values())]
    at_work = Counter(load.gpu or 0 for load in busy_loads if load.id in on_gpu and load.working)
    on_cpu = [load.working for load in busy_loads if load.id not in on_gpu]
    gpus = sum(
        count / node.gpus[index].slices if node.gpus[index].sharing == "static" else 1.0
        for index, count in at_work.items()
    )
    busy = {"cpu": view.cores_busy / node.cores * sum(on_cpu) / max(len(on_cpu), 1), "gpu": gpus}
    drawn_w = watts.idle
    for mode, share in busy.items():
        above_w = watts.above_idle(mode)
        if share and above_w is None:
            return []
        if drawn_w is not None and above_w is not None:
            drawn_w += above_w * share
    there = view.available or bool(busy_loads)
    return (
        [] if drawn_w is None else [Sample("edgebed_node_power_watts", (view.id,), drawn_w if there else 0.0)]
    )


class Waiting(Protocol):
    """Records that wait in a process for the recorder."""

    failures: int
    """Batches that were not taken."""

    @property
    def unsent(self) -> int:
        """How many wait."""

    @property
    def lag_s(self) -> float:
        """For how many wall seconds the oldest of them has."""


def unsent_samples(actor: str, records: Waiting) -> list[Sample]:
    """Records that wait in this process."""
    return [
        Sample("edgebed_records_unsent", (actor,), records.unsent),
        Sample("edgebed_records_lag_seconds", (actor,), records.lag_s),
        Sample("edgebed_records_failures_total", (actor,), records.failures),
    ]


def fault_samples(in_force: Mapping[str, int]) -> list[Sample]:
    """Kind of event to how many of it are in force."""
    return [Sample("edgebed_faults_in_force", (kind,), count) for kind, count in sorted(in_force.items())]


@dataclass(slots=True)
class Decided:
    """What controllers decided in a run, as the recorder hears of it."""

    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(decider, outcome) to decisions."""
    thinking_s: dict[str, float] = field(default_factory=dict)
    """Decider to virtual seconds it was charged."""

    def note(self, decider: str, outcome: str, thinking_s: float) -> None:
        """One more decision."""
        self.outcomes[decider, outcome or "none"] += 1
        self.thinking_s[decider] = self.thinking_s.get(decider, 0.0) + thinking_s

    def samples(self) -> list[Sample]:
        """All of it."""
        made = [Sample("edgebed_control_decisions_total", k, n) for k, n in sorted(self.outcomes.items())]
        return made + [
            Sample("edgebed_thinking_seconds_total", (d,), s) for d, s in sorted(self.thinking_s.items())
        ]


def books_samples(arrived: Mapping[str, int], ends: Mapping[str, Mapping[str, int]]) -> list[Sample]:
    """Arrivals per model, and how fairly the models were served so far (MA eqs. 6 and 8)."""
    found = [Sample("edgebed_arrived_requests_total", (m,), n) for m, n in sorted(arrived.items())]
    ratios = [ends.get(m, {}).get("done", 0) / n for m, n in arrived.items() if n]
    raw = jain(ratios)
    normalised = jain_normalised(raw, len(ratios))
    for form, value in (("raw", raw), ("normalised", normalised)):
        if value is not None:
            found.append(Sample("edgebed_fairness_ratio", (form,), value))
    return found


def restart_samples(starts: Mapping[str, int], first: Mapping[str, int]) -> list[Sample]:
    """Starts of every process beyond those that make a testbed (`first`; one where it says nothing)."""
    return [
        Sample("edgebed_restarts_total", (actor,), max(0, count - first.get(actor, 1)))
        for actor, count in sorted(starts.items())
    ]


def gpu_samples(accounts: Accounts) -> Iterable[Sample]:
    """Size of each GPU, and of each claim: what is held for it, and what it had taken once loaded."""
    for gpu, claims in accounts:
        yield Sample("edgebed_vram_total_bytes", (gpu.id, gpu.host), gpu.total_mb * _MIB)
        for claim in claims:
            labels = (gpu.id, claim.app)
            yield Sample("edgebed_vram_claimed_bytes", labels, claim.held_mb * _MIB)
            if claim.used_mb is not None:
                yield Sample("edgebed_vram_used_bytes", labels, claim.used_mb * _MIB)
