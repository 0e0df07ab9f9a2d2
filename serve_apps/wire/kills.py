"""Really ending processes of the testbed, for faults that do, and hearing when others have taken their place."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import Any, Protocol

import ray
from ray import serve
from ray.exceptions import RayError
from ray.serve.exceptions import RayServeException
from ray.util import list_named_actors

from serve_apps.wire.names import REPLICA
from serve_apps.wire.testbed import namespace, served

log = logging.getLogger("edgebed")

LOOK_S = 0.2
"""Wall seconds between two looks for a process that is to come back."""
ANSWER_S = 2.0
"""Wall seconds a process has to answer a look."""
KILL_S = 10.0
"""Wall seconds Ray has to find and end what is to be killed."""


@dataclass(frozen=True, slots=True)
class Victims:
    """Processes of the testbed."""

    actors: tuple[str, ...] = ()
    """Names of actors of ours; Ray starts each again."""
    apps: tuple[str, ...] = ()
    """Serve applications, by name: their replicas; Serve starts others."""


class Kills(Protocol):
    """Ends processes at once: nothing of what they held can be saved."""

    async def kill(self, victims: Victims) -> tuple[str, ...]:
        """End all of them that are there; returns their names, a replica's with what tells it from its successor."""

    async def back(self, victims: Victims, limit_s: float) -> bool:
        """Wait until a process answers in the place of each; false if that takes longer than `limit_s` wall seconds."""


class RayKills:
    """Through Ray, on whatever machine the process is."""

    async def kill(self, victims: Victims) -> tuple[str, ...]:
        """See `Kills`."""
        try:
            async with asyncio.timeout(KILL_S):
                return await asyncio.to_thread(_kill, victims)
        except (TimeoutError, RayError) as error:
            log.error("not killed: %s: %s", type(error).__name__, error)
            return ()

    async def back(self, victims: Victims, limit_s: float) -> bool:
        """See `Kills`."""
        try:
            async with asyncio.timeout(limit_s):
                await asyncio.gather(
                    *(_actor_answers(name) for name in victims.actors),
                    *(_replica_answers(app) for app in victims.apps),
                )
        except TimeoutError:
            return False
        return True


def _kill(victims: Victims) -> tuple[str, ...]:
    prefixes = tuple(f"SERVE_REPLICA::{served(app)}#{REPLICA}#" for app in victims.apps)
    found = [(name, namespace()) for name in victims.actors]
    if prefixes:
        named: Any = list_named_actors(all_namespaces=True)
        found += [(a["name"], a["namespace"]) for a in named if a["name"].startswith(prefixes)]
    killed = []
    for name, of in found:
        try:
            handle = ray.get_actor(name, namespace=of)
        except ValueError:
            continue  # it is gone already
        ray.kill(handle, no_restart=of != namespace())
        killed.append(name)
    return tuple(killed)


async def _actor_answers(name: str) -> None:
    """Return once the actor of this name answers."""
    while True:
        try:
            async with asyncio.timeout(ANSWER_S):
                handle: Any = await asyncio.to_thread(ray.get_actor, name, namespace=namespace())
                await handle.where.remote()
                return
        except (RayError, ValueError, TimeoutError):
            await asyncio.sleep(LOOK_S)


async def _replica_answers(app: str) -> None:
    """Return once a replica of this application answers."""
    replica: Any = serve.get_deployment_handle(REPLICA, app_name=served(app))
    while True:
        try:
            async with asyncio.timeout(ANSWER_S):
                await replica.pid.remote()
                return
        except (RayError, RayServeException, TimeoutError):
            await asyncio.sleep(LOOK_S)
