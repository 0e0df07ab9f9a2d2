"""Where the gateway listens, settled on the machine that it lands on before it is started there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayTaskError

from emulation.files import ConfigError
from serve_apps.testbed.ports import checked_port

NODE = "node"
"""In the place of a host: the address of the Ray node that the gateway lands on."""
SETTLED_S = 60.0


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """Where a gateway listens."""

    host: str
    port: int
    address: str
    """By which others reach it."""
    network: str
    """Machine and network it is in: loopback leads nowhere else."""

    @property
    def url(self) -> str:
        """Base URL, without a path."""
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"http://{host}:{self.port}"


def listen_here(host: str, port: int, node_address: str) -> ListenAddress:
    """A place on this machine. Raises `ConfigError` if the port is taken, or the host is no address of this machine."""
    bound = node_address if host == NODE else host
    return ListenAddress(
        bound, checked_port(bound, port), node_address if _is(bound, "is_unspecified") else bound, network()
    )


def listen_at(place: Mapping[str, float], host: str, port: int) -> ListenAddress:
    """A place to listen on the machine of the joined Ray where the resources of `place` are.

    Raises `ConfigError` like `listen_here`, and if that is another machine where it would listen on loopback.
    """
    settle: Any = ray.remote(_on_the_node).options(num_cpus=0, resources=dict(place))
    try:
        listens, node_address = ray.get(settle.remote(host, port), timeout=SETTLED_S)
    except RayTaskError as error:
        if isinstance(error.cause, ConfigError):
            raise ConfigError(f"on the machine of the gateway: {error.cause}") from None
        raise
    except GetTimeoutError:
        raise ConfigError(f"the Ray cluster has no room for a gateway where {', '.join(place)} is") from None
    if (host == "localhost" or _is(listens.host, "is_loopback")) and listens.network != network():
        raise ConfigError(
            f"--host {host}: the gateway lands on another machine, {node_address}, and would listen on loopback there,"
            f" where nobody reaches it from here; give --host {NODE} for its address"
        )
    found: ListenAddress = listens
    return found


def network() -> str:
    """Names the machine and the network namespace of this process."""
    machine = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{machine}/{Path('/proc/self/ns/net').stat().st_ino}"


def _on_the_node(host: str, port: int) -> tuple[ListenAddress, str]:
    address_of_node: Any = ray.util.get_node_ip_address
    address = str(address_of_node())
    return listen_here(host, port, address), address


def _is(host: str, what: str) -> bool:
    """Whether a host is an address of this kind; a name is none."""
    try:
        return bool(getattr(ip_address(host), what))
    except ValueError:
        return False
