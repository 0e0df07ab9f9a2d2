"""What the runs of a reproduction left, by setting and scheme."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, TypeVar

from edgebed.reproduce.common.cells import Cell

Left = TypeVar("Left")


class Results(Generic[Left]):
    """A store of what each run left; `order` is that of schemes in tables."""

    def __init__(self, order: Sequence[str] = ()) -> None:
        self._place = {label: i for i, label in enumerate(order)}
        self._left: dict[tuple[str, str], dict[int, Left]] = {}

    def add(self, cell: Cell, left: Left) -> None:
        """Keep what one run left; a second run of the same cell replaces it."""
        self._left.setdefault((cell.setting.name, cell.variant.label), {})[cell.seed] = left

    def labels(self, setting: str) -> list[str]:
        """Schemes that were run in a setting, in order."""
        run = [label for name, label in self._left if name == setting]
        return sorted(run, key=lambda label: self._place.get(label, len(self._place)))

    def runs(self, setting: str, label: str) -> dict[int, Left]:
        """What every run of one scheme in one setting left, seeds ascending."""
        return dict(sorted(self._left.get((setting, label), {}).items()))
