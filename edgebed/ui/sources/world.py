"""Executors, faults and links of a record, at any moment."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import exp, isfinite, log, prod
from typing import Any

from edgebed.ui.sources.steps import Steps
from edgebed.ui.views import EventView
from emulation.domain.cluster import TestbedConfig
from emulation.domain.events import GOES_AWAY
from emulation.domain.records import EventRecord, ExecutorRecord, LinkRecord

_AWAY = frozenset(str(kind.model_fields["kind"].default) for kind in GOES_AWAY)
_SLOWER = ("slowdown", "drift", "ramp")


@dataclass(slots=True)
class Fault:
    """One event, as far as it has been recorded."""

    number: int
    type: str
    target: str
    steps: Steps[EventRecord] = field(default_factory=Steps)
    detail: dict[str, Any] = field(default_factory=dict)

    def in_force(self, t_s: float) -> EventRecord | None:
        """The step that is in force at a moment; None if none is."""
        step = self.steps.at(t_s)
        return None if step is None or step.phase == "undo" else step

    def onset_s(self, until_s: float) -> float | None:
        """When it began; None if it has not by then."""
        return next((t for t, step in self.steps.until(until_s) if step.phase == "onset"), None)

    def undone_s(self, until_s: float) -> float | None:
        """When it was undone; None if it is in force then, or has not begun."""
        step = self.steps.at(until_s)
        return step.t_s if step is not None and step.phase == "undo" else None

    @property
    def spec(self) -> Mapping[str, Any]:
        """The event as it was planned; empty if its onset is not in the record."""
        spec = self.detail.get("spec")
        return spec if isinstance(spec, dict) else {}

    def factor(self, t_s: float, node: str) -> float:
        """How many times slower it makes service on a node, by the state of the world or else by its plan."""
        step = self.in_force(t_s)
        if step is None or self.type not in _SLOWER:
            return 1.0
        shown = step.detail.get("in_force")
        both = shown.get(node) if isinstance(shown, dict) else None
        if isinstance(both, (list, tuple)) and len(both) == 2:
            return _factor(both[1])
        factors = self.spec.get("factors")
        if self.type == "drift" and isinstance(factors, (list, tuple)) and factors:
            return exp(sum(log(_factor(f)) for f in factors) / len(factors))
        return _factor(step.detail.get("value"))


def _factor(said: Any) -> float:
    """A factor; 1 for what is none."""
    good = isinstance(said, (int, float)) and isfinite(said) and said > 0
    return float(said) if good else 1.0


@dataclass(frozen=True, slots=True)
class NodeState:
    """What the faults in force make of a node."""

    available: bool
    slowdown: float
    faults: tuple[str, ...]


class World:
    """All of it. What a record names beside the testbed is kept, and nobody asks for it."""

    def __init__(self, testbed: TestbedConfig) -> None:
        self._sites = {n.id: n.site for n in testbed.nodes}
        self._hosted = {n.id: testbed.hosted(n.id) for n in testbed.nodes}
        self.executors: dict[str, Steps[tuple[str, str]]] = defaultdict(Steps)
        """Executor to (state, mode)."""
        self.faults: dict[int, Fault] = {}
        self._links: dict[str, dict[int, Steps[float]]] = defaultdict(lambda: defaultdict(Steps))
        """Node to gateway to round trip, seconds."""
        self.last_s = float("-inf")

    def add(self, line: ExecutorRecord | EventRecord | LinkRecord) -> None:
        """One more line."""
        self.last_s = max(self.last_s, line.t_s)
        if isinstance(line, ExecutorRecord):
            self.executors[line.executor].add(line.t_s, (line.state, line.mode))
        elif isinstance(line, LinkRecord):
            self._links[line.node][line.gateway].add(line.t_s, line.rtt_s)
        else:
            fault = self.faults.setdefault(line.event, Fault(line.event, line.type, line.target))
            fault.steps.add(line.t_s, line)
            fault.detail |= {k: v for k, v in line.detail.items() if k != "in_force"}

    def executor(self, name: str, t_s: float) -> tuple[str, str]:
        """State and mode of an executor; off as long as nothing was recorded of it."""
        steps = self.executors.get(name)
        return (steps.at(t_s) if steps is not None else None) or ("off", "off")

    def rtt_s(self, node: str, t_s: float) -> float | None:
        """Round trip to a node's machine, the mean over the gateways; None if it was not measured."""
        known = [r for steps in self._links.get(node, {}).values() if (r := steps.at(t_s)) is not None]
        return sum(known) / len(known) if known else None

    def in_force(self, t_s: float) -> list[Fault]:
        """Events in force, in the order of their numbers."""
        return [fault for _, fault in sorted(self.faults.items()) if fault.in_force(t_s) is not None]

    def node(self, node: str, states: Iterable[str], t_s: float, in_force: Iterable[Fault]) -> NodeState:
        """What the events `in_force`, and the `states` of its executors, make of a node.

        It is slowed as much as the model there that is slowed most.
        """
        here = [fault for fault in in_force if self._hits(fault, node)]
        gone = any(fault.type in _AWAY for fault in here)
        away = set(states) == {"away"}
        models: tuple[str | None, ...] = self._hosted.get(node) or (None,)
        return NodeState(
            available=not gone and not away,
            slowdown=max(_slowed(here, node, model, t_s) for model in models),
            faults=tuple(dict.fromkeys(fault.type for fault in here)),
        )

    def _hits(self, fault: Fault, node: str) -> bool:
        if fault.target == node or fault.target.startswith(f"{node}/"):
            return True
        return self._sites.get(node) in (fault.spec.get("a", ""), fault.spec.get("b", ""))

    def events(self, until_s: float, planned: int) -> list[EventView]:
        """The ledger of faults up to a moment; those with numbers from `planned` on were injected by hand."""
        found = []
        for number, fault in sorted(self.faults.items()):
            first = next(iter(fault.steps.until(until_s)), None)
            if first is not None:
                onset_s = fault.onset_s(until_s)
                found.append(
                    EventView(
                        number=number, type=fault.type, target=fault.target,
                        onset_s=first[0] if onset_s is None else onset_s,
                        undone_s=fault.undone_s(until_s), by_hand=number >= planned, detail=fault.detail,
                    )
                )  # fmt: skip
        return found


def stands_still(node: str, executor: str, in_force: Iterable[Fault]) -> bool:
    """Whether an executor makes no progress because of an event."""
    return any(f.type == "pause" and f.target in (node, executor) for f in in_force)


def _slowed(faults: Iterable[Fault], node: str, model: str | None, t_s: float) -> float:
    """The product of what slows a model on a node."""
    return prod(f.factor(t_s, node) for f in faults if f.target == node or f.target == f"{node}/{model}")
