"""Recorded exchanges, answered again without a model. A run's own record is the recording.

Every question a reasoner is asked, and what it answered, stands in the decision records of the agent under
`choice.exchange`; a question that was not asked in the recorded run is an error.
"""

from __future__ import annotations

import json
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Self

from controller.agents.llm import Query, ReasonerError, Reply, ToolCall
from controller.agents.reasoner import ReasonerLabel


class ReplayMiss(ReasonerError):
    """The recorded run was never asked this; the message says what was."""


def exchange(query: Query, reply: Reply) -> dict[str, Any]:
    """One exchange as plain data, for the record. The question's last message stands for what was asked."""
    return {
        "key": query.key(),
        "agent": query.agent,
        "round": query.round,
        "asked": query.messages[-1].content,
        "text": reply.text,
        "calls": [[c.id, c.name, c.arguments] for c in reply.calls],
        "thinking_s": reply.thinking_s,
        "failure": reply.failure,
        "tokens": reply.tokens,
    }


class ReplayLlm:
    """Answers by key, in recorded order where a question was asked more than once."""

    def __init__(self, exchanges: Iterable[Mapping[str, Any]]) -> None:
        self._replies: dict[str, deque[Reply]] = defaultdict(deque)
        for one in exchanges:
            calls = tuple(ToolCall(*call) for call in one["calls"])
            reply = Reply(calls, one["text"], one["thinking_s"], one["failure"], one["tokens"])
            self._replies[one["key"]].append(reply)

    @classmethod
    def read(cls, record: Path) -> Self:
        """From a run's record, or any file of JSON lines that are exchanges.

        Raises `OSError`, or `ValueError` if it holds no exchange.
        """
        found: list[Mapping[str, Any]] = []
        with record.open() as lines:
            for line in lines:
                if '"key"' in line:
                    found.extend(_exchanges(json.loads(line)))
        if not found:
            raise ValueError(f"{record}: no exchange with a reasoner is recorded there")
        return cls(found)

    @property
    def label(self) -> ReasonerLabel:
        """`replay`."""
        return "replay"

    def ask(self, query: Query) -> Reply:
        """What was answered then. Raises `ReplayMiss` if this was not asked (often enough) then."""
        replies = self._replies.get(query.key())
        if not replies:
            cause = query.situation.get("cause", "")
            raise ReplayMiss(
                f"{query.agent} invocation {query.number}, round {query.round} ({cause}): not in the recording"
            )
        return replies.popleft()


def _exchanges(line: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    choice = line.get("choice")
    found = choice.get("exchange") if isinstance(choice, dict) else line if "key" in line else None
    return [found] if isinstance(found, dict) and not found.get("injected") else []
