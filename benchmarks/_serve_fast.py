"""Ray Serve by itself, with every switch for speed that it has: `python -m benchmarks._serve_fast`

A Ray of its own, since the switches are for all of Serve: HAProxy in place of its proxy, and
`RAY_SERVE_THROUGHPUT_OPTIMIZED` (replicas listen themselves, calls by gRPC, one event loop, what was there at the start
is never collected). Prints where its sides answer, as JSON, and stands until its input ends. Sides:

- `serve_fast`: HAProxy → ingress → replica;
- `serve_direct`: HAProxy → replica, its own ingress; HAProxy chooses the one with the fewest connections;
- `serve_routed`: HAProxy asks a router of Serve's, then → replica: the direct streaming of Serve LLM (Ray 2.56 and
  later).
"""

from __future__ import annotations

import json
import os
import sys
from tempfile import TemporaryDirectory

SWITCHES = {"RAY_SERVE_THROUGHPUT_OPTIMIZED": "1", "RAY_SERVE_ENABLE_HA_PROXY": "1"}
PATIENT = {
    "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "60",
    "RAY_SERVE_PROXY_HEALTH_CHECK_TIMEOUT_S": "60",
    "RAY_SERVE_HAPROXY_STARTUP_TIMEOUT_S": "90",
}
"""On a busy machine a front door of Serve takes longer to come up than Serve allows it."""
LOOPBACK = "127.0.0.1"


def switched_on(folder: str, ports: list[int]) -> dict[str, str]:
    """The switches, and places of HAProxy's own that nobody else has."""
    stats, metrics = map(str, ports)
    return {
        **SWITCHES,
        **PATIENT,
        "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": f"{folder}/haproxy.cfg",
        "RAY_SERVE_HAPROXY_SOCKET_PATH": f"{folder}/admin.sock",
        "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": folder,
        "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": f"{folder}/server-state",
        "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": f"{folder}/metrics.sock",
        "RAY_SERVE_HAPROXY_STATS_PORT": stats,
        "RAY_SERVE_HAPROXY_METRICS_PORT": metrics,
    }


def missing() -> str:
    """Why Serve has no HAProxy here; empty: it has."""
    from ray.serve._private.haproxy import get_haproxy_binary

    try:
        get_haproxy_binary()
    except Exception as error:  # whatever kind Serve makes of it
        return f"{error}".splitlines()[0]
    return ""


def main() -> None:
    """Stand until the input ends."""
    from serve_apps.testbed.ports import checked_port

    with TemporaryDirectory(prefix="hap-") as folder:
        os.environ.update(switched_on(folder, [checked_port(LOOPBACK, 0) for _ in range(2)]))
        _stand(checked_port(LOOPBACK, 0))


def _stand(port: int) -> None:
    """Serve reads its switches when it is imported."""
    if why := missing():
        print(json.dumps({"missing": why}), flush=True)
        return
    from ray import serve

    from benchmarks._bodies import DEVICES, devices
    from benchmarks._serve_path import direct_path, serve_path
    from serve_apps.testbed.apps import QUIET
    from serve_apps.testbed.guardian import guard
    from serve_apps.testbed.processes import end_marked
    from serve_apps.testbed.ray_cluster import quieten, ray_for, set_environment

    set_environment()
    quieten()
    mark = guard()
    testbed = devices().testbed
    base = ray_for(testbed, None, raylets=False)
    try:
        serve.start(http_options={"host": LOOPBACK, "port": port}, logging_config=QUIET)
        serve.run_many(
            [
                serve_path("serve_fast", testbed.models, DEVICES, True),
                direct_path("serve_direct", testbed.models, DEVICES, chosen=False),
                direct_path("serve_routed", testbed.models, DEVICES, chosen=True),
            ]
        )
        sides = ("serve_fast", "serve_direct", "serve_routed")
        print(json.dumps({side: f"http://{LOOPBACK}:{port}/{side}" for side in sides}), flush=True)
        sys.stdin.read()
    finally:
        base.stop()
        end_marked(mark)  # HAProxy outlives the actor that started it


if __name__ == "__main__":
    main()
