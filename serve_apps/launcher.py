"""Lifecycle `cold`: the actor that really starts and stops the Serve application of a model on a node."""

from __future__ import annotations

import asyncio
import os
from collections import defaultdict
from typing import Any

import ray
from ray import serve

from emulation.domain.cluster import Mode, TestbedConfig
from serve_apps.apps import replica_target
from serve_apps.names import app_name


class Launcher:
    """The named actor `launcher`. Starts and stops of one application follow each other in the order
    asked."""

    def __init__(self, testbed: TestbedConfig, backend: str) -> None:
        self._testbed = testbed
        self._backend = backend
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._running: set[str] = set()

    async def launch(self, node_id: str, model_id: str, mode: Mode) -> None:
        """Start a replica and return when it is up; one that is up already stays as it is."""
        name = app_name(node_id, model_id)
        async with self._locks[name]:
            if name in self._running:
                return
            gpus = slice_share(self._testbed) if mode == "gpu" else 0.0
            target = replica_target(self._testbed, node_id, model_id, self._backend, gpus)
            await asyncio.to_thread(serve.run_many, [target])
            self._running.add(name)

    async def halt(self, node_id: str, model_id: str) -> None:
        """Stop a replica and return when it is gone."""
        name = app_name(node_id, model_id)
        async with self._locks[name]:
            if name in self._running:
                await asyncio.to_thread(serve.delete, name)
                self._running.discard(name)

    async def halt_all(self) -> None:
        """Stop every replica: a run begins with all executors off."""
        pairs = [(n.id, m) for n in self._testbed.nodes for m in self._testbed.hosted(n.id)]
        await asyncio.gather(*(self.halt(node, model) for node, model in pairs))

    async def where(self) -> dict[str, Any]:
        """Process and Ray node this actor runs in."""
        return {"pid": os.getpid(), "ray_node": ray.get_runtime_context().get_node_id()}


def slice_share(testbed: TestbedConfig) -> float:
    """Share of a GPU one vGPU stands for: that of the finest division, the same everywhere so that it
    packs."""
    slices = max((gpu.slices for node in testbed.nodes for gpu in node.gpus), default=1)
    return int(10_000 / slices) / 10_000
