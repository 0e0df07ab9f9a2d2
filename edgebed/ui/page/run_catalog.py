"""Which runs there are to see: what the page can be opened on, and what lies in it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock, Thread
from typing import Protocol

from edgebed.ui.views import Source

AGAIN_S = 2.0
"""Wall seconds after which a run that could not be read is tried again."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A run that can be opened."""

    key: str
    """Finds it again; never a path."""
    name: str
    """`AL · seed 0`."""
    scheme: str
    seed: int
    growing: bool
    first: bool = False
    """Whether it is to be shown first; if none is, the newest one that grows is, else the last."""


class RunCatalog(Protocol):
    """The runs of one folder."""

    root: Path | None
    """The comparison's folder; None where nothing is recorded yet."""

    @property
    def title(self) -> str:
        """What these are runs of: the name of the scenario, or of the folder."""

    @property
    def url(self) -> str | None:
        """Of the gateway of the testbed that stands, if these are its runs: what can be steered."""

    def entries(self) -> Sequence[Entry]:
        """The runs, in the order of the comparison. Cheap: asked once a second."""

    def open(self, key: str) -> Source:
        """One of them. Raises `KeyError` if there is none, `ConfigError` or `RecordError` if it cannot be read."""


def first_shown(entries: Sequence[Entry]) -> Entry | None:
    """The run that somebody sees who has not chosen one; None if there is none."""
    growing = [entry for entry in entries if entry.growing]
    asked_for = [entry for entry in entries if entry.first]
    return next(reversed(asked_for or growing or entries), None)


class BeingRead(Exception):
    """A run is being read; whoever wants it asks again."""


class CachedRuns:
    """A catalog that reads every run once, however many look at it, one after the other in a thread beside the page."""

    def __init__(self, catalog: RunCatalog) -> None:
        self._catalog = catalog
        self._read, self._failed_s = dict[str, Future[Source]](), dict[str, float]()
        self._one = Lock()
        self.root = catalog.root
        self.entries: Callable[[], Sequence[Entry]] = catalog.entries

    @property
    def title(self) -> str:
        """As `RunCatalog.title`."""
        return self._catalog.title

    @property
    def url(self) -> str | None:
        """As `RunCatalog.url`."""
        return self._catalog.url

    def prepare(self) -> None:
        """Begin to read what is shown first: somebody is about to look."""
        first = first_shown(self.entries())
        if first is not None:
            with suppress(Exception):  # whoever looks is told
                self.open(first.key)

    def open(self, key: str) -> Source:
        """As `RunCatalog.open`; raises `BeingRead` as long as it is."""
        read = self._read.get(key)
        if read is None or self._to_be_tried_again(key):
            read = self._read[key] = Future()
            Thread(target=self._open, args=(key, read), name="reader", daemon=True).start()
        if not read.done():
            raise BeingRead
        return read.result()

    def _open(self, key: str, read: Future[Source]) -> None:
        with self._one:
            try:
                read.set_result(self._catalog.open(key))
            except Exception as error:
                self._failed_s[key] = time.monotonic()
                read.set_exception(error)

    def _to_be_tried_again(self, key: str) -> bool:
        """Whether it could not be read, a while ago."""
        failed_s = self._failed_s.get(key)
        if failed_s is None or time.monotonic() - failed_s < AGAIN_S:
            return False
        del self._failed_s[key]
        return True
