"""The gateway's socket, and the server behind it."""

from __future__ import annotations

import asyncio
import ctypes
import resource
import socket
import time
from contextlib import AsyncExitStack

from starlette.types import ASGIApp

from emulation.files import ConfigError
from serve_apps.gateway.server.books import Books
from serve_apps.gateway.server.connection import Connection
from serve_apps.gateway.server.hosts import EXPOSED, Guard, Pages
from serve_apps.gateway.server.settings import HttpSettings

BACKLOG = 2048
ALIVE = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 15),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
)
"""A client whose machine is gone is noticed within half a minute, also while it waits for its answer."""
MUCH_BYTES = 8 * 2**20
"""Freed bytes of bodies that are worth giving back to the system."""
LOOK_S = 0.25
"""Wall seconds between looks at whose time is over, and at how late the event loop is."""
_WAITS, _PAUSE_S = 50, 0.1
"""Tries to take the port after a predecessor, and wall seconds between two."""


def open_socket(host: str, port: int, shared: bool = False) -> socket.socket:
    """A listening TCP socket; waits a little for a predecessor's to close.

    `shared`: several gateways of ours answer on one port. Then other processes of the same user can listen on it
    too, and take part of the requests. Raises `ConfigError` if the port stays taken.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for _ in range(_WAITS):
        try:
            return _bound(family, host, port, shared)
        except OSError:
            time.sleep(_PAUSE_S)
    try:
        return _bound(family, host, port, shared)
    except OSError as error:
        taken = f"port {port} on {host} is in use; give another with --port ({error.strerror})"
        raise ConfigError(taken) from error


def _bound(family: socket.AddressFamily, host: str, port: int, shared: bool) -> socket.socket:
    found = socket.socket(family, socket.SOCK_STREAM)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    for level, option, value in ALIVE:  # connections have them from here
        found.setsockopt(level, option, value)
    if shared:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        found.bind((host, port))
        found.listen(BACKLOG)
    except OSError:
        found.close()
        raise
    return found


async def listen(
    app: ASGIApp,
    sock: socket.socket,
    host: str,
    settings: HttpSettings,
    books: Books,
    own: socket.socket | None = None,
) -> None:
    """Answer clients for ever. `host`: the address or name clients may call us by, as we listen on it.

    `own`: another socket, by which this process alone is reached where others share `sock`.
    """
    if settings.allow_origins:
        app = Pages(
            app, allow_origins=settings.allow_origins, allow_methods=("GET", "POST"), allow_headers=("*",),
            expose_headers=tuple(name.decode() for name in EXPOSED), allow_private_network=True,
        )  # fmt: skip
    _raise_file_limit()
    guard = Guard(host, settings)
    loop = asyncio.get_running_loop()
    freed_bytes = 0
    async with AsyncExitStack() as servers:
        for each in (sock,) if own is None else (sock, own):
            await servers.enter_async_context(
                await loop.create_server(
                    lambda: Connection(app, guard, settings, books), sock=each, backlog=BACKLOG
                )
            )
        while True:
            due_s = loop.time() + LOOK_S
            await asyncio.sleep(LOOK_S)
            books.late(max(0.0, loop.time() - due_s))
            books.look(loop.time())
            freed_bytes, before = books.freed_bytes, freed_bytes
            if (
                MUCH_BYTES < freed_bytes == before
            ):  # nothing was freed since the last look: all of it is really gone
                books.freed_bytes = 0
                _give_memory_back()


def _give_memory_back() -> None:
    """The pieces that bodies came in: glibc keeps those."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _raise_file_limit() -> None:
    """As many open files as this process may have: each connection is one."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
