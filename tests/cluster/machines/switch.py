"""A network switch in user space: joins the TAP devices of machines, with a delay and a loss for each port.

It stands in for netem, which not every kernel has. As a process it reads orders from its standard input, one JSON
object a line (`{"port": "head", "delay_ms": 20, "loss": 0.01}`), says `ok` after each, and ends with its input.
"""

from __future__ import annotations

import heapq
import json
import os
import random
import selectors
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass

LARGEST_FRAME = 65536
_FRAMES_A_TURN = 64


@dataclass(frozen=True, slots=True)
class Line:
    """What happens to a frame that comes in by a port."""

    delay_ms: float = 0.0
    loss: float = 0.0
    """Share of frames that is lost, 0 to 1."""


class Switch:
    """Who is to get which frame, and when. Learns from senders who is where, as any switch does; no I/O."""

    def __init__(self, ports: Mapping[str, int], seed: int = 1) -> None:
        """`ports`: what a port is called, to whatever stands for it."""
        self._ports = dict(ports)
        self._lines = {port: Line() for port in ports.values()}
        self._where: dict[bytes, int] = {}
        self._held: list[tuple[float, int, int, bytes]] = []
        self._count = 0
        self._random = random.Random(seed)

    def set_line(self, port: str, line: Line) -> None:
        """What happens to the frames that come in there from now on. Raises `KeyError` for an unknown port."""
        self._lines[self._ports[port]] = line

    def take(self, port: int, frame: bytes, now_s: float) -> None:
        """A frame came in: hold it for whom it is meant, or for all others."""
        line = self._lines[port]
        receiver, sender = frame[:6], frame[6:12]
        self._where[sender] = port
        if line.loss and self._random.random() < line.loss:
            return
        to = self._where.get(receiver)
        for other in self._lines if to is None else (to,):
            if other != port:
                self._count += 1
                heapq.heappush(self._held, (now_s + line.delay_ms / 1000, self._count, other, frame))

    def due(self, now_s: float) -> list[tuple[int, bytes]]:
        """The frames whose time has come, with the port each leaves by."""
        found = []
        while self._held and self._held[0][0] <= now_s:
            _, _, port, frame = heapq.heappop(self._held)
            found.append((port, frame))
        return found

    def next_s(self) -> float | None:
        """When the next frame is due."""
        return self._held[0][0] if self._held else None


def serve(switch: Switch, ports: Mapping[str, int], orders: int, answers: int) -> None:
    """Forward frames between these descriptors until nobody gives orders any more."""
    selector = selectors.DefaultSelector()
    for fd in (*ports.values(), orders):
        os.set_blocking(fd, False)
        selector.register(fd, selectors.EVENT_READ)
    unread = b""
    while True:
        next_s = switch.next_s()
        wait_s = None if next_s is None else max(0.0, next_s - time.monotonic())
        for key, _ in selector.select(wait_s):
            if key.fd != orders:
                _take_all(switch, key.fd)
            elif not (more := os.read(orders, LARGEST_FRAME)):
                return
            else:
                *lines, unread = (unread + more).split(b"\n")
                for line in lines:
                    os.write(answers, _obey(switch, line) + b"\n")
        for port, frame in switch.due(time.monotonic()):
            _put(port, frame)


def _take_all(switch: Switch, port: int) -> None:
    """Read what is there, but let the others have their turn."""
    for _ in range(_FRAMES_A_TURN):
        try:
            frame = os.read(port, LARGEST_FRAME)
        except OSError:  # nothing more, or the device is not up
            return
        switch.take(port, frame, time.monotonic())


def _put(port: int, frame: bytes) -> None:
    try:
        os.write(port, frame)
    except OSError:  # its queue is full or it is not up: a switch drops what it cannot deliver
        return


def _obey(switch: Switch, order: bytes) -> bytes:
    said = json.loads(order)
    try:
        switch.set_line(said.pop("port"), Line(**said))
    except (KeyError, TypeError) as error:
        return f"cannot: {error!r}".encode()
    return b"ok"


if __name__ == "__main__":
    joined = {name: int(fd) for name, _, fd in (word.partition("=") for word in sys.argv[1:])}
    serve(Switch(joined), joined, sys.stdin.fileno(), sys.stdout.fileno())
