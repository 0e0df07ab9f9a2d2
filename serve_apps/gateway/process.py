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
from functools import partial
from typing import Any

import ray

from emulation.executor import Changed
from serve_apps.gateway.dispatch import Dispatcher
from serve_apps.gateway.front import Front
from serve_apps.gateway.links import Links
from serve_apps.gateway.meta import LiveMetaLink
from serve_apps.gateway.names import Names
from serve_apps.gateway.others import Others
from serve_apps.gateway.replicas import replicas
from serve_apps.gateway.server.books import Books
from serve_apps.gateway.server.listener import listen, open_socket
from serve_apps.gateway.server.settings import HttpSettings
from serve_apps.gateway.steps import Step, step_of
from serve_apps.observe.collector import Collector
from serve_apps.observe.logs import starting
from serve_apps.records.batch import RecordBatch
from serve_apps.records.spool import Spool, orphans
from serve_apps.records.told import tell_slots
from serve_apps.wire.calls import RayCalls, Unreached
from serve_apps.wire.clock import LiveClock
from serve_apps.wire.keys import fetch_keys
from serve_apps.wire.listening import listen_where_the_node_is
from serve_apps.wire.log import follow_log
from serve_apps.wire.memory import keep_freed_memory
from serve_apps.wire.messages import GatewayRun, Hinted, RunState
from serve_apps.wire.names import (
    EVENTS,
    GATEWAY_APP,
    PLANNER,
    RECORDER,
    SCHEDULER,
    app_name,
    runtime_name,
)
from serve_apps.wire.news import Follower
from serve_apps.wire.restart import machine, machine_folder, tell_that_it_started
from serve_apps.wire.secret import Keys

log = logging.getLogger("edgebed")

CHECKPOINT_S = 2.0


