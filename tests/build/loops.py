"""Control loops of the virtual world that say what they are told to, and keep what they saw."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from emulation.domain.actions import Command, Decision, MacroPolicy
from emulation.domain.snapshot import NodeView


def limit(limit_s: float) -> MacroPolicy:
    """Everything of model `m` to device `d0`, with this admission limit."""
    return MacroPolicy(p={"m": {"d0": 1.0}}, roles={}, admission_limit_s={"m": limit_s})


def _of_s(seen: Any) -> float:
    """When something was seen: a cluster, or one node."""
    return float(seen.taken_at_s if isinstance(seen, NodeView) else seen.t_s)


class Says:
    """Decides its commands in turn, the last one again and again; thinks so many virtual seconds about each."""

    repeats = blind = False

    def __init__(self, actor: str, *commands: Command, thinking_s: float = 0.0) -> None:
        self._actor, self._commands, self._thinking_s = actor, list[Command](commands), thinking_s
        self._policy: MacroPolicy | None = None
        self.seen: dict[str, Any] = {}
        """Cause to what it saw."""
        self.under: dict[str, MacroPolicy | None] = {}
        """Cause to the policy it worked under."""

    def observe(self, seen: Any, cause: str) -> Decision:
        self.seen[cause], self.under[cause] = seen, self._policy
        command = self._commands.pop(0) if len(self._commands) > 1 else self._commands[0]
        return Decision(
            self._actor, cause, _of_s(seen), 0.0, command, "as told", "scripted", self._thinking_s
        )

    def accept(self, policy: MacroPolicy) -> None:
        self._policy = policy

    def outage(self, failure: str | None) -> None:
        pass

    def looked_s(self, cause: str) -> float:
        """When it looked for this cause."""
        return _of_s(self.seen[cause])

    def done(self, causes: Sequence[str]) -> list[int]:
        """How many requests of model `m` it was told had been done, by cause."""
        return [self.seen[cause].stats["m"].done for cause in causes]
