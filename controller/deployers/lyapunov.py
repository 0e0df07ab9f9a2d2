"""Lyapunov drift-plus-penalty deployment (MA eqs. 15-19): backlog served against GPU cost and churn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from controller.deployers.pattern_sums import pattern_sums
from controller.deployers.steps import StepValues, Weights
from emulation.domain.actions import Choice, NodeConfig
from emulation.domain.cluster import Modality, ModelSpec, Strict, TestbedConfig
from emulation.domain.feasibility import feasible_configs
from emulation.domain.ports import DeploymentAgent
from emulation.domain.quantities import Fraction, Name, Range, SomeGigabytes
from emulation.domain.snapshot import NodeView

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

    The score is a sum over models of the value of one step (model, mode). Headroom eta is measured before the action,
    from the view, as shares of the node's: cores that are not busy, RAM and slices that are not allocated.
    Raises `ValueError` at construction for a weight of a model the testbed does not have.
    """

    Config = LyapunovConfig
    repeats = True

    def __init__(self, testbed: TestbedConfig, node_id: str, config: LyapunovConfig, seed: int) -> None:
        _check_names(config, {m.id for m in testbed.models})
        node = testbed.node(node_id)
        self._node_id = node_id
        self._models = testbed.hosted(node_id)
        models = [testbed.model(m) for m in self._models]
        weights = [
            Weights(m.id, config.cpu_weight(m), config.gpu_weight(m), m.modality in config.image_modalities)
            for m in models
        ]
        floors = [config.f0 if f0 is None else f0 for f0 in (config.f0_cpu, config.f0_mem, config.f0_gpu)]
        self._values = StepValues(
            weights, (float(node.cores), node.ram_gb, node.gpu_slices), (floors[0], floors[1], floors[2]),
            config.v, (config.p0, config.p1, config.p2), config.churn, config.kappa, config.slices == "held",
        )  # fmt: skip
        patterns = feasible_configs(testbed, node_id)
        self._commands = [NodeConfig(node_id, pattern) for pattern in patterns]
        self._sums = pattern_sums(patterns, self._models)

    def decide(self, view: NodeView) -> Choice[NodeConfig]:
        """The pattern of highest score in this view."""
        best, score = self._sums.best(self._values.of(view))
        reason = f"drift-plus-penalty score {score:.3g} of {len(self._commands)} patterns"
        return Choice(self._commands[best], reason)

    def step_values(self, view: NodeView) -> list[float]:
        """Value of setting each model off, cpu, gpu, models in inventory order; length 3 x models."""
        return self._values.of(view)


def _check_names(config: LyapunovConfig, known: set[str]) -> None:
    weights: Mapping[str, Mapping[str, float]] = {
        "alpha_cpu_of": config.alpha_cpu_of,
        "alpha_gpu": config.alpha_gpu,
    }
    for field, of in weights.items():
        unknown = sorted(set(of) - known)
        if unknown:
            raise ValueError(f"lyapunov: {field} names unknown model {unknown[0]!r}; known: {sorted(known)}")
