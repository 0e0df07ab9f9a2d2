"""The gateway's port, looked at before anything is started."""

from __future__ import annotations

import errno
import random
import socket
from contextlib import suppress
from pathlib import Path

from emulation.files import ConfigError

LOWEST = 10_000
TRIES = 100
_GIVEN_AWAY = Path("/proc/sys/net/ipv4/ip_local_port_range")
"""Ports the system gives to whoever opens a connection or asks for any port."""


def checked_port(host: str, port: int) -> int:
    """A port the gateway can open: `port`, or any free one for 0, which the system gives to nobody until it is opened.

    Raises `ConfigError` if it is taken, or the host is no address of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            ip = str(
                socket.getaddrinfo(host, None, family, socket.SOCK_STREAM)[0][4][0]
            )  # asked for once only
            probe.bind((ip, port or _free_port(family, ip)))
        except socket.gaierror as error:
            raise ConfigError(f"--host {host!r}: cannot be resolved ({error.strerror})") from error
        except OSError as error:
            if error.errno == errno.EADDRNOTAVAIL:
                raise ConfigError(f"--host {host!r}: is no address of this machine") from error
            if error.errno == errno.EACCES:
                raise ConfigError(
                    f"port {port} may only be opened by root; give one from 1024 up with --port"
                ) from error
            taken = f"port {port} on {host} is in use; give another with --port ({error.strerror})"
            raise ConfigError(taken) from error
        return int(probe.getsockname()[1])


def _free_port(family: socket.AddressFamily, ip: str) -> int:
    """A port that nobody has and the system gives nobody by itself; 0 if none is found. Raises nothing."""
    try:
        highest = int(_GIVEN_AWAY.read_text().split()[0]) - 1
    except (OSError, ValueError):
        return 0
    for _ in range(TRIES if highest > LOWEST else 0):
        port = random.randint(LOWEST, highest)
        with socket.socket(family, socket.SOCK_STREAM) as probe, suppress(OSError):
            probe.bind((ip, port))
            return port
    return 0
