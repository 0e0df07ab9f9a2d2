"""What comes over a line that is none of ours: no frame of it is heard, and no pickle of another user is loaded."""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from serve_apps.gateway.line import connect
from serve_apps.wire.calls import Unreached
from serve_apps.wire.line import ITEM, READY, SERVE, address, frame
from tests.build.gateway import hanging
from tests.build.line import Ends, on_both_loops, raw_end
from tests.build.waiting import in_a_loop, turns, until
from tests.build.works import work


async def nothing_comes(end: socket.socket) -> bool:
    """Whether the line is ended without a word."""
    try:
        return await asyncio.get_running_loop().sock_recv(end, 1) == b""
    except ConnectionResetError:
        return True


@on_both_loops
async def test_what_is_no_frame_ends_the_line(ends: Ends) -> None:
    ends.backend.serving = hanging()
    with raw_end(ends.where) as odd:
        odd.sendall(b"".join(frame(SERVE, 1, work(1))))
        await until(lambda: ends.backend.works)
        odd.sendall(b"GET / HTTP/1.1\r\n\r\n")
        await until(lambda: ends.backend.given_up == ["r1"])
        await until(lambda: not ends.listening._lines)
    assert (await ends.line()).open


@on_both_loops
async def test_nobody_of_another_user_is_heard(ends: Ends) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "geteuid", lambda: os.getuid() + 1)
        with raw_end(ends.where) as other:
            other.sendall(b"".join(frame(SERVE, 1, work(1))))
            assert await nothing_comes(other)
        with pytest.raises(Unreached):
            await ends.line()
    assert ends.backend.works == []
    assert (await (await ends.line()).serve(work(2))).texts == ("done",)


class Trap:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self._folder),)


@pytest.mark.parametrize("ours", [True, False])
@in_a_loop
async def test_a_gateway_reads_no_pickle_of_another_user(
    ours: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + (not ours))
    where = address("trap", str(os.getpid()))
    sprung = tmp_path / "sprung"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(where)
        listening.listen()
        calling = asyncio.ensure_future(call(where))
        await turns(1)
        came, _ = listening.accept()
        with came, suppress(BrokenPipeError):
            came.sendall(b"".join(frame(READY, 0)))
            await turns(10)
            came.sendall(b"".join(frame(ITEM, 1, Trap(sprung))))
        assert await calling is ours
    assert sprung.exists() is ours


async def call(where: str) -> bool:
    """Whether a gateway that calls there hears of an answer."""
    try:
        line = await connect(where, "app")
        await line.serve(work(1))
    except Unreached:
        return False
    line.close(at_once=True)
    return True
