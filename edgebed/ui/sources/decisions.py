"""The decisions of a record: a row for each, its text left in the file until somebody opens it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import inf
from typing import Any

import numpy as np

from controller.agents.reasoner import NONE, RULES
from controller.meta.promises import MASKING
from edgebed.ui.sifting.codes import Codes
from edgebed.ui.sources.costs import Costs
from edgebed.ui.sources.sorted import Column, Floats, Order
from edgebed.ui.sources.steps import Steps
from emulation.domain.records import PERSON, DecisionRecord
from emulation.metrics.view import is_exchange

ROUTER = "router"
Place = tuple[int, int, int]
"""Which file, where in it, how many bytes."""


def kind_of(actor: str) -> str:
    """`deployer` of `deployer:n1`."""
    return actor.split(":", 1)[0]


class Decisions:
    """Every decision, by its number: that of its line among the decisions of the record.

    Questions to a reasoner have numbers too. They are shown with the decision they led to; those of the meta-controller
    by themselves, as what it looks at and what it does are decisions of their own.
    """

    def __init__(self, read: Callable[[Place], DecisionRecord | None]) -> None:
        """`read` reads one again; None where it cannot be read any more."""
        self._read = read
        self._places: list[Place] = []
        self._actors = Codes()
        self._of = Column(np.int32)
        self._moments = Column()
        self._sampled = Column(bool)
        self._order = Order()
        self._asked: dict[tuple[str, float], list[int]] = {}
        """Actor and moment to the numbers of what it then asked a reasoner."""
        self._invocations: dict[int, list[int]] = {}
        """Of the meta-controller: invocation to the numbers of its questions."""
        self._verdicts: dict[int, DecisionRecord] = {}
        """Of the meta-controller: entry to what became of its promise."""
        self._last_sample: dict[str, float] = {}
        """Actor to the last bin of its sample."""
        self.sample_s = 1.0
        """Of the router's decisions, those are a sample that are the first of so many seconds."""
        self.guides: Steps[frozenset[str]] = Steps()
        """Executors that the scheduler's guide masks."""
        self.risky: dict[str, Steps[bool]] = {}
        """Node to whether the meta-controller keeps requests from it."""
        self.costs = Costs()
        self.last_s = float("-inf")

    def __len__(self) -> int:
        return len(self._places)

    # -- what is told ---------------------------------------------------------------------------------------

    def add_routed(self, moments: Floats, places: Sequence[Place], actor: str = ROUTER) -> None:
        """Decisions about requests, in force or not: nothing but their moments and their places is looked at."""
        if not len(moments):
            return
        bins = np.floor_divide(moments, self.sample_s)
        highest = np.maximum.accumulate(np.concatenate([[self._last_sample.get(actor, -1.0)], bins]))
        self._last_sample[actor] = float(highest[-1])
        self._note(moments, places, actor, bins > highest[:-1])

    def add(self, line: DecisionRecord, place: Place) -> None:
        """A decision of anybody else."""
        number = len(self)
        exchange = is_exchange(line)
        shown = not exchange or line.actor == "meta"
        self._note(np.array([line.t_s]), [place], line.actor, np.array([True]), shown)
        self._count(line, called=exchange if line.actor == "meta" else shown)
        if exchange:
            self._asked.setdefault((line.actor, line.t_s), []).append(number)
        if line.actor == "meta" and isinstance(line.choice, dict):
            self._hear_meta(line, line.choice, number)
        elif line.actor == "scheduler" and shown and line.landed_s is not None:
            masked = line.choice.get("masked") if isinstance(line.choice, dict) else None
            names = masked if isinstance(masked, list) else []
            self.guides.add(line.landed_s, frozenset(n for n in names if isinstance(n, str)))

    def switched(self, t_s: float) -> None:
        """Another scheme decides: what the one that went out masked is masked no more."""
        self.guides.add(t_s, frozenset())
        for steps in self.risky.values():
            steps.add(t_s, False)

    def _note(
        self, moments: Floats, places: Sequence[Place], actor: str, sampled: Any, shown: bool = True
    ) -> None:
        first = len(self)
        self._places.extend(places)
        self._of.add(np.full(len(places), self._actors[actor]))
        self._moments.add(moments)
        self._sampled.add(sampled)
        self.last_s = max(self.last_s, float(moments.max()))
        if shown:
            self._order.add(np.arange(first, len(self)), moments)

    def _count(self, line: DecisionRecord, called: bool) -> None:
        """`called`: whether it is a control call, as the report counts these."""
        tokens = None
        if is_exchange(line) and line.reasoner not in (NONE, RULES):
            said = line.choice["exchange"]
            tokens = said.get("tokens") if isinstance(said, dict) else None
        known = tokens if isinstance(tokens, int) else None
        if line.actor != PERSON:
            self.costs.add(kind_of(line.actor), line.t_s, called, line.changes, line.thinking_s, known)

    def _hear_meta(self, line: DecisionRecord, choice: Mapping[str, Any], number: int) -> None:
        invocation, of = choice.get("invocation"), choice.get("of")
        if is_exchange(line) and isinstance(invocation, int):
            self._invocations.setdefault(invocation, []).append(number)
        if "verdict" in choice and isinstance(of, int):
            self._verdicts[of] = line
        arguments = choice.get("arguments")
        device = arguments.get("device") if isinstance(arguments, dict) else choice.get("device")
        if choice.get("tool") not in MASKING or not isinstance(device, str) or line.landed_s is None:
            return
        if "verdict" not in choice:
            self.risky.setdefault(device, Steps()).add(line.t_s, choice["tool"] == "set_device_risky")
        elif choice.get("reverted") is True:
            self.risky.setdefault(device, Steps()).add(line.t_s, choice.get("new") is not None)

    # -- what is asked --------------------------------------------------------------------------------------

    def latest(self, until_s: float, actors: Sequence[str], before: int | None, most: int) -> list[int]:
        """Numbers of the latest up to a moment, the newest first.

        `actors`: whole names, or kinds such as `deployer`; of nobody in particular, the router's are a sample.
        """
        rows = self._order.rows[: int(self._order.keys.searchsorted(until_s, side="right"))]
        if before is not None:
            place = np.flatnonzero(rows == before)
            rows = rows[: place[0]] if len(place) else rows[rows < before]
        if actors:
            wanted = [c for c, name in enumerate(self._actors.names) if {name, kind_of(name)} & set(actors)]
            rows = rows[np.isin(self._of.values[rows], wanted)]
        else:
            rows = rows[self._sampled.values[rows]]
        return [int(number) for number in rows[::-1][: max(0, most)]]

    def line(self, number: int) -> DecisionRecord | None:
        """All that its line says; None where that cannot be read any more. Raises `KeyError` for no such number."""
        if not 0 <= number < len(self):
            raise KeyError(number)
        return self._read(self._places[number])

    def actor(self, number: int) -> str:
        """Who decided it."""
        return self._actors.names[int(self._of.values[number])]

    def moment(self, number: int) -> float:
        """When it was decided."""
        return float(self._moments.values[number])

    def next_landing_s(self, number: int) -> float:
        """When a later decision of the same actor landed first; infinity if none has."""
        later = np.flatnonzero(self._of.values[number + 1 :] == self._of.values[number]) + number + 1
        for line in (self.line(int(n)) for n in later):
            if line is not None and line.landed_s is not None:
                return line.landed_s
        return inf

    def exchanges(self, number: int, line: DecisionRecord) -> list[DecisionRecord]:
        """What was asked of a reasoner on the way to a decision."""
        numbers = self._asked.get((line.actor, line.t_s), [])
        if line.actor == "meta" and isinstance(line.choice, dict):
            invocation = line.choice.get("invocation")
            numbers = self._invocations.get(invocation, []) if isinstance(invocation, int) else []
        found = (self.line(n) for n in ([number] if is_exchange(line) else numbers))
        return [asked for asked in found if asked is not None]

    def verdict(self, line: DecisionRecord) -> DecisionRecord | None:
        """What the meta-controller found of the promise of one of its own entries."""
        entry = line.choice.get("entry") if isinstance(line.choice, dict) else None
        return self._verdicts.get(entry) if isinstance(entry, int) else None

    def masked(self, executor: str, node: str, t_s: float) -> bool:
        """Whether scheduler or meta-controller keep requests from an executor."""
        risky = self.risky.get(node)
        return executor in (self.guides.at(t_s) or ()) or bool(risky is not None and risky.at(t_s))
