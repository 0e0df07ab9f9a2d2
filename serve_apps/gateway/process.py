"""The gateway: a Serve deployment whose replica opens its own socket, so that a request takes one call, not
three.

Serve restarts it when its process dies or its socket closes (`check_health`); it then takes the run, the
clock and its learned state from the recorder and the state of every executor from the node runtimes.
"""

from __future__ import annotations

import asyncio
import logging
import os
import pickle
import socket
import time
from collections.abc import Awaitable
from typing import Any

import orjson
import ray
import uvicorn
from ray.exceptions import RayError

from emulation.domain.actions import MacroPolicy, RouteGuide
from emulation.domain.ports import FastPath
from serve_apps.gateway.control import ControlFront
from serve_apps.gateway.dispatch import Dispatcher
from serve_apps.gateway.exposition import Accounts, exposition
from serve_apps.gateway.front import Front
from serve_apps.gateway.http import App, Exchange
from serve_apps.gateway.meta import MetaLink
from serve_apps.gateway.replicas import Replicas
from serve_apps.records.batch import RecordBatch
from serve_apps.replica.choice import has_ledger
from serve_apps.wire.calls import RayCalls
from serve_apps.wire.clock import LiveClock
from serve_apps.wire.messages import GatewayRun, Hinted, RunState
from serve_apps.wire.names import (
    EVENTS,
    GATEWAY_APP,
    PLANNER,
    RECORDER,
    SCHEDULER,
    VRAM,
    NotThere,
    Phonebook,
    app_name,
    runtime_name,
)
from serve_apps.wire.secret import Keys

log = logging.getLogger("edgebed")

WATCH_S = 5.0
"""Wall seconds of one long poll."""
CHECKPOINT_S = 2.0


