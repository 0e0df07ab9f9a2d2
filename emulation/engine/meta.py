"""The meta-controller in virtual time: what it is told, and when what its reasoner thought may land."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from emulation.domain.ports import Thought
from emulation.domain.records import ENDED, SWITCHED
from emulation.engine.control import ControlPlane
from emulation.engine.kernel import LANDING, Kernel
from emulation.executor import NodeState
from emulation.faults import Step
from emulation.ledger import Ledger


class VirtualMetaLink:
    """Carries records and questions of `control.meta`, which must not be None, through one run.

    A question is answered at once and lands after its thinking time, as the virtual clock counts it.
    """

    def __init__(
        self,
        control: ControlPlane,
        kernel: Kernel,
        nodes: Mapping[str, NodeState],
        ledger: Ledger,
        landed: Callable[[], None],
    ) -> None:
        """`landed` is called after it was told of hints, and after its tools have run."""
        assert control.meta is not None
        self._meta, self._delay_s = control.meta, control.delay_s
        self._kernel, self._nodes, self._ledger, self._landed = kernel, nodes, ledger, landed
        self._called = False
        self._over = False
        self._out: list[tuple[Any, Thought]] = []
        """Questions whose thinking is not over, and what comes of it."""
        self._meta.attach(self._wanted, ledger.records)

    def come_in(self) -> None:
        """It came in while the run goes on: tell it of the hints in force."""
        now_s = self._kernel.now_s
        for node_id, node in self._nodes.items():
            if hints := node.view(now_s).hints:
                self._meta.hinted(node_id, hints, now_s)

    def retire(self) -> None:
        """Another scheme comes in: what its reasoner still thinks of is not heard."""
        self._void(SWITCHED)
        self._meta.attach(lambda: None)

    def end(self) -> None:
        """The run is over: what its reasoner still thinks of stands in the record, too."""
        self._void(ENDED)

    def _void(self, why: str) -> None:
        self._over = True
        out, self._out = self._out, []
        for question, thought in out:
            self._meta.voided(question, thought, why, self._kernel.now_s)
        self.pass_records()

    def sense(self, step: Step) -> None:
        """Tell it what is exposed of a step of the event plan: which hints are in force, never how strong."""
        now_s = self._kernel.now_s
        if step.visible:
            for node_id in step.nodes:
                self._meta.hinted(node_id, self._nodes[node_id].view(now_s).hints, now_s)
            self._landed()

    def pass_records(self) -> None:
        """Write every audit record so far."""
        for record in self._meta.take_records():
            self._ledger.audit(record)

    def _wanted(self) -> None:
        """There is something to take: see to it at this instant, after what is going on."""
        if not self._called:
            self._called = True
            self._kernel.at(self._kernel.now_s, LANDING, self._attend)

    def _attend(self, _: None) -> None:
        self._called = False
        if self._over:
            return
        self.pass_records()
        question = self._meta.take_question()
        if question is None:
            return
        thought = self._meta.think(question)
        now_s = self._kernel.now_s
        delay_s = thought.thinking_s + (0.0 if self._delay_s is None else self._delay_s("meta", now_s))
        asked = (question, thought)
        self._out.append(asked)
        self._kernel.at(now_s + delay_s, LANDING, self._answer, asked)

    def _answer(self, asked: tuple[Any, Thought]) -> None:
        if not self._over:
            self._out = [other for other in self._out if other is not asked]
            self._meta.answered(*asked, self._kernel.now_s)
            self._landed()
