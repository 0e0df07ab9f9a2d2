"""Which Ray a live testbed stands on: one raylet of our own, one per edge node, or a cluster that is there already."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ray
from ray._private import ray_logging
from ray.exceptions import RayError
from ray.serve._private.router import SingletonThreadRouter

from emulation.domain.cluster import TestbedConfig
from emulation.files import ConfigError
from serve_apps.observe.logs import folder_elsewhere
from serve_apps.testbed.apps import LOOK_S, delete_apps
from serve_apps.testbed.builds import check_builds, pure_like_here
from serve_apps.testbed.control_service import ControlService, pid_of
from serve_apps.testbed.joined_node import JoinedNode, is_node_of
from serve_apps.testbed.lookout import CONTROL_SERVICE, HEAD
from serve_apps.testbed.processes import Process, process_of
from serve_apps.testbed.ray_access import LOOPBACK, guard_joined, guard_own, on_loopback, private_folder
from serve_apps.testbed.raylets import Raylets
from serve_apps.wire.calls import RayCalls, Unreached
from serve_apps.wire.names import RECORDER, edge_resource, namespace_of

log = logging.getLogger("edgebed")

ROOT = Path(__file__).parents[2]
CONTROL = "control"
"""Custom resource of the Ray node that carries planner, scheduler, recorder and gateway."""
EDGE_HELD = 0.501
"""Share of the resource of an edge node that its node runtime asks for: a second testbed finds too little left."""
FREED_S = 5.0
HEAD_NODE = "node:__internal_head__"
"""Resource by which Ray itself names the node of its head."""
_HEAD_CPUS = 4
_ROUTER_STOPS_S = 10.0
"""Wall seconds Serve's handles have to let go."""


_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_enable_open_telemetry": "0",
    "RAY_gcs_rpc_server_reconnect_timeout_s": "600",
    "RAY_SERVE_CONTROL_LOOP_INTERVAL_S": "0.25",
    "RAY_SERVE_METRICS_EXPORT_INTERVAL_MS": "10000",
    "RAY_metrics_report_interval_ms": "60000",
    "RAY_task_events_report_interval_ms": "0",
    "RAY_worker_niceness": "0",
    "REPORTER_UPDATE_INTERVAL_MS": "30000",
}
"""Of this process and of all that it starts, unless the user has set it.

Without its control service Ray aborts a process after a minute, this one too: the run that is to be ended and reported
needs longer.

Ray 2.60 reports its own metrics by OpenTelemetry, but its shutdown also ends the reporter of OpenCensus, and for that
makes one: a native thread that harvests every few seconds and that nobody ends any more. Where a harvest falls into the
end of the process it calls what was freed already (a segmentation fault after the last line). With Ray's older way of
reporting the thread is there from the beginning, and `ray.shutdown` joins it.

Ray gives its workers the lowest rank of all processes (niceness 15). Here they are what is measured: whatever else a
machine does would hold up gateway and replicas long before it held up whoever sends them requests.

The others make rarer what nobody here reads, so that a testbed that only stands costs less
(docs/explanation/idle-cost.md): Ray's agent looks at every process, all of them report figures of Ray's and what became
of their tasks, and Serve's controller looks at its applications ten times a second.
"""


@dataclass(frozen=True, slots=True)
class RayCluster:
    """A connected Ray cluster."""

    address: str
    stop: Callable[[], None]
    """Disconnect, and end what was started here."""
    place: dict[str, float]
    """What control actors ask for, so that they stay off edge nodes."""
    home: dict[str, float] | None = None
    """What actors ask for that write files, where that is not `place`: they run on the machine of this process, so
    that the files are where their reader is."""
    own: bool = True
    """Started here; else it is somebody's, and others may be on it."""
    kill: Callable[[str], None] | None = None
    """With one raylet per edge node: kill that of a node, for churn tests."""
    processes: Mapping[str, Process] = field(default_factory=dict)
    """Ray's own that were started here, by what they are."""
    mend: Callable[[], Process | None] | None = None
    """Start Ray's control service again, where it is ours."""


