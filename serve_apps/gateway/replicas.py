"""The gateway's handles to the replicas: one router per application, made ahead of the first request."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from typing import Any, Literal

from ray import serve
from ray.exceptions import RayError
from ray.serve.exceptions import RayServeException

from serve_apps.wire.names import REPLICA

log = logging.getLogger("edgebed")

WARM_UP_TIMEOUT_S = 20.0


class Replicas:
    """Handles by application. Making one takes tens of milliseconds, so `warm_up` makes them before a run begins."""

    def __init__(self) -> None:
        self._handles: dict[tuple[str, str], Any] = {}

    def handle(self, app: str, method: Literal["serve", "stream", "pid"]) -> Any:
        """The handle that calls this method of the replica of an application, straight to its process."""
        key = (app, method)
        if key not in self._handles:
            base = self._handles.get((app, ""))
            if base is None:
                base = self._handles[app, ""] = serve.get_deployment_handle(REPLICA, app_name=app)
            self._handles[key] = base.options(
                method_name=method, stream=method == "stream", _by_reference=False
            )
        return self._handles[key]

    async def warm_up(self, apps: Iterable[str]) -> None:
        """Call every application once. One that does not answer in time is left to the requests' own timeouts."""
        await asyncio.gather(*(self._call_once(app) for app in apps))

    async def _call_once(self, app: str) -> None:
        self.handle(app, "serve"), self.handle(app, "stream")
        try:
            async with asyncio.timeout(WARM_UP_TIMEOUT_S):
                await self.handle(app, "pid").remote()
        except (RayError, RayServeException, TimeoutError) as error:
            log.warning("%s does not answer yet: %s", app, error)
