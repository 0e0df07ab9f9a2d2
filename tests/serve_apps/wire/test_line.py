"""Frames come out as they went in, and nobody of another user is heard."""

from __future__ import annotations

import os
import pickle
import socket
from itertools import combinations

import pytest

from serve_apps.wire import line
from serve_apps.wire.line import ITEM, MORE, READY, Corrupt, Frames, address, frame, same_user

SAID = ((READY, 0, None), (ITEM, 1, "x" * 40), (MORE, 2**40, 32), (ITEM, 3, {"a": b"\0" * 300}))


def _read(frames: Frames, data: bytes) -> list[tuple[int, int, object]]:
    cut = frames.cut(data)
    return [(kind, number, pickle.loads(body) if len(body) else None) for kind, number, body in cut]


def test_frames_come_out_whole_in_whatever_pieces_they_come() -> None:
    raw = b"".join(part for each in SAID for part in frame(*each))
    for cuts in combinations(range(0, len(raw), 7), 2):
        frames, found = Frames(), []
        for start, stop in zip((0, *cuts), (*cuts, len(raw)), strict=True):
            found += _read(frames, raw[start:stop])
        assert found == list(SAID)


def test_a_frame_that_comes_byte_by_byte_comes_out_once() -> None:
    raw, frames = b"".join(frame(ITEM, 7, "said")), Frames()
    found = [each for i in range(len(raw)) for each in _read(frames, raw[i : i + 1])]
    assert found == [(ITEM, 7, "said")]
    assert _read(frames, raw) == found


def test_what_is_too_long_is_neither_sent_nor_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = b"".join(frame(ITEM, 1, b"x" * 200))
    monkeypatch.setattr(line, "LONGEST", 100)
    with pytest.raises(Corrupt, match="bytes"):
        frame(ITEM, 1, b"x" * 200)
    with pytest.raises(Corrupt, match="bytes"):
        Frames().cut(raw[:20])


def test_a_kind_that_nobody_knows_is_no_frame() -> None:
    with pytest.raises(Corrupt, match="kind 200"):
        Frames().cut(b"".join(frame(200, 1)))


def test_an_address_fits_and_tells_replicas_from_each_other() -> None:
    long = "n" * 300
    of = ("session", "namespace", "app", "replica")
    found = {
        address(*of),
        address(*of[:3], "other"),
        address("session", "namespaceapp", "", "replica"),
        address(long),
    }
    assert len(found) == 4
    assert address(*of) == address(*of)
    assert all(each.startswith("\0") and len(each) <= 107 for each in found)


def test_who_is_at_the_other_end_is_known_to_the_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = socket.socketpair()
    with one, other:
        assert same_user(one)
        monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
        assert not same_user(one)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
def test_what_counts_is_who_the_other_was_when_it_came() -> None:
    where = address("another user", str(os.getpid()))
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(where)
        listening.listen()
        for user, ours in ((65534, False), (0, True)):
            with socket.socket(socket.AF_UNIX) as coming:
                os.seteuid(user)
                try:
                    coming.connect(where)
                finally:
                    os.seteuid(0)
                came, _ = listening.accept()
                with came:
                    assert same_user(came) is ours
