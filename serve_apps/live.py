"""The live testbed as a whole: what runs where, how a run begins, how everything ends.

`LiveCluster.start` brings Ray up on free ports with one process per actor and one Serve application per
(node, model); `begin_run` hands every process its part and starts the clock; `end_run` closes the books; `stop`
leaves nothing running. `LiveCluster.attach` joins a testbed that `edgebed up` left standing.
"""

from __future__ import annotations

import logging
import os
import pickle
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from types import TracebackType
from typing import Any, Self

import ray
from ray import serve
from ray.serve.api import RunTarget
from ray.serve.schema import LoggingConfig

from controller.actors import ControlRun, DeployerHost, Peers, PlannerHost, SchedulerHost
from emulation.domain.cluster import TestbedConfig
from emulation.domain.events import Event
from emulation.domain.records import RunFooter
from emulation.domain.scenario import Lifecycle
from serve_apps.backends import BackendSpec, backend_class
from serve_apps.clock import LiveClock
from serve_apps.events import EventPlayer
from serve_apps.gateway import Gateway
from serve_apps.messages import GatewayRun, NodeRun, RunPlan, RunProgress
from serve_apps.names import (
    EVENTS,
    GATEWAY_APP,
    NAMESPACE,
    PLANNER,
    RECORDER,
    REPLICA,
    SCHEDULER,
    app_name,
    deployer_name,
    edge_resource,
    find,
    runtime_name,
)
from serve_apps.node_runtime import NodeRuntime
from serve_apps.recorder import Recorder
from serve_apps.replica import Replica

log = logging.getLogger("edgebed")

CALL_TIMEOUT_S = 60.0
START_LEAD_S = 0.2
"""Wall seconds between everything standing ready and virtual time 0."""
UNLIMITED = 100_000
"""Requests at once: the queue is the node's, never Ray's."""
_ON_ONE_LOOP = {
    "RAY_SERVE_RUN_ROUTER_IN_SEPARATE_LOOP": "0",
    "RAY_SERVE_RUN_USER_CODE_IN_SEPARATE_THREAD": "0",
}
"""Serve settings of our processes: one event loop, no hand-over between threads (halves the time of a call)."""
_QUIET = LoggingConfig(log_level="WARNING", enable_access_log=False)


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
    stays: bool = False
    """Whether it outlives this process (`edgebed up`)."""


