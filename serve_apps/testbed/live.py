"""The live testbed as a whole: what runs where, how a run begins, how everything ends.

`LiveCluster.start` brings Ray up on free ports with one process per actor and one Serve application per
(node, model); `begin_run` hands every process its part and starts the clock; `end_run` closes the books;
`stop` leaves nothing running. `LiveCluster.attach` joins a testbed that `edgebed up` left standing.
"""

from __future__ import annotations

import logging
import os
import pickle
import re
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import ray
from ray import serve
from ray._private import ray_logging

from controller.agents.llm import ReasonerError
from emulation.domain.cluster import TestbedConfig
from emulation.domain.events import Event
from emulation.domain.records import RunFooter
from emulation.domain.scenario import Lifecycle
from emulation.files import ConfigError
from serve_apps.deciders.control_run import ControlRun, Peers
from serve_apps.deciders.events import EventPlayer
from serve_apps.deciders.hosts import DeployerHost, PlannerHost, SchedulerHost
from serve_apps.engines.loading import LoadFacts
from serve_apps.node.actor import NodeRuntime
from serve_apps.records.recorder import Recorder
from serve_apps.replica import backend_class
from serve_apps.replica.choice import gpu_models, real_models
from serve_apps.testbed.agent_llm import agent_target
from serve_apps.testbed.apps import QUIET, UNLIMITED, gateway_target, gpu_share, replica_target
from serve_apps.testbed.launcher import Launcher
from serve_apps.testbed.ray_cluster import RayCluster, disconnect, join, start_local, start_raylets
from serve_apps.testbed.start_errors import mistakes
from serve_apps.vram.actor import VramHost
from serve_apps.wire.clock import LiveClock
from serve_apps.wire.messages import GatewayRun, NodeRun, RunPlan, RunProgress
from serve_apps.wire.names import (
    EVENTS,
    GATEWAY_APP,
    LAUNCHER,
    NAMESPACE,
    PLANNER,
    RECORDER,
    REPLICA,
    SCHEDULER,
    VRAM,
    app_name,
    deployer_name,
    edge_resource,
    find,
    runtime_name,
)

log = logging.getLogger("edgebed")

ROOT = Path(__file__).parents[2]
CALL_TIMEOUT_S = 60.0
HALT_TIMEOUT_S = 120.0
START_LEAD_S = 0.2
"""Wall seconds between everything standing ready and virtual time 0."""


class PortInUse(OSError):
    """The gateway's port is taken; the message says which and what to do."""


@dataclass(frozen=True, slots=True)
class LiveOptions:
    """How a live testbed is set up."""

    host: str = "127.0.0.1"
    port: int = 8000
    """Of the gateway; 0: any free one."""
    lifecycle: Lifecycle = "warm"
    backend: str = "emulated"
    gateways: int = 1
    raylets: bool = False
    """One raylet per edge node instead of one for all, so that a node can really be killed (slower start)."""
    start_timeout_s: float = 180.0
    """Lifecycle cold: wall seconds after which a replica that is not up has failed to start."""
    address: str | None = None
    """Ray cluster to join (`auto`, host:port); None: start our own on this machine."""


