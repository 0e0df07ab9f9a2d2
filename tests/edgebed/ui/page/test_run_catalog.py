"""Runs are read beside the page, once, and shown as soon as they have been."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Event

import pytest

from edgebed.ui.page import run_catalog
from edgebed.ui.page.room import Room
from edgebed.ui.page.run_catalog import BeingRead, CachedRuns, Entry, first_shown
from edgebed.ui.views import Source
from emulation.domain.mistakes import ConfigError
from tests.build.room import ComputedRun, ComputedRuns
from tests.build.waiting import LONG_S, eventually


class SlowCatalog(ComputedRuns):
    """Runs that are read once `go` is set."""

    def __init__(self, *runs: ComputedRun) -> None:
        super().__init__(*runs)
        self.go, self.reads, self.broken = Event(), list[str](), False

    def open(self, key: str) -> ComputedRun:
        assert self.go.wait(LONG_S)
        self.reads.append(key)
        if self.broken:
            raise ConfigError("its record is torn")
        return super().open(key)


def entry(key: str, growing: bool = False, first: bool = False) -> Entry:
    return Entry(key, key, "AL", 0, growing, first)


@pytest.mark.parametrize(
    ("entries", "shown"),
    [
        ([], None),
        ([entry("a"), entry("b")], "b"),
        ([entry("a", growing=True), entry("b")], "a"),
        ([entry("a", first=True), entry("b", growing=True)], "a"),
    ],
    ids=str,
)
def test_the_one_asked_for_comes_first_then_the_newest_that_grows(
    entries: Sequence[Entry], shown: str | None
) -> None:
    found = first_shown(entries)
    assert (None if found is None else found.key) == shown


def read(cached: CachedRuns, key: str) -> Source:
    """It, once it has been read."""
    found: list[Source] = []

    def is_there() -> bool:
        try:
            found.append(cached.open(key))
        except BeingRead:
            return False
        return True

    eventually(is_there, LONG_S)
    return found[0]


def test_a_run_is_read_once_beside_whoever_waits_for_it() -> None:
    slow = SlowCatalog(ComputedRun("AL"), ComputedRun("MA"))
    cached = CachedRuns(slow)
    cached.prepare()
    for _ in range(3):
        with pytest.raises(BeingRead):
            cached.open("1")
    slow.go.set()
    assert read(cached, "1") is slow.runs[1]
    assert read(cached, "1") is slow.runs[1]
    assert slow.reads == ["1"]


def test_what_could_not_be_read_is_tried_again_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    slow = SlowCatalog(ComputedRun("AL"))
    slow.go.set()
    slow.broken = True
    cached = CachedRuns(slow)
    for _ in range(2):
        with pytest.raises(ConfigError, match="torn"):
            read(cached, "0")
    assert slow.reads == ["0"]
    monkeypatch.setattr(run_catalog, "AGAIN_S", 0.0)
    slow.broken = False
    assert read(cached, "0") is slow.runs[0]


def test_a_room_says_what_is_being_read_and_then_shows_it() -> None:
    slow = SlowCatalog(ComputedRun("AL"), ComputedRun("MA"))
    room = Room(CachedRuns(slow))
    room.tick()
    assert (room.source, room.problem) == (None, "Reading MA · seed 0 …")
    slow.go.set()

    def shown() -> bool:
        room.tick()
        return room.source is slow.runs[1]

    eventually(shown, LONG_S)
    assert (room.waiting, room.problem) == (None, "")
    slow.go.clear()
    room.open("0")
    assert (room.source, room.waiting) == (slow.runs[1], room.entries[0]), "what was shown stays meanwhile"
    slow.go.set()
    eventually(lambda: bool(room.tick() or room.source is slow.runs[0]), LONG_S)