class Gateway:
    """One gateway process. Several of ours may share a port."""

    def __init__(self, host: str, port: int, http: HttpSettings, shared: bool = False) -> None:
        """Raises `Unreached` if nobody hands over the keys that clients are to show."""
        keep_freed_memory()
        listen_where_the_node_is()
        keys = Keys.of(fetch_keys())
        self._source = f"{GATEWAY_APP}:{ray.get_runtime_context().get_actor_id()}:{os.getpid()}"
        self._calls = RayCalls()
        self._replicas = replicas()
        self._batch = RecordBatch(self._calls, self._source)
        self._dispatcher: Dispatcher | None = None
        """Of the run whose requests are taken."""
        self._last: Dispatcher | None = None
        """Of the run whose requests were taken last: some may still be in flight."""
        self._following: list[asyncio.Task[None]] = []
        self._heeding: list[asyncio.Task[None]] = []
        """Follow whoever decides by the scheme in force."""
        self._hints: dict[str, Hinted] = {}
        """Node to what it said last of its hints."""
        self._meta: LiveMetaLink | None = None
        self._broken = ""
        """Why a meta-controller of this run that is not in force any more had stopped asking; empty: none had."""
        self._others: Others | None = None
        self._shared = shared
        self._said = False
        """Whether its log says why it has stopped."""
        secrets = [secret.value for secret in (keys.api, keys.control) if secret is not None]
        with starting(f"{GATEWAY_APP}-{os.getpid()}" if shared else GATEWAY_APP, secrets=secrets):
            common = open_socket(host, port, shared)
            own = open_socket(host, 0) if shared else None
        tell_that_it_started(GATEWAY_APP)
        books = Books(http)
        collector = Collector(self._calls, self._replicas)
        front = Front(
            host, keys, lambda: self._dispatcher, self._calls, books, collector, lambda: self._batch,
            lambda: self._others,
        )  # fmt: skip
        self._url = _url(host, (own or common).getsockname()[1])
        self._serving = asyncio.ensure_future(listen(front.app(), common, host, http, books, own))
        runs: Follower[RunState] = Follower(self._calls, RECORDER, "", self._take_up)
        self._loops = [asyncio.ensure_future(w) for w in (runs.run(), self._send_records(), self._save())]

    def check_health(self) -> None:
        """Raises `RuntimeError` if the socket is closed or a background loop has stopped; Serve then
        replaces us."""
        for task in (self._serving, *self._loops):
            if task.done():
                why = "cancelled" if task.cancelled() else task.exception() or "it returned"
                if not self._said:
                    self._said = True
                    log.error("the gateway has stopped serving: %s", why, exc_info=_raised(task))
                raise RuntimeError(f"the gateway has stopped serving: {why}")

    async def flush(self) -> None:
        """Send every record so far."""
        await self._batch.flush()

    async def end_run(self) -> str:
        """The run is about to be closed: its meta-controller asks nothing more. Returns why it asked nothing before;
        empty if it did."""
        return self._broken if self._meta is None else self._meta.end() or self._broken

    async def where(self) -> dict[str, Any]:
        """Process of this gateway, and where it alone is reached."""
        return {"pid": os.getpid(), "url": self._url}

    # -- following the rest of the testbed ----------------------------------------------------------------

    async def _take_up(self, state: RunState) -> None:
        """A run was opened, started, is about to end, or was closed."""
        dispatcher, run_id = self._dispatcher, state.run_id
        step = step_of(state, None if self._last is None else self._last.run.run_id, dispatcher is not None)
        if step in ("end", "seal", "idle") or run_id is None:
            await self._end(run_id, step)
            return
        if dispatcher is not None and step == "stay":
            if not await self._join(run_id):  # a recorder that was restarted must know whom to ask
                return
            if state.switch > dispatcher.run.switch:
                await self._switch(dispatcher)
        else:
            self._stop_following()
            part = await self._calls.call(RECORDER, "part", GATEWAY_APP)
            dispatcher = None if part is None else await self._begin(part[0])
            if dispatcher is None:
                return
        if state.t0_wall is not None and not dispatcher.clock.started:
            dispatcher.clock.start(state.t0_wall)
            telling = tell_slots(self._batch, dispatcher.clock, dispatcher.run.slot_s)
            self._following.append(asyncio.ensure_future(telling))

    async def _end(self, run_id: str | None, step: Step) -> None:
        """Take no further request; from `seal` on, answer nobody who is still in flight either."""
        self._dispatcher = None
        if step != "end":
            if self._last is not None:
                self._last.seal()
            if self._batch.run_id == run_id:
                self._batch.seal()  # one that joined and never came to serve says so too
        if step == "idle":
            self._stop_following()
            log.info("no run is in progress")
        elif run_id is not None and self._batch.run_id != run_id:
            await self._hand_over_orphans(run_id)  # this process came too late for more

    async def _begin(self, run: GatewayRun) -> Dispatcher | None:
        """Serve a run from now on; None if it is over."""
        if self._last is not None:
            self._last.seal()
        self._batch = RecordBatch(self._calls, self._source, spool=Spool(machine_folder()))
        self._batch.begin(run.run_id)
        nodes = [n.id for n in run.testbed.nodes]
        self._hints, self._broken = {}, ""
        followers: dict[str, Follower[Any]] = {}
        dispatcher = Dispatcher(
            run, pickle.loads(run.fast_path), LiveClock(run.speedup), self._batch, self._replicas, self._calls,
            lambda node_id: followers[node_id].again(),
        )  # fmt: skip
        if not run.cold:
            await self._replicas.warm_up(app_name(n, m) for n in nodes for m in run.testbed.hosted(n))
        await self._hand_over_orphans(run.run_id)
        joined = await self._join(run.run_id)
        if not joined:
            return None
        (checkpoint,) = joined
        dispatcher.names = Names(await self._calls.call(RECORDER, "place", self._source))
        if checkpoint is not None:
            dispatcher.restore(pickle.loads(checkpoint))
        self._heed(dispatcher)
        followers |= self._followers_of(dispatcher)
        await asyncio.gather(*(followers[node].poll(1.0) for node in nodes))
        dispatcher.links = Links(
            self._calls, self._batch, dispatcher.clock, machine(), dispatcher.names.gateway
        )
        await dispatcher.links.begin(nodes)
        loops = (dispatcher.links.run(), *(f.run() for f in followers.values()))
        self._following = [asyncio.ensure_future(loop) for loop in loops]
        if self._shared:
            self._following += self._hear_of_others(dispatcher, nodes)
        self._dispatcher = self._last = dispatcher
        await self._calls.call(RECORDER, "ready", run.run_id, self._source)
        await self._took_up(dispatcher)
        log.info("took up run %s, scheme %s", run.run_id, run.scheme)
        return dispatcher

    async def _switch(self, dispatcher: Dispatcher) -> None:
        """Another scheme decides from now on: take our part again, as after a restart."""
        part = await self._calls.call(RECORDER, "part", GATEWAY_APP)
        if part is None or dispatcher is not self._dispatcher:
            return
        run: GatewayRun = part[0]
        fast_path = await asyncio.to_thread(pickle.loads, run.fast_path)
        dispatcher.switch(run, fast_path)
        self._heed(dispatcher)
        for hinted in self._hints.values():
            if self._meta is not None and hinted.hints:
                self._meta.hinted(hinted)
        log.info("switched to scheme %s", run.scheme)
        await self._took_up(dispatcher)

    async def _took_up(self, dispatcher: Dispatcher) -> None:
        run, now_s = dispatcher.run, dispatcher.clock.now_s()
        if run.switch:
            await self._calls.call(RECORDER, "took_up", run.run_id, run.switch, self._source, now_s)

    def _hear_of_others(self, dispatcher: Dispatcher, nodes: list[str]) -> list[asyncio.Task[None]]:
        """Have the nodes tell what other gateways have there."""
        run_id, number = dispatcher.run.run_id, dispatcher.names.gateway
        self._others = others = Others(number, dispatcher, dispatcher.clock)
        pause_s = dispatcher.run.news_s
        return [
            asyncio.ensure_future(
                follow_log(self._calls, runtime_name(n), "traffic", run_id, partial(others.hear, n), pause_s)
            )
            for n in nodes
        ]

    async def _join(self, run_id: str) -> tuple[()] | tuple[Any]:
        """Say that this process serves the run; the state that the one before it left. Nothing if the run is over."""
        this_actor = ray.get_runtime_context().current_actor
        joining = (run_id, self._source, this_actor, await self.where())
        try:
            return (await self._calls.call(RECORDER, "join", *joining),)
        except ValueError as error:
            log.info("run %s is not taken up: %s", run_id, error)
            return ()

    async def _hand_over_orphans(self, run_id: str) -> None:
        """Send what a gateway that was killed on this machine had not sent."""
        for left in orphans(machine_folder(), run_id):
            try:
                await self._calls.call(RECORDER, "append", run_id, left.source, left.first, left.entries)
            except ValueError as error:
                log.error("gateway: what %s left is not in the record: %s", left.source, error)

    def _heed(self, dispatcher: Dispatcher) -> None:
        """Listen to whoever decides by the scheme in force, and carry for its meta-controller."""
        if self._meta is not None:
            self._meta.retire()
        self._heed_nobody()
        run, meta = dispatcher.run, dispatcher.fast_path.meta
        followed: list[Follower[Any]] = []
        if run.planned:
            followed.append(Follower(self._calls, PLANNER, run.news_id, dispatcher.commanded))
        if run.scheduled:
            followed.append(Follower(self._calls, SCHEDULER, run.news_id, dispatcher.commanded))
        if meta is not None:
            self._meta = LiveMetaLink(meta, dispatcher.clock, self._batch, dispatcher.wake)
            followed.append(Follower(self._calls, EVENTS, run.run_id, self._meta.outage))
        self._heeding = [asyncio.ensure_future(follower.run()) for follower in followed]

    def _heed_nobody(self) -> None:
        for task in self._heeding:
            task.cancel()
        if self._meta is not None:
            self._meta.stop()
            self._broken = self._broken or self._meta.broken
        self._heeding, self._meta = [], None

    def _followers_of(self, dispatcher: Dispatcher) -> dict[str, Follower[Any]]:
        """Every node that this run's dispatcher listens to, by its id."""

        def hear(news: Changed | Hinted) -> None:
            if isinstance(news, Changed):
                dispatcher.executor_changed(news)
                return
            self._hints[news.node] = news
            if self._meta is not None:
                self._meta.hinted(news)

        def following(node_id: str) -> Follower[Any]:
            lost = partial(dispatcher.node_lost, node_id)
            return Follower(self._calls, runtime_name(node_id), dispatcher.run.run_id, hear, lost)

        return {n.id: following(n.id) for n in dispatcher.run.testbed.nodes}

    def _stop_following(self) -> None:
        for task in self._following:
            task.cancel()
        self._following = []
        self._others = None
        self._heed_nobody()

    async def _send_records(self) -> None:
        """Flush the present run's records, for ever. (A run that is over keeps its own batch: nothing
        mixes.)"""
        while True:
            await self._batch.period()

    async def _save(self) -> None:
        """Leave the learned state with the recorder every few seconds, for a successor."""
        saved: Any = None
        while True:
            await asyncio.sleep(CHECKPOINT_S)
            dispatcher = self._dispatcher
            if dispatcher is None:
                continue
            state = (dispatcher.run.run_id, dispatcher.run.switch, dispatcher.counts.ends.total())
            if state == saved:
                continue
            saved = state
            fast_path, in_view, switch = dispatcher.checkpoint()
            if self._others is not None:
                in_view = [*in_view, *self._others.present()]
            try:
                await self._calls.call(
                    RECORDER, "checkpoint", GATEWAY_APP, pickle.dumps((fast_path, in_view, switch))
                )
            except Unreached as error:
                log.warning("no checkpoint: %s", error)


def _raised(task: asyncio.Task[None]) -> BaseException | None:
    return None if task.cancelled() else task.exception()


def _url(host: str, port: int) -> str:
    """Where clients find a socket; of one that listens everywhere, by this machine's address in the cluster."""
    if host in ("0.0.0.0", "::"):
        host = machine()
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