class Gateway:
    """One gateway process. Several may share the port (SO_REUSEPORT)."""

    def __init__(self, host: str, port: int, keys: Keys) -> None:
        self._source = f"{GATEWAY_APP}:{ray.get_runtime_context().get_node_id()}:{os.getpid()}"
        self._actors = Phonebook()
        self._replicas = Replicas()
        self._batch = RecordBatch(RayCalls(), self._source)
        self._dispatcher: Dispatcher | None = None
        self._followers: list[asyncio.Task[None]] = []
        self._meta: MetaLink | None = None
        self._server = uvicorn.Server(
            uvicorn.Config(
                self._app(host, keys),
                http="httptools", loop="none", ws="none", lifespan="off", access_log=False,
                log_level="warning", timeout_keep_alive=75, server_header=False, date_header=False,
            )
        )  # fmt: skip
        self._serving = asyncio.ensure_future(self._server._serve([open_socket(host, port)]))
        self._loops = [
            asyncio.ensure_future(w) for w in (self._follow_runs(), self._send_records(), self._save())
        ]

    def check_health(self) -> None:
        """Raises `RuntimeError` if the socket is closed or a background loop has stopped; Serve then
        replaces us."""
        for task in (self._serving, *self._loops):
            if task.done():
                raise RuntimeError("the gateway has stopped serving")

    async def flush(self) -> None:
        """Send every record so far."""
        await self._batch.flush()

    async def where(self) -> dict[str, Any]:
        """Process of this gateway."""
        return {"pid": os.getpid()}

    def _app(self, host: str, keys: Keys) -> App:
        front = Front(lambda: self._dispatcher, keys.api)
        control = ControlFront(host, keys.control)
        routes = front.routes() | control.routes()
        routes["/health"] = {"GET": self._health}
        routes["/metrics"] = {"GET": self._metrics}
        return App(routes)

    async def _health(self, exchange: Exchange) -> None:
        dispatcher = self._dispatcher
        body: dict[str, Any] = {"status": "idle", "pid": os.getpid()}
        if dispatcher is not None:
            body |= {
                "status": "ok",
                "run": dispatcher.run.run_id,
                "scheme": dispatcher.run.scheme,
                "speedup": dispatcher.run.speedup,
                "t_s": round(dispatcher.clock.now_s(), 3),
                "in_flight": len(dispatcher.flights),
            }
        await exchange.reply(200, orjson.dumps(body))

    async def _metrics(self, exchange: Exchange) -> None:
        text = exposition(self._dispatcher, await self._vram())
        await exchange.reply(200, text, b"text/plain; version=0.0.4; charset=utf-8")

    async def _vram(self) -> Accounts:
        """What the vRAM ledger holds; nothing where there is none, or it does not answer."""
        dispatcher = self._dispatcher
        if dispatcher is None or not has_ledger(dispatcher.run.testbed, dispatcher.run.backend):
            return ()
        try:
            accounts: Accounts = await self._ask(VRAM, "accounts")
        except (RayError, NotThere, TimeoutError) as error:
            log.warning("gateway: vRAM ledger not reached: %s", error)
            return ()
        return accounts

    # -- following the rest of the testbed ----------------------------------------------------------------

    async def _follow_runs(self) -> None:
        version = 0
        while True:
            try:
                heard, states = await self._ask(RECORDER, "watch", "", version, WATCH_S)
                for state in states:
                    await self._take_up(state)
                version = heard
            except (RayError, NotThere, TimeoutError) as error:
                log.warning("gateway: recorder not reached: %s", error)
                await asyncio.sleep(0.5)

    async def _take_up(self, state: RunState) -> None:
        """A run was opened, started or closed."""
        if state.closed or state.run_id is None:
            self._stop_following()
            self._dispatcher = None
            return
        if self._dispatcher is None or self._dispatcher.run.run_id != state.run_id:
            self._stop_following()
            found = await self._ask(RECORDER, "part", GATEWAY_APP)
            if found is None:
                return
            await self._begin(found[0])
        if self._dispatcher is not None and state.t0_wall is not None:
            self._dispatcher.clock.start(state.t0_wall)

    async def _begin(self, run: GatewayRun) -> None:
        self._batch = RecordBatch(RayCalls(), self._source)
        self._batch.begin(run.run_id)
        fast_path: FastPath = pickle.loads(run.fast_path)
        dispatcher = Dispatcher(
            run, fast_path, LiveClock(run.speedup), self._batch, self._replicas, self._actors
        )
        if not run.cold:
            hosted = [(n.id, m) for n in run.testbed.nodes for m in run.testbed.hosted(n.id)]
            await self._replicas.warm_up(app_name(node, model) for node, model in hosted)
        this_actor = ray.get_runtime_context().current_actor
        checkpoint = await self._ask(RECORDER, "join", run.run_id, self._source, this_actor)
        if checkpoint is not None:
            dispatcher.restore(pickle.loads(checkpoint))
        if (meta := dispatcher.fast_path.meta) is not None:
            self._meta = MetaLink(meta, dispatcher.clock, self._batch, dispatcher.wake)
        await asyncio.gather(*(self._news_of(dispatcher, n.id, 0, 1.0) for n in run.testbed.nodes))
        follow: list[Awaitable[None]] = [self._follow_node(dispatcher, n.id) for n in run.testbed.nodes]
        if run.planned:
            follow.append(self._follow_commands(dispatcher, PLANNER))
        if run.scheduled:
            follow.append(self._follow_commands(dispatcher, SCHEDULER))
        if self._meta is not None:
            follow.append(self._follow_outages(dispatcher, self._meta))
        self._followers = [asyncio.ensure_future(f) for f in follow]
        self._dispatcher = dispatcher
        await self._ask(RECORDER, "ready", run.run_id, self._source)

    def _stop_following(self) -> None:
        for task in self._followers:
            task.cancel()
        self._followers = []
        if self._meta is not None:
            self._meta.stop()
        self._meta = None

    async def _follow_node(self, dispatcher: Dispatcher, node_id: str) -> None:
        """Tell the fast path what becomes of the executors of one node; one that does not answer is away."""
        version = 0
        while True:
            try:
                if node_id in dispatcher.lost:  # hear the state of every executor, then it is there again
                    version = await self._news_of(dispatcher, node_id, 0, WATCH_S)
                    dispatcher.lost.discard(node_id)
                version = await self._news_of(dispatcher, node_id, version, WATCH_S)
            except (RayError, NotThere, TimeoutError) as error:
                log.warning("gateway: node %s not reached: %s", node_id, error)
                dispatcher.node_lost(node_id)
                await asyncio.sleep(0.5)

    async def _news_of(self, dispatcher: Dispatcher, node_id: str, version: int, timeout_s: float) -> int:
        name, run_id = runtime_name(node_id), dispatcher.run.run_id
        version, news = await self._ask(name, "watch", run_id, version, timeout_s)
        for changed in news:
            if not isinstance(changed, Hinted):
                dispatcher.executor_changed(changed)
            elif self._meta is not None:
                self._meta.hinted(changed)
        return version

    async def _follow_outages(self, dispatcher: Dispatcher, meta: MetaLink) -> None:
        """Break and mend the reasoner as the event plan says."""
        version = 0

        async def poll(version: int) -> int:
            found, failures = await self._ask(EVENTS, "watch", dispatcher.run.run_id, version, WATCH_S)
            for failure in failures:
                meta.outage(failure)
            return int(found)

        while True:
            version = await self._patiently(poll(version), version)

    async def _follow_commands(self, dispatcher: Dispatcher, name: str) -> None:
        """Give the planner's policies or the scheduler's guides to the fast path as they land."""
        version = 0

        async def poll(version: int) -> int:
            version, commands = await self._ask(name, "watch", dispatcher.run.run_id, version, WATCH_S)
            for command in commands:
                if isinstance(command, MacroPolicy):
                    dispatcher.fast_path.policy(command)
                elif isinstance(command, RouteGuide):
                    dispatcher.fast_path.guide(command)
                dispatcher.wake()
            return version

        while True:
            version = await self._patiently(poll(version), version)

    async def _patiently(self, poll: Awaitable[int], version: int) -> int:
        """One long poll; one that fails is tried again a little later."""
        try:
            return await poll
        except (RayError, NotThere, TimeoutError) as error:
            log.info("gateway: long poll failed: %s", error)
            await asyncio.sleep(0.5)
            return version

    async def _ask(self, name: str, method: str, *args: Any) -> Any:
        """Call a named actor; never wait longer than a long poll takes."""
        call = getattr(self._actors.find(name), method).remote(*args)
        return await asyncio.wait_for(call, WATCH_S + 5.0)

    async def _send_records(self) -> None:
        """Flush the present run's records, for ever. (A run that is over keeps its own batch: nothing
        mixes.)"""
        while True:
            await self._batch.period()

    async def _save(self) -> None:
        """Leave the learned state with the recorder every few seconds, for a successor."""
        ends = -1
        while True:
            await asyncio.sleep(CHECKPOINT_S)
            dispatcher = self._dispatcher
            if dispatcher is None or sum(dispatcher.ends.values()) == ends:
                continue
            ends = sum(dispatcher.ends.values())
            try:
                await self._ask(RECORDER, "checkpoint", GATEWAY_APP, pickle.dumps(dispatcher.checkpoint()))
            except (RayError, NotThere, TimeoutError) as error:
                log.warning("gateway: no checkpoint: %s", error)


def open_socket(host: str, port: int) -> socket.socket:
    """A listening TCP socket that other gateways may share; waits a little for a predecessor's to close."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for attempt in range(20):
        found = socket.socket(family, socket.SOCK_STREAM)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        try:
            found.bind((host, port))
            found.listen(2048)
        except OSError:
            found.close()
            if attempt == 19:
                raise
            time.sleep(0.1)
        else:
            return found
    raise AssertionError("unreachable")
