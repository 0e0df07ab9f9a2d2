"""What deciding cost: decisions, changes, thinking and tokens of each kind of actor, up to any moment."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from edgebed.ui.sources.sorted import Floats
from edgebed.ui.views import CostView

_KINDS = ("planner", "scheduler", "deployer", "meta")


@dataclass(slots=True)
class _Account:
    rows: list[tuple[float, float, float, float, float, float]] = field(default_factory=list)
    """Moment, decisions, changes, thinking, tokens, and whether tokens were counted."""
    sums: Floats = field(default_factory=lambda: np.empty((0, 6)))
    """The same in order of time, each column but the first summed up."""

    def until(self, t_s: float) -> Floats:
        if len(self.sums) != len(self.rows):
            table = np.array(self.rows)
            table = table[np.argsort(table[:, 0], kind="stable")]
            self.sums = np.column_stack([table[:, 0], np.cumsum(table[:, 1:], axis=0)])
        place = int(self.sums[:, 0].searchsorted(t_s, side="right"))
        sums: Floats = self.sums[place - 1] if place else np.zeros(6)
        return sums


class Costs:
    """The accounts of all kinds of actors."""

    def __init__(self) -> None:
        self._accounts: dict[str, _Account] = {}

    def add(
        self, kind: str, t_s: float, called: bool, changes: int, thinking_s: float, tokens: int | None
    ) -> None:
        """A line of an actor of this kind; `called`: whether it counts as a decision."""
        row = (t_s, float(called), float(changes), thinking_s, float(tokens or 0), float(tokens is not None))
        self._accounts.setdefault(kind, _Account()).rows.append(row)

    def until(self, t_s: float) -> list[CostView]:
        """What each kind of actor that the record names cost up to a moment."""
        found = []
        for kind in sorted(self._accounts, key=lambda k: (_KINDS.index(k) if k in _KINDS else 9, k)):
            _, decisions, changes, thinking_s, tokens, counted = self._accounts[kind].until(t_s).tolist()
            found.append(
                CostView(
                    actor=kind, decisions=int(decisions), changes=int(changes), thinking_s=thinking_s,
                    tokens=int(tokens) if counted else None, price=None,
                )
            )  # fmt: skip
        return found
