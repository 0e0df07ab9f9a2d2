"""How an actor goes on after a restart: it is told for certain, and asks the recorder for what it needs."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError

from serve_apps.observe.logs import log_samples, starting
from serve_apps.observe.process import process_samples
from serve_apps.observe.samples import Sample
from serve_apps.wire.calls import Calls, RayCalls, Unreached
from serve_apps.wire.names import RECORDER

log = logging.getLogger("edgebed")

RESUME_TIMEOUT_S = 5.0
AGAIN_S = 1.0
"""Wall seconds before a recorder that was not reached is asked again."""


def where() -> dict[str, Any]:
    """Process, Ray node and machine this actor runs in; a machine goes by its address in the cluster."""
    node_id = ray.get_runtime_context().get_node_id()
    return {"pid": os.getpid(), "ray_node": node_id, "machine": machine()}


def machine() -> str:
    """This machine, by its address in the cluster."""
    util: Any = ray.util
    address: str = util.get_node_ip_address()
    return address


def machine_folder() -> Path:
    """A folder of this machine for what must outlive a process: it lasts as long as Ray's session, for its user."""
    here = ray.get_runtime_context()
    return Path(here.get_temp_dir()) / here.get_session_name() / "edgebed"


def actor_folder() -> Path:
    """A folder of this actor on its machine; the same after a restart."""
    return machine_folder() / str(ray.get_runtime_context().get_actor_id())


async def lives(actor: Any, limit_s: float, if_silent: bool) -> bool:
    """Whether the process of an actor is there, on whatever host, by its handle.

    `if_silent`: what it means that it says nothing for `limit_s` wall seconds.
    """
    try:
        async with asyncio.timeout(limit_s):
            await actor.__ray_ready__.remote()
    except TimeoutError:
        return if_silent
    except RayError:
        return False
    return True


def resume_if_restarted() -> None:
    """Called from an actor's constructor: if it was restarted, have its `resume` called, for certain.

    A single call of an actor to itself is sometimes lost while Ray still thinks it is restarting, so a thread of
    its own repeats it until it has run.
    """
    if not ray.is_initialized() or not ray.get_runtime_context().was_current_actor_reconstructed:
        return
    this_actor = ray.get_runtime_context().current_actor
    threading.Thread(target=_resume_for_certain, args=(this_actor,), daemon=True).start()


class Resident:
    """What an actor is besides its own work; `resident` adds it."""

    def __init__(self, *args: Any) -> None:
        name = own_name()
        with starting(name, name.partition(":")[2]):
            super().__init__(*args)
        if hasattr(self, "resume"):
            resume_if_restarted()
        tell_that_it_started(name)

    async def where(self) -> dict[str, Any]:
        """Process and Ray node this actor runs in."""
        return where()

    async def numbers(self) -> list[Sample]:
        """What a scraper is to read of this actor: its own numbers, and those of its process."""
        name = own_name()
        own: Callable[[], list[Sample]] | None = getattr(self, "counted", None)
        return [*process_samples(name), *log_samples(name), *(own() if own is not None else ())]

    async def block(self, seconds: float) -> None:
        """Stall this actor's event loop (tests)."""
        time.sleep(seconds)


def own_name() -> str:
    """What the actor of this process is called; a word of no meaning where there is none."""
    name = ray.get_runtime_context().get_actor_name() if ray.is_initialized() else None
    return str(name or "actor")


def tell_that_it_started(name: str) -> None:
    """Called from a constructor: the recorder counts the starts of every process. One that is not there counts
    nothing."""
    if ray.is_initialized() and name != RECORDER:
        RayCalls().tell(RECORDER, "started", name)


def resident(core: type, *also: type) -> type:
    """A class that knows no Ray, as one whose objects are actors: they resume after a restart, and say where they
    run. `also`: what they are besides; each takes its own arguments from the front."""
    return type(core.__name__, (Resident, *also, core), {})


async def part_of(calls: Calls, name: str) -> tuple[Any, float | None] | None:
    """What a restarted actor needs to take up the present run, and t0 if it has begun; None if there is no run.

    Asks until the recorder answers.
    """
    found: tuple[Any, float | None] | None = await _for_certain(calls, "part", name)
    return found


async def kept_of(calls: Calls, name: str) -> Any:
    """What the process before this one left with the recorder, if anything; asks until the recorder answers."""
    return await _for_certain(calls, "kept", name)


async def _for_certain(calls: Calls, method: str, name: str) -> Any:
    while True:
        try:
            return await calls.call(RECORDER, method, name)
        except Unreached as error:
            log.warning("%s: recorder not reached, asking again: %s", name, error)
            await asyncio.sleep(AGAIN_S)


def _resume_for_certain(actor: Any) -> None:
    while True:
        try:
            ray.get(actor.resume.remote(), timeout=RESUME_TIMEOUT_S)
        except (RayError, ValueError, TimeoutError) as error:
            log.warning("resume: %s", error)
            time.sleep(0.2)
        else:
            return
