"""Whether the machines of a cluster run the same edgebed as this process: controllers go there as pickled objects.

What was pickled by the compiled modules cannot be read by the sources, nor the other way round, and other sources may
mean other fields. A gateway would die of it, again and again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayError

from emulation import compiled
from emulation.domain.cluster import TestbedConfig
from emulation.files import ConfigError
from serve_apps.wire.names import edge_resource

ANSWERS_S = 60.0
"""Wall seconds a machine has to say what it runs: a process of Ray's is started there for that."""


@dataclass(frozen=True, slots=True)
class Build:
    """What one process runs."""

    version: str
    sources: str
    """Digest of the sources that the compiled modules are made of."""
    compiled: bool


def this_build() -> Build:
    """That of this process."""
    return Build(version("edgebed"), compiled.digest(), compiled.WHY_NOT is None)


def pure_like_here() -> dict[str, str]:
    """What the environment of our processes elsewhere must say, so that they run the sources where this one does."""
    return {} if compiled.WHY_NOT is None else {compiled.PURE: "1"}


def check_builds(address: str, testbed: TestbedConfig) -> None:
    """Raise `ConfigError` unless every edge node's machine, in the cluster that was joined, runs what runs here."""
    remote: Any = ray.remote(this_build)
    asked = {
        node.id: remote.options(num_cpus=0, resources={edge_resource(node.id): 0.001}).remote()
        for node in testbed.nodes
    }
    builds: dict[str, Build] = {}
    for node, answer in asked.items():
        try:
            builds[node] = ray.get(answer, timeout=ANSWERS_S)
        except GetTimeoutError as error:
            raise ConfigError(f"the cluster at {address!r}: the machine of {node} does not answer") from error
        except RayError as error:
            why = str(error).strip().splitlines()[-1]
            raise ConfigError(
                f"the cluster at {address!r}: edgebed does not run on the machine of {node}: {why}; install it there"
                " as here"
            ) from error
    if wrong := differing(this_build(), builds):
        raise ConfigError(f"the cluster at {address!r}: {wrong}")


def differing(here: Build, there: Mapping[str, Build]) -> str:
    """Which machines run something else, and what to do; empty: none does."""
    other = [
        node
        for node, build in there.items()
        if (build.version, build.sources) != (here.version, here.sources)
    ]
    if other:
        versions = sorted({there[node].version for node in other})
        return (
            f"{', '.join(other)} runs other sources of edgebed (version {', '.join(versions)}; {here.version} here);"
            " install the same ones on all machines"
        )
    if uncompiled := [node for node, build in there.items() if here.compiled and not build.compiled]:
        return (
            f"{', '.join(uncompiled)} runs edgebed uncompiled, and here it is compiled, so that neither reads what the"
            f" other sends; set {compiled.PURE}=1 here, or compile it there (`make compiled`)"
        )
    return ""