def start_local(testbed: TestbedConfig) -> RayCluster:
    """One raylet on this machine that carries control and every edge node: the fast start."""
    guard_own()
    service = ControlService()
    with on_loopback(), service.cleared_on_error():
        context: Any = ray.init(
            address="local",
            _system_config=service.settings(),
            include_dashboard=False,
            num_cpus=_HEAD_CPUS,
            num_gpus=sum(len(n.gpus) for n in testbed.nodes),
            resources={CONTROL: 1.0, **{edge_resource(n.id): 1.0 for n in testbed.nodes}},
            _temp_dir=str(private_folder()),
            **_quiet(testbed),
        )
    head: Any = ray._private.worker._global_node
    address = str(context.address_info["gcs_address"])
    service.of(head)

    def stop() -> None:
        disconnect()
        service.clear()

    return RayCluster(
        address, stop, {CONTROL: 0.001}, processes=_processes(head, {}), mend=service.start_again
    )


def start_raylets(testbed: TestbedConfig) -> RayCluster:
    """One raylet per edge node on this machine, started one after the other; for churn tests that kill real nodes."""
    guard_own()
    service = ControlService()
    head = {"num_cpus": _HEAD_CPUS, "num_gpus": 0, "include_dashboard": False, "resources": {CONTROL: 1.0}}
    with service.cleared_on_error():
        raylets = Raylets(
            {**head, "_system_config": service.settings()},
            {
                node.id: {
                    "num_cpus": 1,
                    "num_gpus": len(node.gpus),
                    "resources": {edge_resource(node.id): 1.0},
                }
                for node in testbed.nodes
            },
        )
        try:
            with on_loopback():
                ray.init(address=raylets.address, **_quiet(testbed))
        except BaseException:
            raylets.shut_down()
            raise
    service.of(raylets.head)

    def stop() -> None:
        disconnect()
        raylets.shut_down()
        service.clear()

    found = _processes(raylets.head, raylets.by_node)
    return RayCluster(
        raylets.address, stop, {CONTROL: 0.001}, kill=raylets.kill, processes=found, mend=service.start_again
    )


def _processes(head: Any, raylets: Mapping[str, Any]) -> dict[str, Process]:
    """The processes of Ray's head, and the raylet of every edge node that has one, by what they are."""
    pids = {HEAD: pid_of(head, "raylet"), CONTROL_SERVICE: pid_of(head, "gcs_server")}
    pids |= {f"raylet of {node}": pid_of(raylet, "raylet") for node, raylet in raylets.items()}
    return {name: found for name, pid in pids.items() if (found := process_of(pid)) is not None}


def ray_for(
    testbed: TestbedConfig, address: str | None, raylets: bool, unprotected: bool = False
) -> RayCluster:
    """The Ray at this address, or without one a Ray of our own; `raylets`: with a raylet for each edge node.

    Raises `ConfigError` as `join` does.
    """
    with importable():
        if address is not None:
            return join(address, testbed, unprotected)
        return _twice(lambda: start_raylets(testbed) if raylets else start_local(testbed))


def _twice(start: Callable[[], RayCluster]) -> RayCluster:
    """Start Ray, and once again if that failed: on a busy machine its processes may miss each other's time limits."""
    try:
        return start()
    except ConfigError:
        raise
    except (RuntimeError, OSError, TimeoutError, RayError) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        log.warning("Ray did not start, trying once more: %s", first)
        disconnect()
        return start()


def join(address: str, testbed: TestbedConfig, unprotected: bool = False) -> RayCluster:
    """A cluster that is there already, for example one of `ray up cluster.yaml`: `auto`, or host:port of its head.

    A machine that is none of its nodes becomes one that offers nothing, for as long as the testbed stands.
    `unprotected`: also if the cluster asks for no token. Raises `ConfigError` if it does not answer, does not take our
    token, has no room for the testbed (`check_room`), or runs another edgebed (`check_builds`).
    """
    head = guard_joined(address, unprotected)
    joined = None if is_node_of(head) else JoinedNode(head)

    def stop() -> None:
        disconnect()
        if joined is not None:
            joined.stop()

    beside: dict[str, Any] = {} if joined is None else {"_node_ip_address": joined.own_address}
    try:
        with on_loopback() if head.startswith(f"{LOOPBACK}:") else nullcontext():
            elsewhere = {"env_vars": folder_elsewhere() | pure_like_here()}
            ray.init(address=head, runtime_env=elsewhere, **beside, **_quiet(testbed))
        check_room(address, testbed)
        check_builds(address, testbed)
        ask: Any = ray.cluster_resources
        node_address: Any = ray.util.get_node_ip_address
        place = CONTROL if CONTROL in ask() else HEAD_NODE
        home = f"node:{node_address()}"
    except BaseException as error:
        stop()
        if isinstance(error, ConnectionError | ValueError) and not isinstance(error, ConfigError):
            raise ConfigError(
                f"no Ray cluster answers at {address!r}: {str(error).splitlines()[0]}"
            ) from error
        raise
    return RayCluster(address, stop, {place: 0.001}, home={home: 0.001}, own=False)


