"""Which runs there are to see: what the page can be opened on, and what lies in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from edgebed.ui.views import Source


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


class Shelf(Protocol):
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


class Kept:
    """A shelf that opens every run once, however many look at it."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf, self._open = shelf, dict[str, Source]()
        self.root = shelf.root
        self.entries: Callable[[], Sequence[Entry]] = shelf.entries

    @property
    def title(self) -> str:
        """As `Shelf.title`."""
        return self._shelf.title

    @property
    def url(self) -> str | None:
        """As `Shelf.url`."""
        return self._shelf.url

    def open(self, key: str) -> Source:
        """As `Shelf.open`."""
        if key not in self._open:
            self._open[key] = self._shelf.open(key)
        return self._open[key]
