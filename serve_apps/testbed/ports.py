"""The gateway's port, looked at before anything is started."""

from __future__ import annotations

import errno
import socket

from emulation.files import ConfigError


def checked_port(host: str, port: int) -> int:
    """A port the gateway can open: `port`, or any free one for 0.

    Raises `ConfigError` if it is taken, or the host is no address of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
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
