"""RAM, cores and GPU slices of one node: who may have them now."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from emulation.domain.cluster import ModelSpec, NodeSpec
from emulation.executor.executor import Executor

Needs = Mapping[str, tuple[float, float]]
"""Model to the RAM and vRAM, GB, that an executor of it holds."""


def needs_of(models: Iterable[ModelSpec]) -> dict[str, tuple[float, float]]:
    """What executors of these models hold."""
    return {m.id: (m.ram_gb, m.vram_gb) for m in models}


def allocate(executor: Executor, executors: Sequence[Executor], needs: Needs, node: NodeSpec) -> bool:
    """Give an executor what its target mode needs, if it is free now; false (and nothing changed) if it is not.

    On a GPU it takes a slice of the GPU with the most free vRAM (ties: inventory order).
    """
    ram_gb, vram_gb = needs[executor.model]
    held = [e for e in executors if e.holds]
    if sum([needs[e.model][0] for e in held]) + ram_gb > node.ram_gb:
        return False
    if executor.target == "cpu":
        if sum([e.mode == "cpu" for e in held]) >= node.cores:
            return False
        executor.mode, executor.gpu = "cpu", None
        return True
    rooms: list[tuple[float, int]] = []
    for index, gpu in enumerate(node.gpus):
        here = [needs[e.model][1] for e in held if e.gpu == index]
        if len(here) < gpu.slices and sum(here) + vram_gb <= gpu.vram_gb:
            rooms.append((sum(here) - gpu.vram_gb, index))
    if not rooms:
        return False
    executor.mode, executor.gpu = "gpu", min(rooms)[1]
    return True
