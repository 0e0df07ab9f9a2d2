"""A reasoner that says what a file says: tests, demonstrations, and the whole system without a model."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from pydantic import Field

from controller.agents.llm import Form, Query, ReasonerError, Reply, ToolCall
from controller.agents.reasoner import ReasonerLabel
from emulation.domain.cluster import Strict
from emulation.domain.quantities import Count, Seconds
from emulation.jsonl import read_lines


class ScriptEnd(ReasonerError):
    """The script has no answer for this question; the message names it."""


class ScriptCall(Strict):
    """One tool call of a line. `arguments` as text is passed on as it is, to be wrong on purpose."""

    name: str
    arguments: dict[str, Any] | str = Field(default_factory=dict)


class ScriptLine(Strict):
    """One reply."""

    agent: str | None = None
    """Only for agents whose name begins with this (planner, scheduler, deployer:<node>, meta); None: for any."""
    on: str | None = None
    """Only for questions whose cause begins with this; None: for the next question, whatever it is."""
    times: Count = 1
    """So many questions are answered with it."""
    calls: tuple[ScriptCall, ...] = ()
    text: str = ""
    thinking_s: Seconds = 0.0
    failure: str | None = None


class ScriptedLlm:
    """Lines in order: each question takes the first unused line that fits. One that fits none is an error.

    Every agent reads the file for itself: a line without `agent` is there for each of them.
    """

    label: ReasonerLabel = "scripted"

    def __init__(self, lines: Sequence[ScriptLine]) -> None:
        self._left = [line for line in lines for _ in range(line.times)]

    @classmethod
    def read(cls, file: Path) -> Self:
        """From a file of JSON lines. Raises `ValueError` naming file and line."""
        return cls(read_lines(file, ScriptLine.model_validate_json, by_hand=True))

    def form(self, agent: str) -> Form:
        """What stands in for a language model writes its commands out."""
        return "free"

    def ask(self, query: Query) -> Reply:
        """The next line that fits. Raises `ScriptEnd` if none does."""
        cause = str(query.situation.get("cause", ""))
        for i, line in enumerate(self._left):
            fits = line.on is None or cause.startswith(line.on)
            if fits and (line.agent is None or query.agent.startswith(line.agent)):
                return _reply(self._left.pop(i), query)
        raise ScriptEnd(
            f"{query.agent}: no line is left for invocation {query.number}, round {query.round} ({cause})"
        )


def _reply(line: ScriptLine, query: Query) -> Reply:
    calls = tuple(
        ToolCall(
            f"call-{query.number}-{query.round}-{i}",
            call.name,
            call.arguments if isinstance(call.arguments, str) else json.dumps(call.arguments),
        )
        for i, call in enumerate(line.calls)
    )
    return Reply(calls, line.text, line.thinking_s, line.failure)
