"""Both ends of a line in one process, or the replica's in a process of its own."""

from __future__ import annotations

import asyncio
import socket
import sys
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import contextmanager
from subprocess import PIPE, Popen
from typing import Any

import pytest
import uvloop

from serve_apps.gateway.line import Line, connect
from serve_apps.replica.line import Listening
from serve_apps.wire.line import address
from serve_apps.wire.messages import Answer, Delta, Work
from tests.build.gateway import Serving, Streaming, said, served
from tests.build.waiting import LONG_S


class Scripted:
    """A backend that does with every attempt what a test says, and keeps what it saw."""

    def __init__(self, serving: Serving = served, streaming: Streaming | None = None) -> None:
        self.serving, self.streaming = serving, streaming or said("a b c d")
        self.works: list[Work] = []
        self.given_up: list[str] = []
        """Requests that ended before their answer was sent."""

    async def serve(self, work: Work) -> Answer:
        self.works.append(work)
        try:
            return await self.serving(work)
        except asyncio.CancelledError:
            self.given_up.append(work.request.id)
            raise

    async def stream(self, work: Work) -> AsyncIterator[Delta | Answer]:
        self.works.append(work)
        try:
            async for item in self.streaming(work):
                yield item
        except (asyncio.CancelledError, GeneratorExit):
            self.given_up.append(work.request.id)
            raise


class Ends:
    """A replica that listens, and gateways with a line to it."""

    def __init__(self) -> None:
        self.backend = Scripted()
        self.where = address("test", uuid.uuid4().hex)
        self.listening = Listening(self.where, self.backend)
        self._lines: list[Line] = []

    async def line(self) -> Line:
        """The line of another gateway."""
        self._lines.append(await connect(self.where, "app"))
        return self._lines[-1]

    async def __aenter__(self) -> Ends:
        await self.listening.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        for line in self._lines:
            line.close(at_once=True)
        await self.listening.close()
        await asyncio.sleep(0)


def raw_end(where: str) -> socket.socket:
    """The end of a gateway that does what a test says."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.connect(where)
    sock.setblocking(False)
    return sock


def on_both_loops(test: Callable[..., Coroutine[Any, Any, None]]) -> Any:
    """A test of both ends, on Python's event loop and on the one that Ray's processes have where it is there."""

    @pytest.mark.parametrize(
        "new_loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"]
    )
    def told(new_loop: Any) -> None:
        async def steps() -> None:
            async with Ends() as ends:
                await test(ends)

        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(asyncio.wait_for(steps(), LONG_S))

    told.__name__ = test.__name__
    return told


@contextmanager
def replica_elsewhere() -> Iterator[tuple[int, str]]:
    """A replica in a process of its own: its pid, and where it listens."""
    where = uuid.uuid4().hex
    process = Popen([sys.executable, "-m", "tests.build.line", where], stdin=PIPE, stdout=PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "listening\n"
        yield process.pid, address(where)
    finally:
        process.kill()
        process.wait(LONG_S)
        process.stdin.close()
        process.stdout.close()


async def _listen(where: str) -> None:
    await Listening(address(where), Scripted()).open()
    print("listening", flush=True)
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_listen(sys.argv[1]))