def check_room(address: str, testbed: TestbedConfig) -> None:
    """Raise `ConfigError` unless the testbed can stand on the Ray that this process has joined.

    It must advertise every edge node, none of them may be another testbed's, and none may have this one's name. What
    one of the same name left behind, whose owner is gone, is taken down.
    """
    ask: Any = ray.cluster_resources
    edges = {n.id: edge_resource(n.id) for n in testbed.nodes}
    resources: dict[str, float] = ask()
    if missing := [edge for edge in edges.values() if edge not in resources]:
        said = ", ".join(missing)
        raise ConfigError(f"the cluster at {address!r} has no node with resource {said}; see cluster.yaml")
    if _stands():
        raise ConfigError(
            f"a testbed named {testbed.name} stands on the cluster at {address!r} already; end it, or give this one"
            " another name"
        )
    delete_apps()  # of a testbed of this name whose owner was killed: Serve keeps them
    if taken := _taken(list(edges.values())):
        raise ConfigError(
            f"the cluster at {address!r}: {', '.join(taken)} is another testbed's; end that one, or name other nodes"
        )


def _stands() -> bool:
    """Whether somebody keeps a testbed of this name."""
    try:
        RayCalls().call_now(RECORDER, "where")
    except Unreached:
        return False
    return True


def _taken(edges: list[str]) -> list[str]:
    """Those of the edge nodes that a testbed holds. Ray frees what a dead one held within seconds."""
    ask: Any = ray.available_resources
    deadline = time.monotonic() + FREED_S
    while True:
        free: dict[str, float] = ask()
        taken = [edge for edge in edges if free.get(edge, 0.0) < EDGE_HELD]
        if not taken or time.monotonic() > deadline:
            return taken
        time.sleep(LOOK_S)


def set_environment() -> None:
    """What Ray reads from the environment when it is started or joined; to be called before that."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)


def disconnect() -> None:
    """Let go of Ray, and leave no thread behind that would still call it."""
    shutdown: Any = ray.shutdown
    try:
        end_router_loop()
    finally:
        shutdown()


def end_router_loop() -> None:
    """End the thread in which Serve runs the calls of this process' handles.

    Serve starts it as a daemon with the first call and never ends it: it would go on writing to Ray's metrics every
    five seconds while Ray, and then the interpreter and what native libraries own, are taken down under it.
    """
    loop = SingletonThreadRouter._asyncio_loop
    if loop is None:
        return
    thread = asyncio.run_coroutine_threadsafe(_stop_this_loop(), loop).result(timeout=_ROUTER_STOPS_S)
    thread.join(_ROUTER_STOPS_S)
    if thread.is_alive():
        raise TimeoutError(f"the thread of Serve's handles did not end within {_ROUTER_STOPS_S} s")
    loop.close()
    SingletonThreadRouter._asyncio_loop = None  # the next handle of this process starts one of its own


async def _stop_this_loop() -> threading.Thread:
    """Cancel what runs in this event loop and stop it; the thread it runs in."""
    loop = asyncio.get_running_loop()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    loop.call_soon(loop.stop)
    return threading.current_thread()


@contextmanager
def importable() -> Iterator[None]:
    """While it lasts, processes started here find this project's packages, and the current folder's where we do."""
    before, here = os.environ.get("PYTHONPATH"), str(Path.cwd())
    places = [str(ROOT), *([before] if before else []), *([here] if here in sys.path else [])]
    os.environ["PYTHONPATH"] = os.pathsep.join(places)
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


def _quiet(testbed: TestbedConfig) -> dict[str, Any]:
    """How this process connects to Ray: in the testbed's namespace, and without Ray's words."""
    return {
        "namespace": namespace_of(testbed.name),
        "log_to_driver": False,
        "logging_level": logging.ERROR,
        "configure_logging": False,
    }
