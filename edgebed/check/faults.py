"""What every fault promises, on every node of packaged testbeds: by the node's own state, as the engine asks it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

from edgebed.check.law import Law, require
from edgebed.check.sealed import clock_reads
from emulation.domain.cluster import TestbedConfig
from emulation.domain.events import OutsideFault
from emulation.executor import NodeState
from emulation.faults import FaultTarget, Step, apply, in_force, timeline
from emulation.outside_faults import levels_of

AT_S, UNTIL_S, LATER_S = 10.0, 310.0, 5_000.0
Probes = tuple[float | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultSubject:
    """A fault with its default parameters, on one node of a testbed."""

    name: str
    testbed: TestbedConfig
    node_id: str

    def __str__(self) -> str:
        return f"{self.testbed.name}/{self.node_id}"

    def event(self, until_s: float = UNTIL_S) -> OutsideFault:
        """One on the whole node."""
        return OutsideFault(fault=self.name, node=self.node_id, at_s=AT_S, until_s=until_s)

    def steps(self, count: int = 1) -> list[Step]:
        """Those of so many alike, begun and ended together, in order of time."""
        return timeline([self.event()] * count, self.testbed)

    def node(self) -> NodeState:
        """A new one, to which nothing has happened."""
        return NodeState(self.testbed, self.node_id)


def probes(node: FaultTarget, event: int) -> Probes:
    """All that a node says of one event."""
    of = node.effects
    asked = (of.slowed, of.stands_still, of.fails, of.away, of.delay_s, of.loses)
    return tuple(ask(event) for ask in asked)


def _plans_levels(subject: FaultSubject) -> None:
    levels_of(subject.event())
    levels_of(subject.event(inf))


def _begins(subject: FaultSubject) -> None:
    node, (onset, *_) = subject.node(), subject.steps()
    before = probes(node, 0)
    apply(onset, node, onset.at_s)
    require(probes(node, 0) != before, f"on {subject} its onset changes nothing that the node could tell")


def _undoes_itself(subject: FaultSubject) -> None:
    node, untouched = subject.node(), subject.node()
    before = probes(node, 0)
    for step in subject.steps():
        apply(step, node, step.at_s)
    after = probes(node, 0)
    require(after == before, f"on {subject} its end leaves {after}, and before it there was {before}")
    for one in (node, untouched):
        one.advance(LATER_S)
    left, clean = node.view(LATER_S), untouched.view(LATER_S)
    require(left == clean, f"on {subject} the node is not after its end what it is without it")


def _twice_is_once(subject: FaultSubject) -> None:
    once, twice = subject.node(), subject.node()
    for step in subject.steps():
        apply(step, once, step.at_s)
        apply(step, twice, step.at_s)
        apply(step, twice, step.at_s)
        require(
            probes(once, 0) == probes(twice, 0),
            f"on {subject} the step of {step.at_s:g} s, applied twice, is not what it is once",
        )


def _leaves_others_alone(subject: FaultSubject) -> None:
    node = subject.node()
    of_two: Sequence[Step] = subject.steps(2)
    undo = next(s for s in of_two if s.phase == "undo" and s.event == 0)
    for step in of_two:
        if step.phase != "undo":
            apply(step, node, step.at_s)
    before = probes(node, 1)
    apply(undo, node, undo.at_s)
    require(probes(node, 1) == before, f"on {subject} the end of one takes away another of its kind")


def _reads_no_clock(subject: FaultSubject) -> None:
    node = subject.node()

    def play() -> None:
        for step in subject.steps():
            apply(step, node, step.at_s)
            in_force(step, node)

    play()  # so that the class is imported, and made
    seen = clock_reads(play)
    require(not seen, "; ".join(seen))


LAWS: tuple[Law[FaultSubject], ...] = (
    Law("plans its levels in order, the first at its onset, none after its end", _plans_levels, first=True),
    Law("begins: its node can tell", _begins, first=True),
    Law("ends, and undoes itself", _undoes_itself),
    Law("changes nothing by the same step again", _twice_is_once),
    Law("leaves other events alone", _leaves_others_alone),
    Law("reads no clock, file, environment or unseeded random number", _reads_no_clock),
)
