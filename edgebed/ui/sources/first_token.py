"""Time to first token by the client's own clock, from the log it writes beside the record."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import orjson

from edgebed.ui.sources.sorted import Column, Floats, Order


class FirstTokens:
    """Streamed answers: when each ended, and how long its first piece of text took from the intended arrival."""

    def __init__(self) -> None:
        self._torn: dict[str, bytes] = {}
        self._orders: dict[str, Order] = {}
        """Model to its answers by their ends."""
        self._took = Column()

    def feed(self, log: str, piece: bytes) -> None:
        """More of a client's log. What is no line of one says nothing."""
        lines = (self._torn.get(log, b"") + piece).split(b"\n")
        self._torn[log] = lines.pop()
        for line in lines:
            try:
                row = orjson.loads(line)
                first_s, model = row["first_token_s"], row["model"]
                took, ended_s = first_s - row["intended_s"], float(row["ended_s"])
            except (ValueError, TypeError, KeyError):
                continue
            if isinstance(model, str) and row.get("outcome") == "done":
                order = self._orders.setdefault(model, Order())
                order.add(np.array([len(self._took)]), np.array([ended_s]))
                self._took.add(np.array([took]))

    def medians(self, models: Sequence[str], edges_s: Floats) -> list[tuple[float | None, ...]]:
        """For each model, and each stretch from one edge to the next, the median of the answers that ended in it."""
        none = (None,) * (len(edges_s) - 1)
        return [self._medians(self._orders[m], edges_s) if m in self._orders else none for m in models]

    def _medians(self, order: Order, edges_s: Floats) -> tuple[float | None, ...]:
        places = order.keys.searchsorted(edges_s, side="right")
        took: Floats = self._took.values[order.rows]  # type: ignore[assignment]
        spans = zip(places[:-1], places[1:], strict=True)
        return tuple(float(np.median(took[a:b])) if b > a else None for a, b in spans)
