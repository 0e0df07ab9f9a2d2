"""Calls to the replicas: over a line of our own to those of this machine, by Serve's handle to all others.

Serve's handles, one router per application, are made ahead of the first request: there may be no line.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Iterable
from typing import Any, Literal, Protocol

from ray import serve
from ray.exceptions import RayError
from ray.serve.exceptions import RayServeException

from serve_apps.gateway.line import Lines
from serve_apps.observe.samples import Sample
from serve_apps.wire.calls import CALL_LIMIT_S, LONGEST_S, Unreached, each_within
from serve_apps.wire.line import SWITCH
from serve_apps.wire.messages import Answer, Items, Work
from serve_apps.wire.names import REPLICA
from serve_apps.wire.testbed import served

log = logging.getLogger("edgebed")

WARM_UP_TIMEOUT_S = 20.0


class Replicas(Protocol):
    """Calls to the replica of an application, none longer than `LONGEST_S`; a caller may well be less patient."""

    async def serve(self, app: str, work: Work) -> Answer:
        """One attempt, whole. Raises `Unreached` if the replica is lost."""

    def stream(self, app: str, work: Work) -> AsyncIterator[Items]:
        """One attempt, its text on the way, the `Answer` last. Raises `Unreached` if the replica is lost."""

    async def numbers(self, app: str) -> list[Sample]:
        """What a scraper is to read of a replica. Raises `Unreached` if it is lost."""


class ServeReplicas:
    """Calls through Serve's handles. Making one takes tens of milliseconds, so `warm_up` makes them before a run."""

    def __init__(self) -> None:
        self._handles: dict[tuple[str, str], Any] = {}

    async def serve(self, app: str, work: Work) -> Answer:
        """See `Replicas`."""
        try:
            async with asyncio.timeout(LONGEST_S):
                answer: Answer = await self._handle(app, "serve").remote(work)
        except (RayError, RayServeException, TimeoutError) as error:
            raise Unreached(f"{app}: {type(error).__name__}") from error
        return answer

    async def stream(self, app: str, work: Work) -> AsyncIterator[Items]:
        """See `Replicas`."""
        try:
            async for item in each_within(self._handle(app, "stream").remote(work), LONGEST_S):
                yield (item,)
        except (RayError, RayServeException, TimeoutError) as error:
            raise Unreached(f"{app}: {type(error).__name__}") from error

    async def numbers(self, app: str) -> list[Sample]:
        """See `Replicas`."""
        found: list[Sample] = await self._asked(app, "numbers")
        return found

    async def where(self, app: str) -> str:
        """Address of its line. Raises `Unreached` if it is lost."""
        found: str = await self._asked(app, "line")
        return found

    async def _asked(self, app: str, what: Literal["numbers", "line"]) -> Any:
        try:
            async with asyncio.timeout(CALL_LIMIT_S):
                return await self._handle(app, what).remote()
        except (RayError, RayServeException, TimeoutError) as error:
            raise Unreached(f"{app}: {type(error).__name__}") from error

    async def warm_up(self, apps: Iterable[str]) -> None:
        """Call every application once. One that does not answer in time is left to the requests' own limits."""
        await asyncio.gather(*(self._call_once(app) for app in apps))

    async def _call_once(self, app: str) -> None:
        self._handle(app, "serve"), self._handle(app, "stream")
        try:
            async with asyncio.timeout(WARM_UP_TIMEOUT_S):
                await self._handle(app, "pid").remote()
        except (RayError, RayServeException, TimeoutError) as error:
            log.warning("%s does not answer yet: %s", app, error)

    def _handle(self, app: str, method: Literal["serve", "stream", "pid", "numbers", "line"]) -> Any:
        """The handle that calls this method of the replica of an application, straight to its process."""
        if (app, method) not in self._handles:
            if (app, "") not in self._handles:
                self._handles[app, ""] = serve.get_deployment_handle(REPLICA, app_name=served(app))
            self._handles[app, method] = self._handles[app, ""].options(
                method_name=method, stream=method == "stream", _by_reference=False
            )
        return self._handles[app, method]


class NearReplicas(ServeReplicas):
    """Over a line where there is one, which is on this machine; by Serve's handle everywhere else."""

    def __init__(self) -> None:
        super().__init__()
        self._lines = Lines(self.where)

    async def serve(self, app: str, work: Work) -> Answer:
        """See `Replicas`."""
        line = self._lines.of(app)
        return await (super().serve(app, work) if line is None else line.serve(work))

    def stream(self, app: str, work: Work) -> AsyncIterator[Items]:
        """See `Replicas`."""
        line = self._lines.of(app)
        return super().stream(app, work) if line is None else line.stream(work)

    async def _call_once(self, app: str) -> None:
        await super()._call_once(app)
        await self._lines.look(app)


def replicas() -> ServeReplicas:
    """The way to the replicas, by the environment."""
    return ServeReplicas() if os.environ.get(SWITCH) == "off" else NearReplicas()
