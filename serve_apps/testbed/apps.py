"""The Serve applications of a live testbed: one gateway, and one replica per (node, model)."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from math import ceil
from typing import Any

from ray import serve
from ray.exceptions import ActorAlreadyExistsError
from ray.serve.api import RunTarget
from ray.serve.schema import LoggingConfig

from emulation.domain.cluster import TestbedConfig
from serve_apps.gateway.process import Gateway
from serve_apps.gateway.server.settings import HttpSettings
from serve_apps.observe.logs import folder_elsewhere
from serve_apps.replica import BackendSpec
from serve_apps.replica.choice import chosen, takes_gpu
from serve_apps.replica.deployment import Replica
from serve_apps.wire.line import SWITCH
from serve_apps.wire.names import GATEWAY_APP, REPLICA, app_name, edge_resource
from serve_apps.wire.testbed import NAMESPACE, namespace, ours, served

UNLIMITED = 100_000
"""Requests at once: the queue is the node's, never Ray's."""
ON_ONE_LOOP = {
    "RAY_SERVE_RUN_ROUTER_IN_SEPARATE_LOOP": "0",
    "RAY_SERVE_RUN_USER_CODE_IN_SEPARATE_THREAD": "0",
}
"""Serve settings of our processes: one event loop, no hand-over between threads (halves the time of a call)."""
DELETE_TIMEOUT_S = 60.0
LOOK_S = 0.1
"""Wall seconds between two looks at Serve's status."""
QUIET = LoggingConfig(log_level="WARNING", enable_access_log=False)


def target(
    app: str, cls: type, *args: Any, place: Mapping[str, float], gpus: float = 0.0, **options: Any
) -> RunTarget:
    """An application of one deployment: `cls(*args)` where the resources of `place` are, with a share of a GPU."""
    quick: dict[str, Any] = {"graceful_shutdown_timeout_s": 1.0, "graceful_shutdown_wait_loop_s": 0.1}
    deployment: Any = serve.deployment(
        cls,
        max_ongoing_requests=UNLIMITED,
        ray_actor_options={
            "num_cpus": 0,
            "num_gpus": gpus,
            "resources": dict(place),
            "runtime_env": {"env_vars": _environment()},
        },
        logging_config=QUIET,
        **{"name": app} | quick | options,
    )
    return RunTarget(target=deployment.bind(*args), name=served(app), route_prefix=None)


def _environment() -> dict[str, str]:
    """Of our processes: what Serve, which starts them, does not hand on."""
    lines = {SWITCH: os.environ[SWITCH]} if SWITCH in os.environ else {}
    return ON_ONE_LOOP | {NAMESPACE: namespace()} | folder_elsewhere() | lines


def gateway_target(
    host: str, port: int, http: HttpSettings, count: int, place: Mapping[str, float]
) -> RunTarget:
    """The gateway's application: `count` processes that share one port, where the resources of `place` are."""
    return target(
        GATEWAY_APP, Gateway, host, port, http, count > 1, place=place, num_replicas=count,
        health_check_period_s=1.0, health_check_timeout_s=10.0,
    )  # fmt: skip


def replica_target(
    testbed: TestbedConfig, node_id: str, model_id: str, backend: str, gpus: float
) -> RunTarget:
    """The Serve application of one model on one node. `backend`: where the testbed names none."""
    entry = chosen(testbed, node_id, model_id, backend)
    spec = BackendSpec(node_id, testbed.model(model_id), testbed.modes(node_id, model_id), entry.settings)
    return target(
        app_name(node_id, model_id), Replica, spec, entry.backend, name=REPLICA, health_check_period_s=10.0,
        place={edge_resource(node_id): 0.001}, gpus=gpus if takes_gpu(testbed, node_id, model_id) else 0,
    )  # fmt: skip


def start_serve() -> None:
    """Have Serve run. Where several testbeds come up at once on one Ray, one of them starts it and all use it."""
    try:
        serve.start(proxy_location="Disabled", logging_config=QUIET)
    except ActorAlreadyExistsError:  # another process was first, after this one had looked
        serve.start(proxy_location="Disabled", logging_config=QUIET)


def delete_apps() -> None:
    """Take down every application of this testbed, and no other; returns when they are gone. Raises `TimeoutError`."""
    deadline = time.monotonic() + DELETE_TIMEOUT_S
    for app in ours(serve.status().applications):
        serve.delete(served(app), _blocking=False)
    while left := ours(serve.status().applications):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{', '.join(sorted(left))}: still there after {DELETE_TIMEOUT_S:g} s")
        time.sleep(LOOK_S)


def gpu_share(testbed: TestbedConfig) -> float:
    """Share of a GPU each replica asks of Ray, so that all of them fit whatever the order they start in.

    1 / (most GPU models a node hosts per GPU), the same everywhere: equal shares always pack. A model for the agents
    takes its share first.
    """
    per_gpu = [
        ceil(sum(takes_gpu(testbed, n.id, m) for m in testbed.hosted(n.id)) / len(n.gpus))
        for n in testbed.nodes
        if n.gpus
    ]
    return whole_share(testbed, max(per_gpu, default=1))


def whole_share(testbed: TestbedConfig, parts: int) -> float:
    """One of so many equal parts of what a model for the agents leaves of its GPU, as Ray counts (to 1/10000)."""
    taken = testbed.agent_llm.gpu_share if testbed.agent_llm is not None else 0.0
    return int(round((1.0 - taken) * 10_000, 6) / parts) / 10_000
