"""Activation patterns of a node: the finite action set deployers choose from (MA section VI, `a`)."""

from __future__ import annotations

from emulation.domain.cluster import Mode, TestbedConfig
from emulation.domain.feasibility import feasible_configs

Pattern = dict[str, Mode]
"""Model to mode, for every model the node can host, `off` included."""


def gpu_gain(testbed: TestbedConfig, node_id: str, model_id: str) -> float:
    """How many times faster the profile says the model is on the GPU than on the whole CPU.

    Infinite where it runs on the GPU only, 0 where it cannot run on one.
    """
    gpu = testbed.theta(node_id, model_id, "gpu")
    cpu = testbed.theta(node_id, model_id, "cpu")
    if gpu is None:
        return 0.0
    return float("inf") if cpu is None else sum(cpu) / sum(gpu)


def full_patterns(testbed: TestbedConfig, node_id: str) -> list[Pattern]:
    """The feasible patterns that run as many models as any other of this node, in a fixed order."""
    patterns = feasible_configs(testbed, node_id)
    active = [_active(p) for p in patterns]
    most = max(active)
    return [p for p, running in zip(patterns, active, strict=True) if running == most]


def hungriest_first(testbed: TestbedConfig, node_id: str, images_first: bool = False) -> Pattern:
    """The full pattern that gives the vGPUs to the models that gain most from one (ties: inventory order).

    `images_first`: to those among them first that read or make images.
    """

    def rank(model: str) -> tuple[bool, float]:
        text = images_first and testbed.model(model).modality == "text"
        return text, -gpu_gain(testbed, node_id, model)

    order = sorted(testbed.hosted(node_id), key=rank)
    return max(full_patterns(testbed, node_id), key=lambda p: tuple(p[m] == "gpu" for m in order))


def _active(pattern: Pattern) -> int:
    return len(pattern) - list(pattern.values()).count("off")
