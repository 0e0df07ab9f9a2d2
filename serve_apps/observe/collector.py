"""Asks every process of a testbed for its numbers at the moment of a scrape, and says who did not answer."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence

from emulation.domain.cluster import TestbedConfig
from serve_apps.gateway.replicas import Replicas
from serve_apps.observe.actors import gpu_samples
from serve_apps.observe.exposition import KEPT_S
from serve_apps.observe.samples import Sample
from serve_apps.replica.choice import has_ledger
from serve_apps.wire.calls import Calls, Unreached
from serve_apps.wire.messages import GatewayRun
from serve_apps.wire.names import (
    EVENTS,
    LAUNCHER,
    PLANNER,
    RECORDER,
    SCHEDULER,
    VRAM,
    app_name,
    deployer_name,
    runtime_name,
)

log = logging.getLogger("edgebed")

ASK_LIMIT_S = 1.0
"""Wall seconds a process has to answer a scrape."""


class Collector:
    """Reads the testbed; whoever asks meanwhile hears the same, and so does who asks within a second."""

    def __init__(self, calls: Calls, replicas: Replicas | None = None) -> None:
        """`replicas` None: they are not asked."""
        self._calls = calls
        self._replicas = replicas
        self._run: GatewayRun | None = None
        """The last run that was in progress: whom to ask between runs."""
        self._read_at_s = float("-inf")
        self._read: list[Sample] = []
        self._reading = asyncio.Lock()

    async def read(self, run: GatewayRun | None) -> list[Sample]:
        """Everybody's numbers. `run`: the one in progress."""
        self._run = run or self._run
        async with self._reading:
            if time.monotonic() - self._read_at_s > KEPT_S:
                self._read = await self._ask_all()
                self._read_at_s = time.monotonic()
            return self._read

    async def _ask_all(self) -> list[Sample]:
        asked: dict[str, Callable[[], Awaitable[Sequence[Sample]]]] = {}
        for name in _actors(self._run):
            asked[name] = lambda name=name: self._calls.call(name, "numbers", limit_s=ASK_LIMIT_S)  # type: ignore[misc]
        if self._run is not None and self._replicas is not None and not self._run.cold:
            replicas = self._replicas
            for app in _apps(self._run.testbed):
                asked[app] = lambda app=app: replicas.numbers(app)  # type: ignore[misc]
        answers = await asyncio.gather(*(self._ask(name, how) for name, how in asked.items()))
        found = [sample for answer in answers for sample in answer]
        if self._run is not None and has_ledger(self._run.testbed, self._run.backend):
            found.extend(await self._gpus())
        return found

    async def _ask(self, name: str, how: Callable[[], Awaitable[Sequence[Sample]]]) -> list[Sample]:
        try:
            async with asyncio.timeout(ASK_LIMIT_S):
                return [*await how(), Sample("edgebed_up", (name,), 1.0)]
        except (Unreached, ValueError, TimeoutError) as error:
            log.info("scrape: %s: %s", name, error)
            return [Sample("edgebed_up", (name,), 0.0)]

    async def _gpus(self) -> list[Sample]:
        try:
            return list(gpu_samples(await self._calls.call(VRAM, "accounts", limit_s=ASK_LIMIT_S)))
        except Unreached as error:
            log.warning("scrape: vRAM ledger not reached: %s", error)
            return []


def _actors(run: GatewayRun | None) -> list[str]:
    names = [RECORDER, EVENTS, PLANNER, SCHEDULER]
    if run is None:
        return names
    if run.cold:
        names.append(LAUNCHER)
    if has_ledger(run.testbed, run.backend):
        names.append(VRAM)
    nodes = [n.id for n in run.testbed.nodes]
    return [*names, *map(runtime_name, nodes), *map(deployer_name, nodes)]


def _apps(testbed: TestbedConfig) -> list[str]:
    return [app_name(n.id, m) for n in testbed.nodes for m in testbed.hosted(n.id)]
