"""One invocation at a time: triggers wait their turn, each opens a dialogue, each dialogue has a bounded end."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import Any

from mypy_extensions import mypyc_attr

from controller.agents.llm import BUDGET, LLM, PLAIN, UNANSWERED, Message, Query, Reply, Wanted
from controller.agents.loop import Dialogue, Thought, think
from controller.agents.prompts import render
from controller.agents.reasoner import RULES
from controller.agents.rules import RulesLlm
from controller.agents.tools import Arguments, Result
from controller.meta.audit import AuditTrail
from controller.meta.config import MetaConfig
from controller.meta.promises import Promises, Undo, undo_of
from controller.meta.steered import SteeredFastPath
from controller.meta.tool_types import SystemStatus
from controller.meta.tools import TOOLS, MetaTools, free_tools
from controller.meta.triggers import Trigger

NO_CALL = "no_call"
"""The failure of a reply that calls no tool where it must: not to act is a call too."""
WAITING = 64
"""Triggers that may wait; beyond, the oldest is dropped."""


@mypyc_attr(allow_interpreted_subclasses=True)
class Invocations:
    """The reasoner's side of the meta-controller. Holds at most one dialogue."""

    def __init__(
        self,
        steered: SteeredFastPath,
        tools: MetaTools,
        trail: AuditTrail,
        promises: Promises,
        llm: LLM,
        config: MetaConfig,
    ) -> None:
        self.outage: str | None = None
        """Way in which the reasoner fails at present."""
        self.count = 0
        self._steered, self._tools, self._trail, self._config = steered, tools, trail, config
        self._promises = promises
        self._llm = llm
        self._spent = False
        """Whether the rules decide, since its reasoner has spent the budget of the run."""
        form = llm.form("meta") if config.answers == "auto" or llm.label == RULES else config.answers
        self._wanted = Wanted(form, must_call=form == "free")
        self._offered = free_tools(steered.laws) if self._wanted.must_call else TOOLS
        self._waiting: deque[Trigger] = deque(maxlen=WAITING)
        self._trigger: Trigger | None = None
        self._dialogue: Dialogue | None = None
        self._asked: Query | None = None
        self._asked_s = 0.0
        self._undos: list[Undo | None] = []
        self._told: tuple[bool, Message] | None = None
        """Whether it says that a tool must be called, and the system prompt."""

    def raise_(self, trigger: Trigger) -> None:
        """Call the reasoner for this as soon as it is free."""
        self._waiting.append(trigger)

    @property
    def busy(self) -> bool:
        """Whether a question is out."""
        return self._asked is not None

    @property
    def wants(self) -> bool:
        """Whether there is something to ask now."""
        return self._asked is None and (self._dialogue is not None or bool(self._waiting))

    def take_question(self) -> Query | None:
        """The next question, or None; until it is answered there is no other."""
        if self._asked is not None:
            return None
        while self._dialogue is None and self._waiting:
            trigger = self._waiting.popleft()
            if not self._obsolete(trigger):
                self._open(trigger)
        if self._dialogue is None:
            return None
        self._asked, self._asked_s = self._dialogue.query(), self._steered.now_s
        return self._asked

    def think(self, question: Query) -> Thought:
        """Ask the reasoner; may block, and touches nothing else.

        Raises `LookupError` at the end of a script, or on a question the replayed run was not asked.
        """
        return think(self._llm, question, None if self._spent else self.outage)

    def answered(self, question: Query, thought: Thought) -> None:
        """The thinking is over: run the tools it asks for now. An answer nobody waits for any more is ignored."""
        if question is not self._asked or self._dialogue is None or self._trigger is None:
            return
        self._asked = None
        if question.wanted.must_call and not thought.reply.calls and thought.reply.failure is None:
            thought = replace(thought, reply=replace(thought.reply, failure=NO_CALL))
        reply, cause, number = thought.reply, self._trigger.signature, self._dialogue.number
        self._trail.exchanged(number, cause, thought, question)
        self._undos.clear()
        turn = self._dialogue.take(reply, self._run)
        undos = iter(self._undos)
        for one in turn.called:
            undo = next(undos) if one.arguments is not None else None
            self._promises.audited(one, cause, undo, number, reply.thinking_s, reply.text)
        if reply.failure == BUDGET and not self._spent:
            self._by_rules_from_now_on(self._trigger)
        if self._dialogue.over:
            self._dialogue = self._trigger = None

    def voided(self, question: Query, thought: Thought | None, why: str) -> None:
        """Nothing comes of this question, for that reason, and its dialogue is over. `thought`: what its reasoner
        answered in vain; None: nothing, up to now."""
        if question is not self._asked or self._dialogue is None or self._trigger is None:
            return
        asked_s = self._steered.now_s - self._asked_s
        in_vain = thought or Thought(Reply(failure=UNANSWERED, thinking_s=asked_s))
        self._trail.exchanged(self._dialogue.number, self._trigger.signature, in_vain, question, why)
        self._asked = self._dialogue = self._trigger = None

    def give_up(self, now_s: float, at_once: bool = False) -> bool:
        """Drop a question that has been out for longer than patience allows; True if one was dropped."""
        question = self._asked
        if question is None or not (at_once or now_s - self._asked_s > self._config.patience_s):
            return False
        self.answered(question, Thought(Reply(failure="timeout", thinking_s=now_s - self._asked_s)))
        return True

    def _by_rules_from_now_on(self, trigger: Trigger) -> None:
        """The budget is spent: the rules are called for this and for all that comes. No outage concerns them."""
        self._spent, self._llm, self._trail.reasoner = True, RulesLlm(self._config), RULES
        self._wanted, self._offered = PLAIN, TOOLS
        if len(self._waiting) < WAITING:
            self._waiting.appendleft(trigger)

    def _run(self, name: str, arguments: Any) -> Result:
        self._undos.append(undo_of(self._steered, name, arguments))
        return self._tools.run(name, arguments)

    def _obsolete(self, trigger: Trigger) -> bool:
        """Whether what it was raised for is over."""
        return trigger.kind in ("onset", "expiry") and not self._steered.hints[trigger.device]

    def _open(self, trigger: Trigger) -> None:
        self.count += 1
        situation: dict[str, Any] = {
            "cause": trigger.signature,
            "kind": trigger.kind,
            "device": trigger.device,
            "model": trigger.model,
            "facts": trigger.facts,
        }
        told = self._trail.recorded or self._llm.label != RULES
        opening: tuple[Message, ...] = ()
        if told:
            status = self._tools.run("get_system_status", Arguments())
            assert isinstance(status, SystemStatus)
            situation |= status.model_dump()
            said = {k: v for k, v in situation.items() if k not in ("kind", "device", "model")}
            opening = self._system(), Message("user", render("meta_event", **said))
        self._trigger = trigger
        self._dialogue = Dialogue(
            "meta",
            self.count,
            opening,
            self._offered,
            situation,
            self._config.max_rounds,
            wanted=self._wanted,
            told=told,
        )

    def _system(self) -> Message:
        """The system prompt, rendered once."""
        if self._told is None or self._told[0] != self._wanted.must_call:
            text = render(
                "meta_system", max_rounds=self._config.max_rounds, drift_threshold=self._config.drift_threshold,
                must_call=self._wanted.must_call,
            )  # fmt: skip
            self._told = self._wanted.must_call, Message("system", text)
        return self._told[1]