class LiveCluster:
    """A live testbed. Use as a context manager, or call `stop`."""

    def __init__(self, testbed: TestbedConfig, options: LiveOptions, address: str) -> None:
        self.testbed = testbed
        self.options = options
        self.address = address
        """Ray address other processes can join."""
        self.plan: RunPlan | None = None

    # -- up and down --------------------------------------------------------------------------------------

    @classmethod
    def start(cls, testbed: TestbedConfig, options: LiveOptions | None = None) -> Self:
        """Bring everything up and wait until it serves.

        Raises `PortInUse` if the gateway's port is taken, `KeyError` for an unknown backend; nothing is left
        running after an error.
        """
        options = options or LiveOptions()
        backend_class(options.backend)
        port = checked_port(options.host, options.port)
        options = LiveOptions(
            options.host, port, options.lifecycle, options.backend, options.gateways, options.stays
        )
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        share = gpu_share(testbed)
        gpus = sum(len(n.gpus) for n in testbed.nodes)
        context: Any = ray.init(
            address="local",
            include_dashboard=False,
            num_cpus=4,
            num_gpus=gpus,
            resources={edge_resource(n.id): 1.0 for n in testbed.nodes},
            namespace=NAMESPACE,
            log_to_driver=False,
            logging_level=logging.ERROR,
            configure_logging=False,
        )
        cluster = cls(testbed, options, str(context.address_info["gcs_address"]))
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
            if self.options.stays is False:
                serve_shutdown: Any = serve.shutdown
                serve_shutdown()
        except Exception as error:  # whatever is broken, the processes must go
            log.warning("serve.shutdown: %s", error)
        finally:
            shutdown: Any = ray.shutdown
            shutdown()

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
            lifetime="detached" if self.options.stays else None,
            max_restarts=restarts,
            max_concurrency=UNLIMITED,
            num_cpus=0,
            resources=dict(place or {}),
        ).remote(*args)

    def _start_apps(self, share: float) -> None:
        serve.start(proxy_location="Disabled", logging_config=_QUIET)
        targets = [self._gateway_target()]
        if self.options.lifecycle == "warm":
            for node in self.testbed.nodes:
                for model in self.testbed.hosted(node.id):
                    targets.append(replica_target(self.testbed, node.id, model, self.options.backend, share))
        serve.run_many(targets)

    def _gateway_target(self) -> RunTarget:
        deployment: Any = serve.deployment(
            Gateway,
            name="gateway",
            num_replicas=self.options.gateways,
            max_ongoing_requests=UNLIMITED,
            health_check_period_s=1.0,
            health_check_timeout_s=10.0,
            graceful_shutdown_timeout_s=1.0,
            graceful_shutdown_wait_loop_s=0.1,
            ray_actor_options={"num_cpus": 0, "runtime_env": {"env_vars": _ON_ONE_LOOP | secrets()}},
            logging_config=_QUIET,
        )
        bound = deployment.bind(self.options.host, self.options.port)
        return RunTarget(target=bound, name=GATEWAY_APP, route_prefix=None)

    # -- a run --------------------------------------------------------------------------------------------

    def begin_run(self, plan: RunPlan, lead_s: float = START_LEAD_S) -> float:
        """Hand every process its part, let the controllers decide for time 0, and start the clock.

        `lead_s`: wall seconds until virtual time 0, for a load generator that has yet to start. Returns t0, wall
        seconds since the epoch. Raises `TimeoutError` if something does not answer.
        """
        self.plan = plan
        parts = self._parts(plan)
        _all([find(RECORDER).open.remote(plan, parts)])
        nodes = [n.id for n in self.testbed.nodes]
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
        """Stop the controllers, collect every record, close the books. The record is complete when this returns.

        Raises `ConservationError` if the books do not balance.
        """
        nodes = [n.id for n in self.testbed.nodes]
        controllers = [PLANNER, SCHEDULER, *(deployer_name(n) for n in nodes)]
        _tolerant([find(name).end_run.remote() for name in controllers])
        _tolerant([find(runtime_name(n)).flush.remote() for n in nodes])
        _tolerant([find(EVENTS).flush.remote()])
        serve.get_deployment_handle("gateway", app_name=GATEWAY_APP).flush.remote().result(timeout_s=30)
        (footer,) = _all([find(RECORDER).close.remote(interrupted)])
        self.plan = None
        found: RunFooter = footer
        return found

    def progress(self) -> RunProgress:
        """How far the present run is."""
        (found,) = _all([find(RECORDER).progress.remote()])
        progress: RunProgress = found
        return progress

    def inject(self, event: Event) -> int:
        """Play one more event in the present run; returns its number. Raises `ValueError` for an impossible one."""
        (number,) = _all([find(EVENTS).inject.remote(event)])
        return int(number)

    def _parts(self, plan: RunPlan) -> dict[str, Any]:
        scenario = plan.scenario
        cold = self.options.lifecycle == "cold"
        speedup = scenario.live.speedup

        def control(loop: Any) -> ControlRun:
            nodes = tuple(n.id for n in self.testbed.nodes)
            return ControlRun(
                plan.run_id, None if loop is None else pickle.dumps(loop), LiveClock(speedup), nodes, scenario.slot_s, scenario.epoch_slots,
                scenario.end_s, plan.planner is not None,
            )  # fmt: skip

        parts: dict[str, Any] = {
            GATEWAY_APP: GatewayRun(
                plan.run_id, plan.header.scheme, self.testbed, speedup, scenario.deadline_s,
                scenario.length_knowledge, pickle.dumps(plan.fast_path), cold, self.options.backend,
                plan.planner is not None, plan.scheduler is not None,
            ),
            EVENTS: (plan.run_id, scenario),
            PLANNER: control(plan.planner),
            SCHEDULER: control(plan.scheduler),
        }  # fmt: skip
        for node in self.testbed.nodes:
            run = NodeRun(plan.run_id, scenario, plan.seed, plan.truth, speedup, cold)
            parts[runtime_name(node.id)] = run
            parts[deployer_name(node.id)] = control(plan.deployers.get(node.id))
        return parts


def replica_target(
    testbed: TestbedConfig, node_id: str, model_id: str, backend: str, gpus: float
) -> RunTarget:
    """The Serve application of one model on one node."""
    on_gpu = gpus if "gpu" in testbed.modes(node_id, model_id) else 0
    deployment: Any = serve.deployment(
        Replica,
        name=REPLICA,
        max_ongoing_requests=UNLIMITED,
        health_check_period_s=10.0,
        graceful_shutdown_timeout_s=1.0,
        graceful_shutdown_wait_loop_s=0.1,
        ray_actor_options={
            "num_cpus": 0,
            "num_gpus": on_gpu,
            "resources": {edge_resource(node_id): 0.001},
            "runtime_env": {"env_vars": _ON_ONE_LOOP},
        },
        logging_config=_QUIET,
    )
    bound = deployment.bind(BackendSpec(node_id, testbed.model(model_id)), backend)
    return RunTarget(target=bound, name=app_name(node_id, model_id), route_prefix=None)


def gpu_share(testbed: TestbedConfig) -> float:
    """Share of a GPU each replica asks of Ray, so that all of them fit whatever the order they start in.

    1 / (most GPU models a node hosts per GPU), the same everywhere: equal shares always pack.
    """
    per_gpu = [
        ceil(sum("gpu" in testbed.modes(n.id, m) for m in testbed.hosted(n.id)) / len(n.gpus))
        for n in testbed.nodes
        if n.gpus
    ]
    return int(10_000 / max(per_gpu, default=1)) / 10_000


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


def secrets() -> dict[str, str]:
    """Tokens of this process' environment that the gateway checks against."""
    return {k: os.environ[k] for k in ("EDGEBED_API_KEY", "EDGEBED_TOKEN") if os.environ.get(k)}


def _all(references: Sequence[Any]) -> list[Any]:
    """Every result. Raises `ray.exceptions.GetTimeoutError` (a `TimeoutError`), or what the actor raised."""
    return list(ray.get(list(references), timeout=CALL_TIMEOUT_S))


def _tolerant(references: Sequence[Any]) -> None:
    """Wait for calls whose failure must not keep the books from being closed."""
    for reference in references:
        try:
            ray.get(reference, timeout=10)
        except Exception as error:  # a dead or blocked actor has nothing more to say
            log.warning("end of run: %s", error)
