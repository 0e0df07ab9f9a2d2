"""A decider that is not ours, kept from stopping a run: whatever it does wrong is an answer that its loop replaces."""

from __future__ import annotations

from dataclasses import replace
from math import inf
from typing import Any

from emulation.domain.actions import Choice
from emulation.domain.mistakes import STRANGE_IN_A_RUN, one_line, told_of
from emulation.domain.ports import Decider


class GuardedDecider(Decider[Any]):
    """A planner, scheduler or deployer round another one (all their ports are a `decide`).

    What the other raises while it is told something, it raises when it is next asked to decide: there a loop expects
    it, replaces the answer and records why.
    """

    def __init__(self, inner: Decider[Any]) -> None:
        self.inner: Any = inner
        self.asks_reasoner, self.repeats = bool(inner.asks_reasoner), bool(inner.repeats)
        self._failed = ""
        """What went wrong since it was last asked to decide."""

    def decide(self, *seen: Any) -> Choice[Any]:
        """The other's choice. Raises what it raises, and `ValueError` for one that no record could hold."""
        failed, self._failed = self._failed, ""
        if failed:
            raise ValueError(failed)
        choice = self.inner.decide(*seen)
        if not isinstance(choice, Choice):
            raise ValueError(f"decide returned a {type(choice).__name__}, not a Choice")
        if not isinstance(choice.reason, str):
            raise ValueError(f"reason is a {type(choice.reason).__name__}, not text")
        if choice.thinking_s is not None and not 0.0 <= choice.thinking_s < inf:
            raise ValueError(f"thinking_s is {choice.thinking_s}, not a time")
        reason = one_line(choice.reason)
        return choice if reason == choice.reason else replace(choice, reason=reason)

    def begin(self, cause: str) -> None:
        """Tell the other."""
        self._tell("begin", cause)

    def adopted(self, command: Any) -> None:
        """Tell the other."""
        self._tell("adopted", command)

    def outage(self, failure: str | None) -> None:
        """Tell the other."""
        self._tell("outage", failure)

    def _tell(self, what: str, told: Any) -> None:
        try:
            getattr(self.inner, what)(told)
        except STRANGE_IN_A_RUN as error:
            self._failed = f"{what} raised {told_of(error)}"
