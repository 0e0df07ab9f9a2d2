"""The agent loop, bounded, which every agent runs.

A question is answered by tool calls, which get their results, or by an answer, which is told what is wrong with it, and
so on until an answer is valid or a budget is spent.

A `Dialogue` is plain data that waits: whoever holds it asks the reasoner when and where it likes and hands the reply
back when the thinking is over, so the tools run then. The meta-controller does so in its world's own time;
`answers.py` holds dialogues for agents that can wait.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from controller.agents.llm import LLM, PLAIN, Message, Query, Reply, Wanted
from controller.agents.outage import failing
from controller.agents.prompts import render
from controller.agents.replay import exchange
from controller.agents.tools import Called, Result, Tool, run_call, schemas

RunTool = Callable[[str, Any], Result]
"""Name and validated arguments of a tool to its result."""

ReadAnswer = Callable[[Reply], tuple[Any, tuple[str, ...]]]
"""A reply to the answer it holds, or to None and what is wrong with it."""

MAX_CALLS = 8
"""Tool calls of one reply that are run."""


@dataclass(frozen=True, slots=True)
class Thought:
    """What came of a question."""

    reply: Reply
    injected: str | None = None
    """Way in which an injected outage made the reasoner fail."""

    @property
    def thinking_s(self) -> float:
        """Virtual seconds until it may land."""
        return self.reply.thinking_s

    def exchange(self, query: Query, first: bool) -> dict[str, Any]:
        """Question and reply as plain data, for the record. `first`: see `replay.exchange`."""
        said = exchange(query, self.reply, first)
        return said if self.injected is None else {**said, "injected": self.injected}


def think(llm: LLM, query: Query, outage: str | None) -> Thought:
    """Ask the reasoner, or have it fail in the way of an outage. May block; raises `ReasonerError` as `llm` does."""
    return Thought(llm.ask(query)) if outage is None else Thought(failing(outage, query), outage)


@dataclass(frozen=True, slots=True)
class Turn:
    """What became of one reply."""

    called: tuple[Called, ...] = ()
    violations: tuple[str, ...] = ()
    """The reasoner's failure, the errors of its calls, or what was wrong with its answer."""


class Dialogue:
    """One invocation of an agent: what was said so far, and how many tool rounds and repairs are left.

    With `read` it ends in a valid `answer`, in a failure of the reasoner, or when the repairs are spent; a reply that
    calls tools when no round is left then counts as a wrong answer. Without, its tool calls are all that is wanted of
    the reasoner, and it ends with the rounds or with a reply that calls none.
    """

    def __init__(
        self,
        agent: str,
        number: int,
        opening: Sequence[Message],
        tools: Mapping[str, Tool],
        situation: Mapping[str, Any],
        max_rounds: int = 2,
        read: ReadAnswer | None = None,
        repairs: int = 0,
        wanted: Wanted = PLAIN,
        told: bool = True,
    ) -> None:
        """`told`: whether anybody reads what is said; else there are no messages, and `opening` is empty."""
        self.agent = agent
        self.number = number
        self.situation = dict(situation)
        self.round = 0
        self.over = False
        self.answer: Any = None
        self._messages = list(opening)
        self._tools = dict(tools)
        self._schemas = schemas(tuple(tools.values()))
        self._rounds_left = max_rounds if tools else 0
        self._read = read
        self._repairs_left = repairs
        self._wrong = False
        """Whether an answer was wrong: the next one is asked for, and no tool any more."""
        self._wanted = wanted
        self._told = told
        self._results: tuple[Result | None, ...] = ()
        """Of the calls of the round before."""

    def query(self) -> Query:
        """What to ask now. Raises `RuntimeError` if the dialogue is over."""
        if self.over:
            raise RuntimeError(f"invocation {self.number} of {self.agent} is over")
        return Query(
            self.agent, self.number, self.round, tuple(self._messages), self._schemas, self.situation,
            self._wanted, not self._tools or (self._rounds_left > 0 and not self._wrong), self._results,
        )  # fmt: skip

    def take(self, reply: Reply, run: RunTool) -> Turn:
        """Go on from a reply: answer each of its calls with a result or an error, or read the answer it holds."""
        if reply.failure is not None:
            self.over = True
            return Turn(violations=(reply.failure,))
        if reply.calls and self._rounds_left:
            return self._call(reply, run)
        if self._read is None:
            self.over = True
            return Turn()
        self.answer, wrong = self._read(reply)
        self.over = self.answer is not None or not self._repairs_left
        if not self.over:
            self._repairs_left -= 1
            self._wrong = True
            self.round += 1
            self._messages += _repair(reply, wrong)
        return Turn(violations=wrong)

    def _call(self, reply: Reply, run: RunTool) -> Turn:
        calls = reply.calls[:MAX_CALLS]
        called = tuple(run_call(call, self._tools, run) for call in calls)
        self._results = tuple([one.result for one in called])
        if self._told:
            self._messages.append(Message("assistant", reply.text, calls))
            self._messages += [Message("tool", one.content(), call_id=one.call.id) for one in called]
        self.round += 1
        self._rounds_left -= 1
        ended = any(one.tool is not None and one.tool.ends and one.error is None for one in called)
        self.over = self._read is None and (ended or not self._rounds_left)
        return Turn(called, tuple(one.error for one in called if one.error is not None))


def _repair(reply: Reply, wrong: Sequence[str]) -> list[Message]:
    """The invalid answer and what was wrong with it, as the dialogue goes on; calls in it are refused one by one."""
    calls = reply.calls[:MAX_CALLS]
    refused = json.dumps({"error": "no tool calls are left"})
    return [
        Message("assistant", reply.text, calls),
        *(Message("tool", refused, call_id=call.id) for call in calls),
        Message("user", render("agent_repair", violations=list(wrong))),
    ]
