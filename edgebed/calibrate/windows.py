"""What a calibration watches: latency, GPU utilisation and deployment flips, window by window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from emulation.domain.cluster import TestbedConfig
from emulation.domain.records import RequestRecord
from emulation.domain.scenario import Scenario
from emulation.domain.slots import slot_start_s
from emulation.metrics.summary import summarise
from emulation.metrics.view import RunView


@dataclass(frozen=True, slots=True)
class WindowStats:
    """One stretch of one run; latencies are shares of the deadline in [0, 1], a request not served counts as 1."""

    latency: float | None
    """Of the requests that arrived in it; None if none did."""
    latency_image: float | None
    """Of those for models that read or make images."""
    latency_text: float | None
    gpu_utilisation: float | None
    """Share of vGPU seconds in which a request was in service; None without a GPU."""
    flips: float
    """Executors told to another mode, per node and slot."""


@dataclass(frozen=True, slots=True)
class RunStats:
    """The figures of a run, or their means over several runs, and the windows of all of them."""

    objective: float
    """J of MA eq. 10; 1, the worst, if nothing was served."""
    mean_latency_s: float | None
    fairness_norm: float | None
    success_ratio: float | None
    gpu_utilisation: float | None
    flips_per_slot: float
    """Over all nodes."""
    windows: tuple[WindowStats, ...]


def run_stats(run: RunView, scenario: Scenario, window_slots: int) -> RunStats:
    """Windows of `window_slots` slots over the counted horizon, the last one possibly shorter.

    Raises `ValueError` if the scenario has no deadline: latencies are shares of it.
    """
    if scenario.deadline_s is None:
        raise ValueError("windowed statistics need a deadline")
    summary = summarise(run)
    starts = range(0, scenario.slots, window_slots)
    windows = [_window(run, scenario, s, min(s + window_slots, scenario.slots)) for s in starts]
    return RunStats(
        windows=tuple(windows),
        objective=1.0 if summary.objective is None else summary.objective,
        mean_latency_s=summary.mean_latency_s,
        fairness_norm=summary.fairness_norm,
        success_ratio=summary.success_ratio,
        gpu_utilisation=_gpu_utilisation(run, scenario.testbed, 0.0, scenario.horizon_s),
        flips_per_slot=summary.reconfigurations / scenario.slots,
    )


def _window(run: RunView, scenario: Scenario, first: int, end: int) -> WindowStats:
    from_s, to_s = slot_start_s(first, scenario.slot_s), slot_start_s(end, scenario.slot_s)
    image_models = {m.id for m in scenario.testbed.models if m.modality != "text"}
    arrived = [r for r in run.requests if from_s <= r.intended_s < to_s]
    of_image = [r for r in arrived if r.model in image_models]
    of_text = [r for r in arrived if r.model not in image_models]
    changes = sum(d.changes for d in run.decisions if from_s <= d.t_s < to_s and _by_deployer(d.actor))
    return WindowStats(
        latency=_latency(arrived, scenario),
        latency_image=_latency(of_image, scenario),
        latency_text=_latency(of_text, scenario),
        gpu_utilisation=_gpu_utilisation(run, scenario.testbed, from_s, to_s),
        flips=changes / ((end - first) * deployed_nodes(scenario.testbed)),
    )


def deployed_nodes(testbed: TestbedConfig) -> int:
    """Nodes that have a deployment agent."""
    return sum(node.hosting == "pods" for node in testbed.nodes)


def _latency(requests: Sequence[RequestRecord], scenario: Scenario) -> float | None:
    assert scenario.deadline_s is not None
    if not requests:
        return None
    shares = [
        min(1.0, (r.ended_s - r.intended_s) / scenario.deadline_s) if r.outcome == "done" else 1.0
        for r in requests
    ]
    return sum(shares) / len(shares)


def _gpu_utilisation(run: RunView, testbed: TestbedConfig, from_s: float, to_s: float) -> float | None:
    """A request counts as in service for the `service_s` before its end: exact unless it was interrupted."""
    slices = sum(node.gpu_slices for node in testbed.nodes)
    if slices == 0:
        return None
    busy_s = sum(
        max(0.0, min(r.ended_s, to_s) - max(r.ended_s - r.service_s, from_s))
        for r in run.requests
        if r.mode == "gpu" and r.service_s is not None
    )
    return min(1.0, busy_s / (slices * (to_s - from_s)))


def _by_deployer(actor: str) -> bool:
    return actor.startswith("deployer:")
