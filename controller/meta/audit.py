"""The audit trail: every look, act and automatic change as a record, append-only.

Entries leave as `DecisionRecord`s of actor `meta` in the order they happened; what became of an act is an entry of its
own (`promises.py`) that names the one it judges.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from controller.agents.llm import Query
from controller.agents.loop import Thought
from controller.agents.reasoner import NONE
from controller.agents.tools import Called
from controller.meta.steered import SteeredFastPath
from emulation.domain.records import DecisionRecord


class AuditTrail:
    """Entries on their way to the record."""

    def __init__(self, steered: SteeredFastPath, reasoner: str) -> None:
        self._steered = steered
        self.reasoner = reasoner
        """What thinks at present."""
        self.recorded = True
        """Whether anybody takes the entries: without, they are only counted."""
        self._entries = 0
        self._served = False
        """Whether a language model has replied to any question."""
        self._records: list[DecisionRecord] = []

    @property
    def waiting(self) -> bool:
        """Whether there are records to take."""
        return bool(self._records)

    def take(self) -> list[DecisionRecord]:
        """Every record since the last call, oldest first."""
        records, self._records = self._records, []
        return records

    def exchanged(
        self, invocation: int, cause: str, thought: Thought, question: Query, void: str | None = None
    ) -> None:
        """The reasoner was asked and answered, or failed to; `void`: why nothing comes of it."""
        if not self.recorded:
            self._entries += 1
            return
        said = thought.exchange(question, first=not self._served)
        self._served = self._served or "served" in said
        self._write(
            cause,
            {"invocation": invocation, "exchange": said},
            thought.reply.text,
            reasoner=self.reasoner,
            age_s=thought.thinking_s,
            thinking_s=thought.thinking_s,
            outcome="applied" if void is None else "voided",
            error=void or thought.reply.failure or thought.injected,
        )

    def called(
        self,
        called: Called,
        cause: str,
        invocation: int | None,
        age_s: float,
        reason: str,
        promised: str | None,
    ) -> int:
        """One tool call, by the reasoner (`invocation`) or by a rule (None); returns its number.

        `age_s`: since the reasoner was asked. Its thinking is charged to the exchange, once.
        """
        if not self.recorded:
            self._entries += 1
            return self._entries
        result = None if called.result is None else called.result.model_dump()
        choice: dict[str, Any] = {
            "tool": called.call.name,
            "by": "rule" if invocation is None else "reasoner",
            "arguments": called.call.arguments if called.arguments is None else called.arguments.model_dump(),
            "result": result,
        }
        if invocation is not None:
            choice["invocation"] = invocation
        if result is not None and "old" in result:
            choice["old"], choice["new"] = result["old"], result["new"]
        return self._write(
            cause, choice, reason, NONE if invocation is None else self.reasoner, age_s, promised=promised,
            error=called.error,
        )  # fmt: skip

    def judged(self, cause: str, verdict: dict[str, Any], reason: str, metric: str) -> None:
        """What became of an act, and whether it was undone."""
        outcome = "reverted" if verdict["reverted"] else "applied"
        self._write(cause, {**verdict, "by": "rule"}, reason, promised=metric, outcome=outcome)

    def changed(self, cause: str, what: str, device: str, old: Any, new: Any, reason: str) -> None:
        """A rule changed something that no tool does."""
        self._write(cause, {"rule": what, "by": "rule", "device": device, "old": old, "new": new}, reason)

    def _write(
        self,
        cause: str,
        choice: dict[str, Any],
        reason: str,
        reasoner: str = NONE,
        age_s: float = 0.0,
        thinking_s: float = 0.0,
        promised: str | None = None,
        outcome: str = "applied",
        error: str | None = None,
    ) -> int:
        self._entries += 1
        if not self.recorded:
            return self._entries
        now_s = self._steered.now_s
        self._records.append(
            DecisionRecord(
                t_s=now_s, actor="meta", cause=cause, inputs_age_s=age_s,
                choice={"entry": self._entries, **choice},
                reason=reason, reasoner=reasoner, thinking_s=thinking_s,
                landed_s=now_s if error is None else None, promised=promised,
                outcome="rejected" if error is not None and outcome == "applied" else outcome,
                violations=() if error is None else (error,),
            )
        )  # fmt: skip
        return self._entries


def counts(decisions: Iterable[DecisionRecord]) -> tuple[int, int]:
    """Reasoner invocations and tool calls of a run, from its decision records."""
    invocations: set[int] = set()
    calls = 0
    for record in decisions:
        if record.actor == "meta" and isinstance(record.choice, dict):
            if "exchange" in record.choice:
                invocations.add(record.choice["invocation"])
            calls += record.choice.get("by") == "reasoner"
    return len(invocations), calls
