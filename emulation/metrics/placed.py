"""Where the executors of a node hold a place, from the record: on its cores, or on which of its GPUs."""

from __future__ import annotations

from collections.abc import Mapping

from emulation.domain.cluster import TestbedConfig
from emulation.domain.records import ExecutorRecord

_HOLDING = ("starting", "ready", "draining", "away")
"""States in which an executor occupies what its mode needs; away it does with a mode, until its work is done."""


class Placed:
    """Follows the `executor` lines of one node.

    A record does not say which GPU an executor is on. It follows from the rule by which one is given
    (`emulation.executor.resources`): that with the most free vRAM, the first of equals.
    """

    def __init__(self, testbed: TestbedConfig, node: str) -> None:
        self._spec = testbed.node(node)
        self._vram = {e.id: testbed.model(e.models[0]).vram_gb for e in testbed.executors_of(node)}
        self.mode: dict[str, str] = {}
        """Executor that holds a place to where: cpu or gpu."""
        self.gpu: dict[str, int] = {}
        """Executor on a GPU to that GPU's index."""
        self._on_cpu = 0

    def change(self, record: ExecutorRecord) -> None:
        """Take in one line."""
        name, held = record.executor, self.mode.get(record.executor)
        if record.state not in _HOLDING or record.mode not in ("cpu", "gpu"):
            self.mode.pop(name, None)
            self.gpu.pop(name, None)
        elif record.mode != held:
            self.gpu.pop(name, None)
            self.mode[name] = record.mode
            if record.mode == "gpu":
                self.gpu[name] = self._freest(name)
        self._on_cpu = sum(mode == "cpu" for mode in self.mode.values())

    def shares(self, busy: Mapping[str, str]) -> dict[str, float]:
        """Part of its resource that each executor at work has: of the node's cores, or of one whole GPU.

        `busy`: executor to the mode in which it is at work. Parts of one resource sum to at most 1.
        """
        on_gpu: dict[int, int] = {}
        on_cpu = self._on_cpu
        for name, mode in busy.items():
            if mode == "gpu":
                index = self.gpu.get(name, 0)
                on_gpu[index] = on_gpu.get(index, 0) + 1
            elif self.mode.get(name) != "cpu":
                on_cpu += 1
        return {
            name: self._of_gpu(self.gpu.get(name, 0), on_gpu) if mode == "gpu" else 1.0 / on_cpu
            for name, mode in busy.items()
        }

    def _of_gpu(self, index: int, busy: Mapping[int, int]) -> float:
        gpu = self._spec.gpus[index] if index < len(self._spec.gpus) else None
        if gpu is not None and gpu.sharing == "static":
            return 1.0 / max(gpu.slices, busy[index])
        return 1.0 / busy[index]

    def _freest(self, name: str) -> int:
        rooms: list[tuple[float, int]] = []
        need_gb = self._vram.get(name, 0.0)
        for index, gpu in enumerate(self._spec.gpus):
            here = [self._vram.get(other, 0.0) for other, at in self.gpu.items() if at == index]
            if len(here) < gpu.slices and sum(here) + need_gb <= gpu.vram_gb:
                rooms.append((sum(here) - gpu.vram_gb, index))
        return min(rooms)[1] if rooms else 0
