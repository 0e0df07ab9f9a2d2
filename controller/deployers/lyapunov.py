"""Lyapunov drift-plus-penalty deployment (MA eqs. 15-19): backlog served against GPU cost and churn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from controller.deployers.patterns import Pattern
from emulation.domain.actions import Choice, NodeConfig
from emulation.domain.cluster import Modality, ModelSpec, Strict, TestbedConfig
from emulation.domain.feasibility import feasible_configs
from emulation.domain.ports import DeploymentAgent
from emulation.domain.quantities import Fraction, Name, Range, SomeGigabytes
from emulation.domain.snapshot import ExecutorView, NodeView

_VOID = -1e18
"""Value of a step that the pending rule forbids; sinks any pattern that contains it."""

Coefficient = Annotated[float, Range(0, 1_000_000)]
"""A weight or price of eqs. 15-19; bounded, so that no score is infinite or no number at all."""
Floor = Fraction


class LyapunovConfig(Strict):
    """Coefficients of MA eqs. 15-19; those the paper does not state (V, p0, f) are ours."""

    v: Coefficient = 1.0
    """V: weight of cost against backlog."""
    f0: Floor = 0.2
    """Floor of the smoothing f(eta) = f0 + (1 - f0) eta, for every resource not named below."""
    f0_cpu: Floor | None = None
    """Floor of f for cores; absent: `f0`."""
    f0_mem: Floor | None = None
    """Floor of f for RAM; absent: `f0`."""
    f0_gpu: Floor | None = None
    """Floor of f for vGPUs; absent: `f0`."""
    p0: Coefficient = 0.2
    """GPU price p0 + p1 (1 - eta_gpu) + p2 phi_img (eq. 18): what an executor on a GPU costs anyway."""
    p1: Coefficient = 0.25
    """... and on a node without a free vGPU."""
    p2: Coefficient = 0.37
    """... and where all that waits is for image models."""
    churn: Coefficient = 0.08
    """lambda_churn of eq. 19, per model switched on or off."""
    kappa: Coefficient = 0.76
    """kappa of eq. 19: how much a queued prompt adds to the churn cost."""
    alpha_cpu: Coefficient = 1.0
    """alpha_cpu of every model not named below."""
    alpha_cpu_of: dict[Name, Coefficient] = Field(default_factory=dict)
    """alpha_cpu per model."""
    alpha_gpu: dict[Name, Coefficient] = Field(default_factory=dict)
    """alpha_gpu per model; a model that is absent takes its default below."""
    alpha_gpu_small_text: Coefficient = 1.0
    alpha_gpu_large_text: Coefficient = 1.2
    alpha_gpu_image: Coefficient = 1.5
    """For models that read or make images."""
    large_text_ram_gb: SomeGigabytes = 6.0
    """A text model that holds at least this much RAM counts as large."""
    slices: Literal["busy", "held"] = "held"
    """What uses up GPU headroom: all slices that are allocated (a free vGPU is one that a pod could get), or only those
    whose executor is busy (as for cores)."""
    image_modalities: tuple[Modality, ...] = ("caption", "image")
    """Modalities whose share of the local backlog is phi_img (the paper calls LM3 and LM4 the image LMs)."""

    def cpu_weight(self, model: ModelSpec) -> float:
        """alpha_cpu of one model."""
        return self.alpha_cpu_of.get(model.id, self.alpha_cpu)

    def gpu_weight(self, model: ModelSpec) -> float:
        """alpha_gpu of one model."""
        if model.id in self.alpha_gpu:
            return self.alpha_gpu[model.id]
        if model.modality != "text":
            return self.alpha_gpu_image
        return (
            self.alpha_gpu_large_text if model.ram_gb >= self.large_text_ram_gb else self.alpha_gpu_small_text
        )


class LyapunovDeployer(DeploymentAgent):
    """Argmax over the feasible patterns of sum_i Q_i mu_i(a) - V C(a); ties go to the first pattern.

    The score is a sum over models of the value of one step (model, mode), so all patterns are scored by one
    product of a (patterns, 3 models) 0/1 matrix, built once, with the vector of step values. Headroom eta is
    measured before the action, from the view, as shares of the node's: cores that are not busy, RAM and slices that
    are not allocated.
    Raises `ValueError` at construction for a weight of a model the testbed does not have.
    """

    Config = LyapunovConfig
    repeats = True

    def __init__(self, testbed: TestbedConfig, node_id: str, config: LyapunovConfig, seed: int) -> None:
        _check_names(config, {m.id for m in testbed.models})
        node = testbed.node(node_id)
        self._node_id = node_id
        self._config = config
        self._cores, self._ram_gb, self._slices = float(node.cores), node.ram_gb, node.gpu_slices
        self._models = testbed.hosted(node_id)
        self._alpha_cpu = [config.cpu_weight(testbed.model(m)) for m in self._models]
        self._alpha_gpu = [config.gpu_weight(testbed.model(m)) for m in self._models]
        self._image = [testbed.model(m).modality in config.image_modalities for m in self._models]
        self._patterns = feasible_configs(testbed, node_id)
        self._steps = np.array([_one_hot(p, self._models) for p in self._patterns], dtype=float)

    def decide(self, view: NodeView) -> Choice[NodeConfig]:
        """The pattern of highest score in this view."""
        # Not `@`: a BLAS product rounds differently with the alignment of memory, and a tie would fall differently.
        scores = (self._steps * np.array(self.step_values(view))).sum(axis=1)
        best = int(scores.argmax())
        reason = f"drift-plus-penalty score {scores[best]:.3g} of {len(self._patterns)} patterns"
        return Choice(NodeConfig(self._node_id, self._patterns[best]), reason)

    def step_values(self, view: NodeView) -> list[float]:
        """Value of setting each model off, cpu, gpu, models in inventory order; length 3 x models."""
        config = self._config
        queue = _queues(view)
        now = {e.models[0]: e for e in view.executors}
        eta_gpu = 1.0 - self._slices_used(view) / self._slices if self._slices else 0.0
        free_cpu = _smooth(1.0 - view.cores_busy / self._cores, config.f0_cpu, config.f0)
        free_mem = _smooth(1.0 - view.ram_used_gb / self._ram_gb, config.f0_mem, config.f0)
        rate_gpu = _smooth(eta_gpu, config.f0_gpu, config.f0)
        gpu_cost = config.v * self._gpu_price(queue, eta_gpu)
        pending = view.pending
        values: list[float] = []
        for model, alpha_cpu, alpha_gpu in zip(self._models, self._alpha_cpu, self._alpha_gpu, strict=True):
            q = queue.get(model, 0.0)
            executor = now.get(model)
            mode = _mode_held(executor)
            switch = config.v * config.churn * (1.0 + config.kappa * q)
            on, off = (0.0, switch) if mode != "off" else (switch, 0.0)
            steps = [
                -off,
                q * (alpha_cpu * free_cpu * free_mem) - on,
                q * alpha_gpu * rate_gpu - gpu_cost - on,
            ]
            if pending and (executor is None or executor.state not in ("pending", "starting")):
                steps = [steps[0], *_kept(steps, mode)]
            values += steps
        return values

    def _slices_used(self, view: NodeView) -> int:
        if self._config.slices == "held":
            return view.slices_used
        return sum(e.busy and e.mode == "gpu" for e in view.executors)

    def _gpu_price(self, queue: dict[str, float], eta_gpu: float) -> float:
        """pi_gpu of eq. 18; phi_img is the image models' share of the prompts left here, 0 if none are."""
        total = sum(queue.values())
        image = sum(
            queue.get(m, 0.0) for m, is_image in zip(self._models, self._image, strict=True) if is_image
        )
        phi = image / total if total > 0 else 0.0
        return self._config.p0 + self._config.p1 * (1.0 - eta_gpu) + self._config.p2 * phi


def _check_names(config: LyapunovConfig, known: set[str]) -> None:
    weights: Mapping[str, Mapping[str, float]] = {
        "alpha_cpu_of": config.alpha_cpu_of,
        "alpha_gpu": config.alpha_gpu,
    }
    for field, of in weights.items():
        unknown = sorted(set(of) - known)
        if unknown:
            raise ValueError(f"lyapunov: {field} names unknown model {unknown[0]!r}; known: {sorted(known)}")


def _smooth(headroom: float, floor: float | None, default: float) -> float:
    """f(eta) = f0 + (1 - f0) eta, eta held within [0, 1]."""
    f0 = default if floor is None else floor
    return f0 + (1.0 - f0) * min(max(headroom, 0.0), 1.0)


def _one_hot(pattern: Pattern, models: tuple[str, ...]) -> list[float]:
    return [float(pattern[m] == mode) for m in models for mode in ("off", "cpu", "gpu")]


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


def _kept(steps: list[float], mode: str) -> list[float]:
    """Pending rule: while an executor waits for resources, no other model may take what it does not hold."""
    return [steps[1] if mode == "cpu" else _VOID, steps[2] if mode == "gpu" else _VOID]
