"""What each step of a Lyapunov controller is worth (MA eqs. 15-19). Compiled: asked in every slot of every node."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from mypy_extensions import mypyc_attr

from emulation.domain.native import Native
from emulation.domain.snapshot import ExecutorView, NodeView

_VOID = -1e18
"""Value of a step that the pending rule forbids; sinks any pattern that contains it."""


@dataclass(init=False, slots=True, unsafe_hash=True)
class Weights(Native):
    """Of one model."""

    model: Final[str]
    alpha_cpu: Final[float]
    alpha_gpu: Final[float]
    image: Final[bool]
    """Whether it counts for phi_img."""

    def __init__(self, model: str, alpha_cpu: float, alpha_gpu: float, image: bool) -> None:
        self.model = model
        self.alpha_cpu = alpha_cpu
        self.alpha_gpu = alpha_gpu
        self.image = image


@mypyc_attr(allow_interpreted_subclasses=True)
class StepValues:
    """The sum of eq. 19 taken apart, model by model, for one node."""

    def __init__(
        self,
        weights: Sequence[Weights],
        whole: tuple[float, float, int],
        floors: tuple[float, float, float],
        v: float,
        gpu_price: tuple[float, float, float],
        churn: float,
        kappa: float,
        held: bool,
    ) -> None:
        """`whole`: cores, RAM in GB and vGPUs of the node. `floors`: f0 of cores, RAM and vGPUs. `gpu_price`: p0, p1,
        p2 of eq. 18. `held`: all vGPUs that are allocated are in use, else only those whose executor is busy."""
        self._weights = list(weights)
        self._cores, self._ram_gb, self._slices = whole
        self._floors, self._v, self._price = floors, v, gpu_price
        self._churn, self._kappa, self._held = churn, kappa, held

    def of(self, view: NodeView) -> list[float]:
        """Value of setting each model off, cpu, gpu, models in order; length 3 x models."""
        queue = _queues(view)
        now: dict[str, ExecutorView] = {e.models[0]: e for e in view.executors}
        eta_gpu = 1.0 - self._used(view) / self._slices if self._slices else 0.0
        f0_cpu, f0_mem, f0_gpu = self._floors
        free_cpu = _smooth(1.0 - view.cores_busy / self._cores, f0_cpu)
        free_mem = _smooth(1.0 - view.ram_used_gb / self._ram_gb, f0_mem)
        rate_gpu = _smooth(eta_gpu, f0_gpu)
        gpu_cost = self._v * self._gpu_price(queue, eta_gpu)
        pending = view.pending
        values: list[float] = []
        for each in self._weights:
            q = queue.get(each.model, 0.0)
            executor = now.get(each.model)
            mode = _mode_held(executor)
            switch = self._v * self._churn * (1.0 + self._kappa * q)
            on, off = (0.0, switch) if mode != "off" else (switch, 0.0)
            cpu = q * (each.alpha_cpu * free_cpu * free_mem) - on
            gpu = q * each.alpha_gpu * rate_gpu - gpu_cost - on
            if pending and (executor is None or executor.state not in ("pending", "starting")):
                # While an executor waits for resources, no other model may take what it does not hold.
                cpu, gpu = cpu if mode == "cpu" else _VOID, gpu if mode == "gpu" else _VOID
            values.append(-off)
            values.append(cpu)
            values.append(gpu)
        return values

    def _used(self, view: NodeView) -> int:
        if self._held:
            return view.slices_used
        return sum([e.busy and e.mode == "gpu" for e in view.executors])

    def _gpu_price(self, queue: dict[str, float], eta_gpu: float) -> float:
        """pi_gpu of eq. 18; phi_img is the image models' share of the prompts left here, 0 if none are."""
        total = sum(queue.values())
        image = sum([queue.get(each.model, 0.0) for each in self._weights if each.image])
        phi = image / total if total > 0 else 0.0
        p0, p1, p2 = self._price
        return p0 + p1 * (1.0 - eta_gpu) + p2 * phi


def _smooth(headroom: float, f0: float) -> float:
    """f(eta) = f0 + (1 - f0) eta, eta held within [0, 1]."""
    return f0 + (1.0 - f0) * min(max(headroom, 0.0), 1.0)


def _queues(view: NodeView) -> dict[str, float]:
    queue: dict[str, float] = {}
    for executor in view.executors:
        for model, prompts in executor.backlog_prompts.items():
            queue[model] = queue.get(model, 0.0) + prompts
    return queue


def _mode_held(executor: ExecutorView | None) -> str:
    if executor is None or executor.state not in ("ready", "starting", "pending"):
        return "off"
    return executor.mode
