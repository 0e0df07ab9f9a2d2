"""RAM, cores and GPU slices of one node: who may have them now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from emulation.domain.cluster import ModelSpec, NodeSpec
from emulation.executor.executor import Executor


def allocate(
    executor: Executor, executors: Sequence[Executor], models: Mapping[str, ModelSpec], node: NodeSpec
) -> bool:
    """Give an executor what its target mode needs, if it is free now; false (and nothing changed) if it is not.

    On a GPU it takes a slice of the GPU with the most free vRAM (ties: inventory order).
    """
    model = models[executor.spec.models[0]]
    held = [e for e in executors if e.holds]
    if sum([models[e.spec.models[0]].ram_gb for e in held]) + model.ram_gb > node.ram_gb:
        return False
    if executor.target == "cpu":
        if sum([e.mode == "cpu" for e in held]) >= node.cores:
            return False
        executor.mode, executor.gpu = "cpu", None
        return True
    rooms: list[tuple[float, int]] = []
    for index, gpu in enumerate(node.gpus):
        here = [models[e.spec.models[0]].vram_gb for e in held if e.gpu == index]
        if len(here) < gpu.slices and sum(here) + model.vram_gb <= gpu.vram_gb:
            rooms.append((sum(here) - gpu.vram_gb, index))
    if not rooms:
        return False
    executor.mode, executor.gpu = "gpu", min(rooms)[1]
    return True
