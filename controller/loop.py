"""One control decision: a cause, a decider, a check, a decision. The same loops run in both worlds.

`ControlLoop.observe` never raises for what a decider does: an exception or an invalid answer becomes the last
valid command, or, before there is one, that of the role's rules, or without rules the second paper's random policy (or
what else `LoopConfig.fallback` names); `Decision.violations` says why.
The loops of the layers are in `layer_loops.py`. They are pure and picklable: time is a field of what they see, and
applying a decision is the world's job.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from mypy_extensions import mypyc_attr
from numpy.random import Generator

from controller.agents.answers import NoAnswer
from controller.agents.config import Fallback
from controller.agents.llm import BUDGET, ReasonerError
from controller.agents.reasoner import NONE, RULES
from controller.approval import NOT_BEGUN, ApprovalConfig, Verdict, as_data, stood_in
from emulation.domain.actions import Choice, CommandT, Decision, MacroPolicy
from emulation.domain.cluster import TestbedConfig
from emulation.domain.mistakes import STRANGE_IN_A_RUN, told_of
from emulation.domain.plain import command_data
from emulation.domain.ports import Decider
from emulation.domain.snapshot import ClusterSnapshot, NodeView
from emulation.rng import stream

INVALID = "invalid answer"
"""How the reason of every replaced decision begins; reports look for it."""

T = TypeVar("T")
DeciderT = TypeVar("DeciderT", bound=Decider[Any])
SeenT = TypeVar("SeenT", bound=NodeView | ClusterSnapshot)


@mypyc_attr(native_class=False)
@dataclass(frozen=True, slots=True)
class LoopConfig:
    """What a decision of this loop says about itself, and what stands in for a decider that fails."""

    reasoner: str = NONE
    thinking_s: float = 0.0
    """Virtual seconds from observing to landing; the world applies the decision that much later. A choice that states
    a thinking time of its own took that long instead."""
    fallback: Fallback = "last_valid"
    approval: ApprovalConfig | None = None
    """Where decisions of a reasoner are held for approval."""


@mypyc_attr(allow_interpreted_subclasses=True)
class ControlLoop(ABC, Generic[DeciderT, SeenT, CommandT]):
    """Trigger, decide, check; subclasses say what is decided, what is valid and what is random.

    `stand_in`, the rules of the role, decides where `decider` fails and the fallback is `rules`, or nothing was ever
    valid, or its budget is spent. It is told of everything that is put in force, whoever decided it.
    """

    actor: str
    """Name of the decider in records."""
    nothing: CommandT
    """The command that asks for nothing: what is in force before the first."""

    def __init__(
        self,
        testbed: TestbedConfig,
        decider: DeciderT,
        seed: int = 0,
        config: LoopConfig | None = None,
        stand_in: DeciderT | None = None,
    ) -> None:
        self._testbed = testbed
        self._decider = decider
        self.blind = decider.blind
        """Whether any sight gives the same decision, where the same sight does."""
        self._stand_in = stand_in
        self._seed = seed
        self._rng: Generator | None = None
        """Of what is random, once anything is."""
        self._config = config or LoopConfig()
        self._last_valid: CommandT | None = None
        self._in_force: CommandT | None = None
        """What was decided last, by whomever."""

    @abstractmethod
    def accept(self, policy: MacroPolicy) -> None:
        """Work under this policy of the planner's from now on."""

    @property
    def asks_reasoner(self) -> bool:
        """Whether the decider asks a reasoner, which `outage` can break."""
        return self._decider.asks_reasoner

    @property
    def repeats(self) -> bool:
        """Whether the same sight under the same policy gives the same decision."""
        return self._decider.repeats and not self._decider.asks_reasoner

    def outage(self, failure: str | None) -> None:
        """The reasoner, if there is one, fails in this way from now on; None: it works again."""
        self._decider.outage(failure)

    def observe(self, seen: SeenT, cause: str, now_s: float | None = None, ask: bool = False) -> Decision:
        """Decide once. `now_s`: when it is asked, virtual seconds; None: when the telemetry was taken. `ask`: whoever
        calls sees to a decision that is held (`held`, `settled`); otherwise the stand-in does.

        Raises `ReasonerError` where a script ends or a replay is asked what was not recorded, and nothing else.
        """
        taken_at_s, age_s = _taken_at_s(seen)
        asked_at_s = taken_at_s if now_s is None else now_s
        reasoner = self._config.reasoner
        violations: tuple[str, ...] = ()
        self._decider.begin(cause)
        try:
            choice = self._valid(self._decider, seen)
            self._last_valid = choice.command
        except NoAnswer as failed:
            choice, reasoner, violations = self._replaced(failed, seen, cause)
            self._decider.adopted(choice.command)
        decision = Decision(
            actor=self.actor,
            cause=cause,
            decided_at_s=asked_at_s,
            inputs_age_s=age_s + asked_at_s - taken_at_s,
            command=choice.command,
            reason=choice.reason,
            reasoner=reasoner,
            thinking_s=self._charged_s(choice.thinking_s),
            violations=violations,
            exchanges=choice.exchanges,
        )
        approval = self._config.approval
        if approval is not None and not ask and self.held(decision):
            begun = asked_at_s > 0.0 or self._in_force is not None
            return self.settled(decision, stood_in(approval) if begun else NOT_BEGUN, seen)
        if not (ask and self.held(decision)):
            self._put_in_force(choice.command)
        return decision

    # -- approval -------------------------------------------------------------------------------------------

    @property
    def approval(self) -> ApprovalConfig | None:
        """How long decisions of a reasoner are held for somebody's approval; None: they are not."""
        return self._config.approval

    @property
    def in_force(self) -> CommandT | None:
        """What was decided last."""
        return self._in_force

    def held(self, decision: Decision) -> bool:
        """Whether a decision waits for approval: a reasoner's own, and another than what is in force."""
        own = bool(decision.exchanges) and not decision.violations
        return self._config.approval is not None and own and decision.command != self._in_force

    def settled(self, decision: Decision, verdict: Verdict, seen: SeenT) -> Decision:
        """What a verdict makes of a decision that was held: it, what somebody wrote instead, or the rules' choice."""
        proposal = self._proposal(decision, verdict)
        command: Any = decision.command if verdict.command is None else verdict.command
        reason, reasoner, thinking_s = (
            decision.reason,
            decision.reasoner,
            decision.thinking_s + verdict.waited_s,
        )
        if verdict.outcome == "edited":
            reasoner = NONE
        elif verdict.outcome != "approved":
            command, reason, reasoner, more_s = self._instead(seen, decision.cause)
            thinking_s += more_s
        if command != decision.command:
            self._decider.adopted(command)
        self._last_valid = command
        self._put_in_force(command)
        return replace(
            decision, command=command, reason=f"{verdict.told()}: {reason}", reasoner=reasoner,
            thinking_s=thinking_s, proposal=proposal,
        )  # fmt: skip

    def given_up(self, decision: Decision, waited_s: float, why: str) -> Decision:
        """A decision that was held and is never settled: as it is, with what was proposed and why nobody waits for it.

        `waited_s`: virtual seconds that it was held.
        """
        proposal = self._proposal(decision, Verdict("timed_out", waited_s, why=why))
        return replace(decision, thinking_s=decision.thinking_s + waited_s, proposal=proposal)

    def _proposal(self, decision: Decision, verdict: Verdict) -> dict[str, Any]:
        return as_data(_plain(self._in_force), _plain(decision.command), decision.reason, verdict)

    def _instead(self, seen: SeenT, cause: str) -> tuple[CommandT, str, str, float]:
        """The rules' choice, its reason and thinking; what is in force where there are no rules or they fail."""
        if self._stand_in is not None:
            try:
                rules = self._by_rules(self._stand_in, seen, cause)
            except NoAnswer:
                pass
            else:
                return (
                    rules.command,
                    f"the rules decide instead: {rules.reason}",
                    RULES,
                    rules.thinking_s or 0.0,
                )
        if self._in_force is not None:
            return self._in_force, "what was in force stays", NONE, 0.0
        return self._random(), "random policy", NONE, 0.0

    def violations(self, command: CommandT) -> list[str]:
        """Why a command is impossible; empty if it is not."""
        return self._check(command)

    def _charged_s(self, thinking_s: float | None) -> float:
        return self._config.thinking_s if thinking_s is None else thinking_s

    def _valid(self, decider: DeciderT, seen: SeenT) -> Choice[CommandT]:
        """The choice of a decider. Raises `NoAnswer` where there is none or it is impossible, and `ReasonerError`."""
        try:
            choice = self._ask(decider, seen)
            violations = self._check(choice.command)
        except (ReasonerError, NoAnswer):
            raise
        except STRANGE_IN_A_RUN as error:  # the one place: a decider's fault must never stop the run
            raise NoAnswer([f"{self.actor} raised {told_of(error)}"]) from error
        if violations:
            raise NoAnswer(violations, choice.thinking_s, choice.exchanges)
        return choice

    def _by_rules(self, rules: DeciderT, seen: SeenT, cause: str) -> Choice[CommandT]:
        """The choice of the rules that stand in. Raises as `_valid` does."""
        rules.begin(cause)
        return self._valid(rules, seen)

    def _put_in_force(self, command: CommandT) -> None:
        """Do this from now on. The rules that stand in plan on from it when they are asked the next time."""
        self._in_force = command
        if self._stand_in is not None:
            self._stand_in.adopted(command)

    def _replaced(
        self, failed: NoAnswer, seen: SeenT, cause: str
    ) -> tuple[Choice[CommandT], str, tuple[str, ...]]:
        """What stands in for an answer that failed, whose it is, and what was wrong.

        The failed answer's exchanges stay with the decision; the thinking of rules that stand in comes on top of its.
        """
        thinking_s, violations = self._charged_s(failed.thinking_s), failed.violations
        fallback = self._config.fallback
        ruled = (
            fallback == "rules"
            or (fallback == "last_valid" and self._last_valid is None)
            or spent(violations)
        )
        if ruled and self._stand_in is not None:
            try:
                rules = self._by_rules(self._stand_in, seen, cause)
            except NoAnswer as failed_too:
                violations += failed_too.violations
            else:
                reason = f"{INVALID}: the rules decide instead: {rules.reason}"
                thinking_s += rules.thinking_s or 0.0
                return Choice(rules.command, reason, thinking_s, failed.exchanges), RULES, violations
        if fallback != "random" and self._last_valid is not None:
            command, reason = self._last_valid, f"{INVALID}: last valid decision kept"
        else:
            none = "" if fallback == "random" else " and none before it"
            command, reason = self._random(), f"{INVALID}{none}: random policy"
        return Choice(command, reason, thinking_s, failed.exchanges), self._config.reasoner, violations

    @abstractmethod
    def _ask(self, decider: DeciderT, seen: SeenT) -> Choice[CommandT]:
        """A decider's answer, whatever it is."""

    @abstractmethod
    def _check(self, command: CommandT) -> list[str]:
        """Why the command is impossible; empty if it is not."""

    def _one_of(self, options: Sequence[T]) -> T:
        """One of these, drawn from this loop's own stream."""
        if self._rng is None:
            self._rng = stream(self._seed, f"fallback:{self.actor}")
        return options[int(self._rng.integers(len(options)))]

    @abstractmethod
    def _random(self) -> CommandT:
        """A valid command drawn from this loop's own stream."""


