"""What every launcher file of Ray holds, whatever the provider: versions, ports, the secret, how Ray is started."""

from __future__ import annotations

import json
import re
from typing import Any

from emulation.domain.cluster import NodeSpec, TestbedConfig
from emulation.domain.mistakes import ConfigError

RAY_VERSION = "2.60.0"
HEAD_CPUS = 4
NEVER_IDLE_MINUTES = 525_600
"""A year: an edge node that nobody asks anything is still an edge node."""
ENVIRONMENT = {"RAY_AUTH_MODE": "token", "RAY_USAGE_STATS_ENABLED": "0"}
"""Of every Ray process. Each command exports it itself: a shell of SSH has none of what a user's profile sets."""
PORTS = {
    "object-manager-port": 8076,
    "node-manager-port": 8077,
    "runtime-env-agent-port": 8078,
    "dashboard-agent-grpc-port": 8079,
    "metrics-export-port": 8080,
    "dashboard-agent-listen-port": 52365,
    "min-worker-port": 10002,
    "max-worker-port": 11999,
}
"""Where the processes of a Ray node listen, so that a firewall can name them."""
NOT_COPIED = ["**/.git", "**/.git/**", "**/.venv", "**/.venv/**", "/runs"]


def edge_resources(node: NodeSpec) -> dict[str, float]:
    """What the Ray node of an edge node advertises beside CPUs and GPUs."""
    return {f"edge:{node.id}": 1}


def in_environment(command: str, path: str | None = None) -> str:
    """A command with the environment it needs; `path`: a folder of programs that comes first."""
    exports = [f"{name}={value}" for name, value in ENVIRONMENT.items()]
    if path is not None:
        exports.append(f"PATH={path}:$PATH")
    return f"export {' '.join(exports)}\n{command}"


def ray_start(*words: str) -> str:
    """`ray start` with the ports of every node and these words, one option a line."""
    options = [*words, *(f"--{name}={port}" for name, port in PORTS.items())]
    return "ulimit -n 65536\nray start " + " \\\n  ".join(options)


def head_words(port: int) -> list[str]:
    """Options of the head's `ray start`; the resource `control` draws gateway, recorder and planner to it."""
    return [
        "--head",
        f"--port={port}",
        "--dashboard-host=127.0.0.1",
        "--autoscaling-config=~/ray_bootstrap_config.yaml",
    ]


def resources_option(resources: dict[str, float]) -> str:
    """The option that makes a Ray node advertise these."""
    return f"--resources='{json.dumps(resources)}'"


def label(name: str, dash: str) -> str:
    """A name as clouds take one: small letters and digits, everything else a dash."""
    return re.sub(r"[^a-z0-9]+", dash, name.lower()).strip(dash)


def check_nodes(testbed: TestbedConfig, named: dict[str, Any], where: str) -> None:
    """Raise `ConfigError` unless every edge node of the testbed has its machine, and no other is named."""
    known = {n.id for n in testbed.nodes}
    if missing := sorted(known - named.keys()):
        raise ConfigError(
            f"{where}: no machine plays {', '.join(missing)} of {testbed.name}; add an entry for each"
        )
    if unknown := sorted(named.keys() - known):
        raise ConfigError(
            f"{where}: {', '.join(unknown)}: no edge node of {testbed.name}; it has {sorted(known)}"
        )
