"""The live testbed as a whole: what runs where, how a run begins, how everything ends.

`LiveCluster.start` brings Ray up on free ports with one process per actor and one Serve application per (node, model);
`begin_run` hands every process its part and starts the clock; `end_run` closes the books; `stop` ends everything.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import ray
from ray import serve

from emulation.domain.cluster import TestbedConfig
from emulation.domain.events import Event
from emulation.domain.records import RunFooter
from emulation.domain.scenario import Lifecycle
from serve_apps.deciders.roles import DeployerHost, PlannerHost, SchedulerHost
from serve_apps.deciders.sending import LocustSenders
from serve_apps.deciders.steered import SteeredRun
from serve_apps.engines.loading import LoadFacts
from serve_apps.gateway.server.settings import HttpSettings
from serve_apps.node.core import NodeCore
from serve_apps.records.recorder import Recorder
from serve_apps.replica import backend_class
from serve_apps.replica.choice import gpu_models, real_models
from serve_apps.testbed import closing
from serve_apps.testbed.agent_llm import agent_target
from serve_apps.testbed.apps import (
    UNLIMITED,
    delete_apps,
    gateway_target,
    gpu_share,
    replica_target,
    start_serve,
)
from serve_apps.testbed.guardian import guard, hand_over_keys, leave_word
from serve_apps.testbed.launcher import Launcher
from serve_apps.testbed.listen_address import ListenAddress, listen_at, listen_here
from serve_apps.testbed.lookout import Lookout
from serve_apps.testbed.parts import parts_of
from serve_apps.testbed.processes import end_marked
from serve_apps.testbed.ray_cluster import EDGE_HELD, RayCluster, quieten, ray_for, set_environment
from serve_apps.testbed.start_errors import wait_until_running
from serve_apps.vram.actor import VramHost
from serve_apps.wire.calls import RayCalls, Unreached
from serve_apps.wire.keys import Keeper
from serve_apps.wire.kills import RayKills
from serve_apps.wire.messages import RunPlan, RunProgress
from serve_apps.wire.names import (
    EVENTS,
    GATEWAY_APP,
    LAUNCHER,
    PLANNER,
    RECORDER,
    REPLICA,
    SCHEDULER,
    VRAM,
    app_name,
    deployer_name,
    edge_resource,
    runtime_name,
)
from serve_apps.wire.restart import actor_folder, machine_folder, resident, where
from serve_apps.wire.testbed import namespace, ours, served

log = logging.getLogger("edgebed")

LOOPBACK = "127.0.0.1"
UP_LIMIT_S = 180.0
"""Wall seconds actors have to come up."""
CALL_TIMEOUT_S = 60.0
HALT_TIMEOUT_S = 120.0
JOIN_LIMIT_S = 30.0
"""Wall seconds gateways have to take up a run."""
START_LEAD_S = 0.2
"""Wall seconds between everything standing ready and virtual time 0."""


@dataclass(frozen=True, slots=True)
class LiveOptions:
    """How a live testbed is set up."""

    host: str = LOOPBACK
    """Address that the gateway listens on; `node`: that of the machine it lands on."""
    port: int = 8000
    """Of the gateway; 0: any free one."""
    lifecycle: Lifecycle = "warm"
    backend: str = "emulated"
    http: HttpSettings = HttpSettings()
    """How the gateway treats its clients."""
    gateways: int = 1
    raylets: bool = False
    """One raylet per edge node instead of one for all, so that a node can really be killed (slower start)."""
    start_timeout_s: float = 180.0
    """Lifecycle cold: wall seconds after which a replica that is not up has failed to start."""
    address: str | None = None
    """Ray cluster to join (`auto`, host:port); None: start our own on this machine."""
    unprotected: bool = False
    """Join it even if it asks for no token."""


class LiveCluster:
    """A live testbed. Use as a context manager, or call `stop`."""

    def __init__(
        self, testbed: TestbedConfig, options: LiveOptions, listens: ListenAddress, base: RayCluster
    ) -> None:
        self.testbed = testbed
        self.options = replace(options, host=listens.host, port=listens.port)
        self.base = base
        """The Ray it stands on."""
        self.url = listens.url
        """Base URL of the gateway as others reach it, without a path."""
        self.calls = RayCalls()
        self._handles: dict[str, Any] = {}
        """An actor lives as long as somebody has the handle it was made with."""
        self._nodes = [n.id for n in testbed.nodes]
        self.lookout = Lookout()
        self._kept, self._folder = Path(), Path()  # of the recorder, and the record, to go on with the run

    # -- up and down --------------------------------------------------------------------------------------

    @classmethod
    def start(cls, testbed: TestbedConfig, options: LiveOptions | None = None) -> Self:
        """Bring everything up and wait until it serves.

        Raises `KeyError` for an unknown backend, `ConfigError` if the gateway's port is taken, Ray's token is turned
        off or not safe, the Ray cluster to join is not there or lacks edge nodes, or replicas cannot start as they are
        told to (no such GPU, not enough of its memory); nothing is left running after an error, nor when this process
        is killed.
        """
        options = options or LiveOptions()
        backend_class(options.backend)
        listens = None if options.address else listen_here(options.host, options.port, LOOPBACK)
        set_environment()
        quieten()
        guard()
        share = gpu_share(testbed)
        base = ray_for(testbed, options.address, options.raylets, options.unprotected)
        try:
            listens = listens or listen_at(base.place, options.host, options.port)
        except BaseException:
            base.stop()
            raise
        cluster = cls(testbed, options, listens, base)
        try:
            cluster._start_actors()
            cluster._start_apps(share)
            cluster._keep_watch()
        except BaseException:
            cluster.stop()
            raise
        return cluster

    def stop(self) -> None:
        """Take everything down that `start` brought up."""
        self.lookout.stop()
        if not ray.is_initialized():
            return
        try:
            if self.lookout.head_alive():  # else Serve would be asked in vain for a minute, and goes with Ray
                self._stop_apps()
        except Exception as error:  # whatever is broken, the processes must go
            log.warning("applications were not stopped: %s", error)
        finally:
            self.base.stop()
            if self.lookout.watch.lost is not None and (left := end_marked(guard())):
                log.warning("left behind, and ended: %s", ", ".join(str(process.pid) for process in left))

    def _stop_apps(self) -> None:
        """On a Ray of our own Serve goes down with its applications; elsewhere others may use it, and only ours go."""
        if self.base.own:
            shutdown: Any = serve.shutdown
            shutdown()
            return
        delete_apps()
        for handle in self._handles.values():
            ray.kill(handle)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _start_actors(self) -> None:
        home, keys = self.base.home, hand_over_keys()
        self._actor(resident(Recorder, Keeper), RECORDER, keys, actor_folder, place=home)
        senders = LocustSenders(self.url, keys)
        self._actor(resident(SteeredRun), EVENTS, RayCalls(), RayKills(), senders, place=home)
        self._actor(resident(PlannerHost), PLANNER, PLANNER, RayCalls(), where, place=home)
        self._actor(resident(SchedulerHost), SCHEDULER, SCHEDULER, RayCalls(), where)
        if self.options.lifecycle == "cold":
            made_of = (self.testbed, self.options.backend, self.options.start_timeout_s)
            self._actor(resident(Launcher), LAUNCHER, *made_of, restarts=0)
        if any(gpu_models(self.testbed, node, self.options.backend) for node in self._nodes):
            self._actor(resident(VramHost), VRAM, restarts=0)
        for node in self._nodes:
            place = {edge_resource(node): 0.001}
            name = deployer_name(node)
            held = {edge_resource(node): EDGE_HELD}
            self._actor(resident(NodeCore), runtime_name(node), node, RayCalls(), place=held)
            self._actor(resident(DeployerHost), name, name, RayCalls(), where, node, place=place)
        self.calls.call_all(((name, "where") for name in self._handles), UP_LIMIT_S)

    def _actor(
        self, cls: type, name: str, *args: Any, restarts: int = -1, place: Mapping[str, float] | None = None
    ) -> None:
        remote: Any = ray.remote(cls)
        self._handles[name] = remote.options(
            name=name,
            namespace=namespace(),
            max_restarts=restarts,
            max_concurrency=UNLIMITED,
            num_cpus=0,
            resources=dict(place or self.base.place),
        ).remote(*args)

    def _start_apps(self, share: float) -> None:
        start_serve()
        place, options = self.base.place, self.options
        targets = [gateway_target(options.host, options.port, options.http, options.gateways, place)]
        if self.testbed.agent_llm is not None:
            targets.append(agent_target(self.testbed, self.testbed.agent_llm))
        if self.options.lifecycle == "warm":
            for node in self.testbed.nodes:
                for model in self.testbed.hosted(node.id):
                    targets.append(replica_target(self.testbed, node.id, model, self.options.backend, share))
        serve.run_many(
            targets, wait_for_ingress_deployment_creation=False, wait_for_applications_running=False
        )
        wait_until_running(ours({t.name: t for t in targets}))

    def _keep_watch(self) -> None:
        """From now on see who dies. What the launcher starts and stops (lifecycle cold) comes and goes as planned."""
        warm = self.options.lifecycle == "warm"
        apps = [app_name(n, m) for n in self._nodes for m in self.testbed.hosted(n) if warm]
        self.lookout.begin(self._handles, [GATEWAY_APP, *apps], self.base.processes, self.base.mend)

    def load_facts(self) -> list[tuple[str, str, LoadFacts]]:
        """(node, model, what loading it cost) of every replica that is up and runs a real model."""
        if self.options.lifecycle == "cold":
            return []
        found = []
        for node in self.testbed.nodes:
            for model in real_models(self.testbed, node.id, self.options.backend):
                replica: Any = serve.get_deployment_handle(REPLICA, app_name=served(app_name(node.id, model)))
                facts = replica.load_facts.remote().result(timeout_s=CALL_TIMEOUT_S)
                found.extend([] if facts is None else [(node.id, model, facts)])
        return found

    # -- a run --------------------------------------------------------------------------------------------

    def begin_run(self, plan: RunPlan, lead_s: float = START_LEAD_S) -> float:
        """Hand every process its part, let the controllers decide for time 0, and start the clock.

        `lead_s`: wall seconds until virtual time 0, for a load generator that has yet to start. Returns t0, wall
        seconds since the epoch. Raises `Unreached` if something does not answer, and `ReasonerError` where a script
        has no first answer, or a replay was asked what was not recorded.
        """
        self.lookout.watch.begin()
        self._kept = machine_folder() / str(self._handles[RECORDER]._actor_id.hex())
        parts = parts_of(plan, self.options.lifecycle == "cold", self.options.backend)
        nodes = [runtime_name(n) for n in self._nodes]
        lower = [SCHEDULER, *(deployer_name(n) for n in self._nodes)]
        self._folder = Path(plan.folder)
        leave_word(self._kept)
        self._ask((RECORDER, "open", plan, parts))
        self._halt_all(starts_follow=True)
        self._ask(*((node, "begin_run", parts[node]) for node in nodes))
        self._ask((EVENTS, "begin_run", *parts[EVENTS]))
        said = self._ask((PLANNER, "begin_run", parts[PLANNER]))
        said += self._ask(*((name, "begin_run", parts[name]) for name in lower))
        closing.complain(said)
        if self._ask((RECORDER, "joined", plan.run_id, self.options.gateways, JOIN_LIMIT_S)) != [True]:
            raise Unreached(f"the gateway did not take up the run within {JOIN_LIMIT_S:g} s")
        t0_wall = time.time() + lead_s
        self._ask(*((name, "start", t0_wall) for name in (RECORDER, EVENTS, PLANNER, *lower, *nodes)))
        return t0_wall

    def end_run(self, interrupted: bool = False) -> RunFooter:
        """Let what is in flight end, stop the controllers, collect every record, close the books (see `closing`).

        Raises `Unreached` if the recorder does not answer, or its books do not balance; `ValueError` if there was no
        room for all records, so that the run is not closed; `ReasonerError` where a reasoner never answers again.
        """
        try:
            footer = self._end_run(interrupted)
        except Unreached:
            if not self.lookout.is_lost():
                raise
            end_marked(guard())  # what a gateway has left is read when that is gone
            footer = closing.close_in_its_place(self._kept, closing.close_limit_s(self._folder))
        leave_word(None)
        return footer

    def _end_run(self, interrupted: bool) -> RunFooter:
        self.calls.call_all(((EVENTS, "end_load"),), tolerant=True)
        closing.drain(self._ask_recorder, lambda: closing.flush_gateways(self.lookout.head_alive()))
        controllers = [PLANNER, SCHEDULER, *(deployer_name(n) for n in self._nodes)]
        said = self.calls.call_all(((name, "end_run") for name in controllers), tolerant=True)
        said += closing.end_in_gateways(self.lookout.head_alive())
        self._halt_all(starts_follow=False)
        sources = [*controllers, *map(runtime_name, self._nodes), EVENTS]
        closing.collect(self.calls, sources, self.lookout.lives, self.lookout.is_lost)
        closing.seal(self._ask_recorder, self.lookout.gateway_lives, self.lookout.is_lost)
        limit_s = closing.close_limit_s(self._folder)
        footer: RunFooter = self._ask_recorder("close", interrupted, limit_s=limit_s)
        closing.complain(said)
        return footer

    def _ask_recorder(self, method: str, *args: Any, limit_s: float = CALL_TIMEOUT_S) -> Any:
        return closing.ask_recorder(self.calls, method, *args, lost=self.lookout.is_lost, limit_s=limit_s)

    def _halt_all(self, starts_follow: bool) -> None:
        """Lifecycle cold: stop every replica; between runs there is none."""
        if self.options.lifecycle != "cold":
            return
        try:
            left = self.calls.call_now(LAUNCHER, "halt_all", starts_follow, limit_s=HALT_TIMEOUT_S)
        except (Unreached, ValueError) as error:  # it must not keep the books from being closed
            log.error("the replicas were not stopped: %s", error)
        else:
            if left:
                log.error("replicas that did not stop: %s", ", ".join(left))

    def gateways(self) -> list[dict[str, Any]]:
        """Every gateway process that took up the present run: number, whether it lives, process and own URL."""
        found: list[dict[str, Any]]
        (found,) = self._ask((RECORDER, "gateways"))
        return found

    def progress(self) -> RunProgress:
        """How far the present run is."""
        progress: RunProgress = self._ask_recorder("progress")
        return progress

    def inject(self, event: Event) -> int:
        """Play one more event in the present run; returns its number. Raises `ValueError` for an impossible one."""
        (number,) = self._ask((EVENTS, "inject", event))
        return int(number)

    def _ask(self, *asked: tuple[Any, ...]) -> list[Any]:
        return self.calls.call_all(asked, CALL_TIMEOUT_S)