class LiveCluster:
    """A live testbed. Use as a context manager, or call `stop`."""

    def __init__(
        self, testbed: TestbedConfig, options: LiveOptions, address: str, base: RayCluster | None = None
    ) -> None:
        self.testbed = testbed
        self.options = options
        self.address = address
        """Ray address other processes can join."""
        self.plan: RunPlan | None = None
        self.base = base
        """The Ray it stands on; None for a process that only attached."""
        self._handles: list[Any] = []

    # -- up and down --------------------------------------------------------------------------------------

    @classmethod
    def start(cls, testbed: TestbedConfig, options: LiveOptions | None = None) -> Self:
        """Bring everything up and wait until it serves.

        Raises `PortInUse` if the gateway's port is taken, `KeyError` for an unknown backend, `ConfigError` if replicas
        cannot start as they are told to (no such GPU, not enough of its memory); nothing is left running after an
        error.
        """
        options = options or LiveOptions()
        backend_class(options.backend)
        port = checked_port(options.host, options.port)
        options = replace(options, port=port)
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        quieten()
        share = gpu_share(testbed)
        with importable():
            if options.address is not None:
                base = join(options.address, testbed)
            else:
                base = start_raylets(testbed) if options.raylets else start_local(testbed)
        cluster = cls(testbed, options, base.address, base)
        try:
            cluster._start_actors()
            cluster._start_apps(share)
        except BaseException:
            cluster.stop()
            raise
        return cluster

    @classmethod
    def attach(cls, address: str, testbed: TestbedConfig, options: LiveOptions) -> Self:
        """Join a testbed that stays. Raises `ConnectionError` if none answers at this address."""
        quieten()
        ray.init(
            address=address, namespace=NAMESPACE, log_to_driver=False, logging_level=logging.ERROR,
            configure_logging=False,
        )  # fmt: skip
        return cls(testbed, options, address)

    def stop(self) -> None:
        """Take everything down that `start` brought up; an attached process only lets go."""
        if not ray.is_initialized():
            return
        try:
            if self.base is not None:
                serve_shutdown: Any = serve.shutdown
                serve_shutdown()
        except Exception as error:  # whatever is broken, the processes must go
            log.warning("serve.shutdown: %s", error)
        finally:
            (self.base.stop if self.base is not None else disconnect)()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Base URL of the gateway, without a path."""
        host = f"[{self.options.host}]" if ":" in self.options.host else self.options.host
        return f"http://{host}:{self.options.port}"

    def _start_actors(self) -> None:
        peers = Peers(NAMESPACE)
        handles = [
            self._actor(Recorder, RECORDER, restarts=0),
            self._actor(EventPlayer, EVENTS),
            self._actor(PlannerHost, PLANNER, PLANNER, peers),
            self._actor(SchedulerHost, SCHEDULER, SCHEDULER, peers),
        ]
        if self.options.lifecycle == "cold":
            made_of = (self.testbed, self.options.backend, self.options.start_timeout_s)
            handles.append(self._actor(Launcher, LAUNCHER, *made_of, restarts=0))
        if any(gpu_models(self.testbed, n.id, self.options.backend) for n in self.testbed.nodes):
            handles.append(self._actor(VramHost, VRAM, restarts=0))
        for node in self.testbed.nodes:
            place = {edge_resource(node.id): 0.001}
            name = deployer_name(node.id)
            handles.append(
                self._actor(NodeRuntime, runtime_name(node.id), self.testbed, node.id, place=place)
            )
            handles.append(self._actor(DeployerHost, name, name, peers, node.id, place=place))
        self._handles = handles
        ray.get([h.where.remote() for h in handles], timeout=180)

    def _actor(
        self, cls: type, name: str, *args: Any, restarts: int = -1, place: Mapping[str, float] | None = None
    ) -> Any:
        remote: Any = ray.remote(cls)
        return remote.options(
            name=name,
            namespace=NAMESPACE,
            max_restarts=restarts,
            max_concurrency=UNLIMITED,
            num_cpus=0,
            resources=dict(place or (self.base.place if self.base is not None else {})),
        ).remote(*args)

    def _start_apps(self, share: float) -> None:
        serve.start(proxy_location="Disabled", logging_config=QUIET)
        place = self.base.place if self.base is not None else {}
        targets = [gateway_target(self.options.host, self.options.port, self.options.gateways, place)]
        if self.testbed.agent_llm is not None:
            targets.append(agent_target(self.testbed, self.testbed.agent_llm))
        if self.options.lifecycle == "warm":
            for node in self.testbed.nodes:
                for model in self.testbed.hosted(node.id):
                    targets.append(replica_target(self.testbed, node.id, model, self.options.backend, share))
        try:
            serve.run_many(targets)
        except RuntimeError as error:
            found = mistakes()
            if not found:
                raise
            raise ConfigError("\n".join(found)) from error

    def load_facts(self) -> list[tuple[str, str, LoadFacts]]:
        """(node, model, what loading it cost) of every replica that is up and runs a real model."""
        if self.options.lifecycle == "cold":
            return []
        found = []
        for node in self.testbed.nodes:
            for model in real_models(self.testbed, node.id, self.options.backend):
                replica: Any = serve.get_deployment_handle(REPLICA, app_name=app_name(node.id, model))
                facts = replica.load_facts.remote().result(timeout_s=CALL_TIMEOUT_S)
                found.extend([] if facts is None else [(node.id, model, facts)])
        return found

    # -- a run --------------------------------------------------------------------------------------------

    def begin_run(self, plan: RunPlan, lead_s: float = START_LEAD_S) -> float:
        """Hand every process its part, let the controllers decide for time 0, and start the clock.

        `lead_s`: wall seconds until virtual time 0, for a load generator that has yet to start. Returns t0,
        wall seconds since the epoch. Raises `TimeoutError` if something does not answer.
        """
        self.plan = plan
        parts = self._parts(plan)
        _all([find(RECORDER).open.remote(plan, parts)])
        nodes = [n.id for n in self.testbed.nodes]
        if self.options.lifecycle == "cold":
            self._halt_all(starts_follow=True)
        _all([find(runtime_name(n)).begin_run.remote(parts[runtime_name(n)]) for n in nodes])
        _all([find(EVENTS).begin_run.remote(*parts[EVENTS])])
        _all([find(PLANNER).begin_run.remote(parts[PLANNER])])
        lower = [SCHEDULER, *(deployer_name(n) for n in nodes)]
        _all([find(name).begin_run.remote(parts[name]) for name in lower])
        ready = _all([find(RECORDER).joined.remote(plan.run_id, self.options.gateways, 30.0)])
        if ready != [True]:
            raise TimeoutError("the gateway did not take up the run within 30 s")
        t0_wall = time.time() + lead_s
        everyone = [RECORDER, EVENTS, PLANNER, *lower, *(runtime_name(n) for n in nodes)]
        _all([find(name).start.remote(t0_wall) for name in everyone])
        return t0_wall

    def end_run(self, interrupted: bool = False) -> RunFooter:
        """Stop the controllers, collect every record, close the books. The record is complete when this
        returns.

        Raises `ConservationError` if the books do not balance, and `ReasonerError` where a script ended or a replay
        was asked what was not recorded: what was decided then is not what should have been.
        """
        nodes = [n.id for n in self.testbed.nodes]
        controllers = [PLANNER, SCHEDULER, *(deployer_name(n) for n in nodes)]
        broken = [said for said in _tolerant([find(name).end_run.remote() for name in controllers]) if said]
        if self.options.lifecycle == "cold":
            self._halt_all(starts_follow=False)
        _tolerant([find(runtime_name(n)).flush.remote() for n in nodes])
        _tolerant([find(EVENTS).flush.remote()])
        gateways = serve.get_deployment_handle(GATEWAY_APP, app_name=GATEWAY_APP)
        gateways.broadcast("flush").results(timeout_s=30, return_exceptions=True)
        (footer,) = _all([find(RECORDER).close.remote(interrupted)])
        self.plan = None
        if broken:
            raise ReasonerError("; ".join(broken))
        found: RunFooter = footer
        return found

    def _halt_all(self, starts_follow: bool) -> None:
        """Lifecycle cold: stop every replica; between runs there is none."""
        try:
            left = ray.get(find(LAUNCHER).halt_all.remote(starts_follow), timeout=HALT_TIMEOUT_S)
        except Exception as error:  # it must not keep the books from being closed
            log.error("the replicas were not stopped: %s", error)
        else:
            if left:
                log.error("replicas that did not stop: %s", ", ".join(left))

    def progress(self) -> RunProgress:
        """How far the present run is."""
        (found,) = _all([find(RECORDER).progress.remote()])
        progress: RunProgress = found
        return progress

    def inject(self, event: Event) -> int:
        """Play one more event in the present run; returns its number. Raises `ValueError` for an impossible
        one."""
        (number,) = _all([find(EVENTS).inject.remote(event)])
        return int(number)

    def _parts(self, plan: RunPlan) -> dict[str, Any]:
        scenario = plan.scenario
        cold = self.options.lifecycle == "cold"
        speedup = scenario.live.speedup

        def control(loop: Any) -> ControlRun:
            nodes = tuple(n.id for n in self.testbed.nodes)
            return ControlRun(
                plan.run_id, None if loop is None else pickle.dumps(loop), LiveClock(speedup), nodes,
                scenario.slot_s, scenario.epoch_slots,
                inf if plan.endless else scenario.end_s, plan.planner is not None,
            )  # fmt: skip

        parts: dict[str, Any] = {
            GATEWAY_APP: GatewayRun(
                run_id=plan.run_id, scheme=plan.header.scheme, testbed=self.testbed, speedup=speedup,
                deadline_s=scenario.deadline_s, length_knowledge=scenario.length_knowledge,
                fast_path=pickle.dumps(plan.fast_path), cold=cold, backend=self.options.backend,
                planned=plan.planner is not None, scheduled=plan.scheduler is not None,
            ),
            EVENTS: (plan.run_id, scenario),
            PLANNER: control(plan.planner),
            SCHEDULER: control(plan.scheduler),
        }  # fmt: skip
        for node in self.testbed.nodes:
            parts[runtime_name(node.id)] = NodeRun(
                run_id=plan.run_id, scenario=scenario, seed=plan.seed, truth=plan.truth, speedup=speedup,
                cold=cold, backend=self.options.backend,
            )  # fmt: skip
            parts[deployer_name(node.id)] = control(plan.deployers.get(node.id))
        return parts


def checked_port(host: str, port: int) -> int:
    """A port the gateway can open: `port`, or any free one for 0. Raises `PortInUse`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise PortInUse(
                f"port {port} on {host} is in use; give another with --port ({error.strerror})"
            ) from error
        return int(probe.getsockname()[1])


@contextmanager
def importable() -> Iterator[None]:
    """While it lasts, processes started here find this project's packages, wherever they are started from."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), *([before] if before else [])])
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before


def quieten() -> None:
    """Keep Ray's own words off this process' output: standard output may be somebody's JSON."""
    for name in ("ray", "ray.serve"):
        logging.getLogger(name).setLevel(logging.ERROR)
    for deduplicator in (ray_logging.stdout_deduplicator, ray_logging.stderr_deduplicator):
        deduplicator.skip_re = re.compile("")


def _all(references: Sequence[Any]) -> list[Any]:
    """Every result. Raises `ray.exceptions.GetTimeoutError` (a `TimeoutError`), or what the actor raised."""
    return list(ray.get(list(references), timeout=CALL_TIMEOUT_S))


def _tolerant(references: Sequence[Any]) -> list[Any]:
    """Wait for calls whose failure must not keep the books from being closed; what the others returned."""
    found: list[Any] = []
    for reference in references:
        try:
            found.append(ray.get(reference, timeout=10))
        except Exception as error:  # a dead or blocked actor has nothing more to say
            log.warning("end of run: %s", error)
    return found