def unanswered(
    loop: ControlLoop[Any, Any, Any], seen: Any, cause: str, asked_at_s: float, now_s: float
) -> Decision | None:
    """A decision for the record in the place of the one that a loop makes, which nobody waits for any more: what was in
    force, and what its reasoner was asked in vain. None where no question is out.

    May be called while another thread has the loop observe.
    """
    exchanges = loop._decider.unanswered(now_s - asked_at_s)
    if not exchanges:
        return None
    taken_at_s, age_s = _taken_at_s(seen)
    return Decision(
        actor=loop.actor, cause=cause, decided_at_s=asked_at_s, inputs_age_s=age_s + asked_at_s - taken_at_s,
        command=loop.nothing if loop.in_force is None else loop.in_force,
        reason="no answer when nobody waited for one any more", reasoner=loop._config.reasoner,
        thinking_s=now_s - asked_at_s, exchanges=exchanges,
    )  # fmt: skip


def spent(violations: Sequence[str]) -> bool:
    """Whether a decider had no answer because the run's budget is spent: there will be none any more."""
    return tuple(violations[:1]) == (BUDGET,)


def _plain(command: Any) -> Any:
    return None if command is None else command_data(command)


def _taken_at_s(seen: NodeView | ClusterSnapshot) -> tuple[float, float]:
    """When this was assembled, and how old its oldest signal was then; both virtual seconds."""
    if isinstance(seen, NodeView):
        return seen.taken_at_s, 0.0
    return seen.t_s, seen.age_s()
