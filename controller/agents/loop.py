"""The agent loop, bounded: query, tool calls, observations, until the reasoner is done or its rounds are spent.

A `Dialogue` is plain data that waits: the world asks the reasoner when and where it likes (at once in virtual time,
in a thread in the live world), hands the reply back at the time the thinking was over, and so the tools run then.
`converse` is the same loop for callers that can wait.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from controller.agents.llm import LLM, Message, Query, Reply
from controller.agents.tools import Called, Result, Tool, run_call

Run = Callable[[str, Any], Result]
"""Name and validated arguments of a tool to its result."""

MAX_CALLS = 8
"""Tool calls of one reply that are looked at."""


class Dialogue:
    """One invocation of an agent: what was said so far, and how many tool rounds are left."""

    def __init__(
        self,
        agent: str,
        number: int,
        opening: Sequence[Message],
        tools: Mapping[str, Tool],
        situation: Mapping[str, Any],
        max_rounds: int = 2,
    ) -> None:
        self.agent = agent
        self.number = number
        self.situation = dict(situation)
        self.round = 0
        self.over = False
        self.failure: str | None = None
        self._messages = list(opening)
        self._tools = dict(tools)
        self._schemas = tuple(tool.schema() for tool in tools.values())
        self._max_rounds = max_rounds

    def query(self) -> Query:
        """What to ask now. Raises `RuntimeError` if the dialogue is over."""
        if self.over:
            raise RuntimeError(f"invocation {self.number} of {self.agent} is over")
        return Query(
            self.agent, self.number, self.round, tuple(self._messages), self._schemas, self.situation
        )

    def take(self, reply: Reply, run: Run) -> list[Called]:
        """Run the calls of a reply, answer each with its result or what was wrong with it."""
        if reply.failure is not None or not reply.calls:
            self.failure, self.over = reply.failure, True
            return []
        calls = reply.calls[:MAX_CALLS]
        self._messages.append(Message("assistant", reply.text, calls))
        called = [run_call(call, self._tools, run) for call in calls]
        self._messages.extend(Message("tool", one.content(), call_id=one.call.id) for one in called)
        self.round += 1
        self.over = self.round >= self._max_rounds
        return called


def converse(llm: LLM, dialogue: Dialogue, run: Run) -> tuple[list[Called], float]:
    """Hold a dialogue to its end; every call made, and the seconds of thinking."""
    called: list[Called] = []
    thinking_s = 0.0
    while not dialogue.over:
        reply = llm.ask(dialogue.query())
        thinking_s += reply.thinking_s
        called.extend(dialogue.take(reply, run))
    return called, thinking_s
