"""Lifecycle `cold`: the actor that really starts and stops the Serve application of a model on a node."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import ray
from ray import serve

from emulation.domain.cluster import Mode, TestbedConfig
from serve_apps.testbed.apps import DELETE_TIMEOUT_S, LOOK_S, replica_target, whole_share
from serve_apps.testbed.start_errors import mistakes
from serve_apps.wire.messages import ProcessChange
from serve_apps.wire.names import app_name, edge_resource
from serve_apps.wire.testbed import ours, served

log = logging.getLogger("edgebed")

_FAILED = ("DEPLOY_FAILED", "UNHEALTHY")


class Launcher:
    """The named actor `launcher`. Starts and stops of one application follow each other in the order
    asked."""

    def __init__(self, testbed: TestbedConfig, backend: str, timeout_s: float) -> None:
        self._testbed = testbed
        self._backend = backend
        self._timeout_s = timeout_s
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._running: dict[str, Mode] = {}
        self._open = True
        """Whether starts are taken: between runs there are none, whatever a node still asks for."""
        self._unwanted: set[str] = set()
        """Applications that are to stop: whoever still waits for their start gives up."""
        self._serve = ThreadPoolExecutor(1)
        """Every call of Serve is made in this thread: its client, which pickles with process-wide settings, breaks
        in two threads at once."""
        self._looking = asyncio.Lock()
        self._seen: tuple[float, dict[str, Any]] = (0.0, {})

    async def launch(self, node_id: str, model_id: str, mode: Mode) -> ProcessChange:
        """Start a replica; returns when it is up, has failed, was given up, or took too long. One that is up in this
        mode stays as it is. After a failure nothing of it is left."""
        name = app_name(node_id, model_id)
        async with self._locks[name]:
            began = time.monotonic()
            if not self._open:
                return ProcessChange(status="NOT_STARTED", reason="the run is over", given_up=True)
            if self._running.get(name) == mode:
                return ProcessChange(ok=True, status="RUNNING", reason="it was up already")
            if name in self._running:
                await self._delete(name)
            gpus = slice_share(self._testbed) if mode == "gpu" else 0.0
            try:
                status, reason = await self._start(name, node_id, model_id, gpus, began)
            except (
                Exception
            ) as error:  # whatever Serve raises: its reason is data, and nothing may be left behind
                status, reason = "DEPLOY_FAILED", f"{type(error).__name__}: {error}"
            if status == "RUNNING":
                self._running[name] = mode
            else:
                await self._delete(name)
            withdrawn = status != "RUNNING" and self._withdrawn(name)
            log.info("start of %s: %s %s", name, status, reason)
            return ProcessChange(
                ok=status == "RUNNING", status=status, reason=reason, wall_s=time.monotonic() - began,
                given_up=withdrawn,
            )  # fmt: skip

    async def halt(self, node_id: str, model_id: str) -> ProcessChange:
        """Stop a replica; returns when it is gone."""
        name = app_name(node_id, model_id)
        self._unwanted.add(name)
        async with self._locks[name]:
            self._unwanted.discard(name)
            began = time.monotonic()
            if name in self._running:
                await self._delete(name)
            status = (await self._statuses(fresh=True)).get(name)
            gone = status is None
            log.info("stop of %s: %s", name, "it is gone" if gone else "it is still there")
            said = "NOT_STARTED" if status is None else str(status.status.value)
            reason = "" if gone else "it is still there"
            return ProcessChange(ok=gone, status=said, reason=reason, wall_s=time.monotonic() - began)

    async def halt_others(self, node_id: str, wanted: dict[str, Mode]) -> None:
        """Stop what runs on a node in another mode than wanted (executor to mode)."""
        for model in self._testbed.hosted(node_id):
            mode = self._running.get(app_name(node_id, model))
            if mode is not None and wanted.get(f"{node_id}/{model}") != mode:
                await self.halt(node_id, model)

    async def halt_all(self, starts_follow: bool) -> list[str]:
        """Stop every replica; returns the applications Serve still has of them (none). Starts are refused meanwhile,
        and afterwards unless they are to follow."""
        self._open = False
        pairs = [(n.id, m) for n in self._testbed.nodes for m in self._testbed.hosted(n.id)]
        await asyncio.gather(*(self.halt(node, model) for node, model in pairs))
        left = await self._statuses(fresh=True)
        self._open = starts_follow
        return [app_name(node, model) for node, model in pairs if app_name(node, model) in left]

    async def _start(
        self, name: str, node_id: str, model_id: str, gpus: float, began: float
    ) -> tuple[str, str]:
        """(Serve's status, what is wrong) at the end of waiting.

        What a replica says of its own instructions ends it at once: Serve would try that twice more.
        """

        def deploy() -> None:
            serve.run_many(
                [replica_target(self._testbed, node_id, model_id, self._backend, gpus)],
                wait_for_ingress_deployment_creation=False,
                wait_for_applications_running=False,
            )

        await self._in_turn(deploy)
        await self._statuses(fresh=True)  # forget what was said of the name before
        while True:
            found = (await self._statuses()).get(name)
            status = "NOT_STARTED" if found is None else str(found.status.value)
            said = "" if found is None else _words(found)
            if status == "RUNNING" or status in _FAILED:
                return status, said
            if wrong := mistakes({} if found is None else {name: found}):
                return _FAILED[0], wrong[0]
            if self._withdrawn(name):
                return status, "given up: it is to stop again"
            if time.monotonic() - began > self._timeout_s:
                free = await asyncio.to_thread(_free)
                asked = f"it asks {gpus:g} GPU on {edge_resource(node_id)}; Ray has {free:g} GPU free"
                return status, f"not up after {self._timeout_s:g} s, {asked}. {said}".strip()
            await asyncio.sleep(LOOK_S)

    def _withdrawn(self, name: str) -> bool:
        return name in self._unwanted or not self._open

    async def _delete(self, name: str) -> None:
        """Have Serve take an application down, and wait until it is gone, or has not gone for a minute."""
        await self._in_turn(lambda: serve.delete(served(name), _blocking=False))
        self._running.pop(name, None)
        deadline = time.monotonic() + DELETE_TIMEOUT_S
        while name in await self._statuses(fresh=True) and time.monotonic() < deadline:
            await asyncio.sleep(LOOK_S)

    async def _in_turn(self, call: Callable[[], Any]) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._serve, call)

    async def _statuses(self, fresh: bool = False) -> dict[str, Any]:
        """Serve's status of every application, as it was at most `LOOK_S` ago (fresh: asked now)."""
        asked = time.monotonic()
        async with self._looking:
            if asked - self._seen[0] > (0.0 if fresh else LOOK_S):
                looked = time.monotonic()
                found = await self._in_turn(serve.status)
                self._seen = (looked, ours(found.applications))
            return self._seen[1]


def slice_share(testbed: TestbedConfig) -> float:
    """Share of a GPU one vGPU stands for: that of the finest division, the same everywhere so that it
    packs."""
    return whole_share(testbed, max((gpu.slices for node in testbed.nodes for gpu in node.gpus), default=1))


def _words(application: Any) -> str:
    """What Serve says about an application and its deployments."""
    said = [application.message, *(d.message for d in application.deployments.values())]
    return " ".join(" ".join(m.split()) for m in said if m)[:500]


def _free() -> float:
    ask: Any = ray.available_resources
    resources: dict[str, float] = ask()
    return resources.get("GPU", 0.0)
