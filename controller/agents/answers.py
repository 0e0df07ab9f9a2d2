"""One bounded answer: question, tool rounds, strict JSON, checks, repairs; every exchange kept for the audit trail.

Prompt -> (tool calls -> results)* -> JSON text -> answer type -> domain check -> answer, or, within a budget, what was
wrong -> another try. What a model writes never raises anything but `NoAnswer`, when the budget is spent.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from controller.agents.llm import LLM, Message, Query, Reply
from controller.agents.outage import failing
from controller.agents.prompts import render
from controller.agents.replay import exchange
from controller.agents.tools import Result, Tool, run_call
from emulation.domain.actions import Exchange

MAX_CALLS = 8
"""Tool calls of one reply that are run."""
MAX_SAID = 8
"""Faults of one answer that are named."""
MAX_TEXT = 100_000
"""Characters of an answer that are read at all."""
REASON_CHARS = 300
_FENCE = re.compile(r"\A```json[ \t]*\n(.*?)\n?[ \t]*```\Z", re.DOTALL)


class Answer(BaseModel):
    """Base of what agents answer: nothing may be missing, added or coerced; numbers are finite."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    reason: str = Field(default="", description="One short sentence: why.")


AnswerT = TypeVar("AnswerT", bound=Answer)


class NoAnswer(ValueError):
    """The reasoner failed, or its repairs are spent; `violations` say what was wrong last."""

    def __init__(self, violations: Sequence[str]) -> None:
        super().__init__("; ".join(violations))
        self.violations = tuple(violations)


def _no_tool(name: str, arguments: Any) -> Result:
    raise AssertionError(f"tool {name} is not offered")


@dataclass(frozen=True, slots=True)
class Toolbox:
    """What an agent may call on the way to its answer."""

    tools: Mapping[str, Tool] = field(default_factory=dict)
    run: Callable[[str, Any], Result] = _no_tool


class Asker:
    """One agent's line to its reasoner. Holds the exchanges of the present decision."""

    def __init__(self, agent: str, llm: LLM, repairs: int = 2, max_rounds: int = 2) -> None:
        self.agent = agent
        self.outage: str | None = None
        """Way in which an injected outage makes the reasoner fail."""
        self.exchanges: tuple[Exchange, ...] = ()
        """Of the present decision."""
        self.thinking_s = 0.0
        """Of all of them."""
        self._llm = llm
        self._repairs = repairs
        self._max_rounds = max_rounds
        self._count = 0
        self._cause = ""

    @property
    def label(self) -> str:
        """What thinks here."""
        return self._llm.label

    def begin(self, cause: str) -> None:
        """Another decision: forget the exchanges of the last one."""
        self.exchanges, self.thinking_s, self._cause = (), 0.0, cause
        self._count += 1

    def ask(
        self,
        system: str,
        user: str,
        kind: type[AnswerT],
        check: Callable[[AnswerT], list[str]],
        toolbox: Toolbox | None = None,
    ) -> AnswerT:
        """A valid answer. `check` says what is wrong with one that parses.

        Raises `NoAnswer`; `ReasonerError` where a script ends or a replay was never asked this.
        """
        box = toolbox or Toolbox()
        messages = [Message("system", system), Message("user", user)]
        rounds = repairs = 0
        while True:
            query = Query(
                self.agent, self._count, rounds + repairs, tuple(messages),
                tuple(tool.schema() for tool in box.tools.values()), {"cause": self._cause},
            )  # fmt: skip
            reply = self._reply(query)
            if reply.failure is not None:
                self._keep(query, reply, (reply.failure,))
                raise NoAnswer([reply.failure])
            if reply.calls and rounds < self._max_rounds and box.tools:
                messages += self._call(query, reply, box)
                rounds += 1
                continue
            answer, wrong = _read(reply, kind, check)
            self._keep(query, reply, wrong)
            if answer is not None:
                return answer
            if repairs >= self._repairs:
                raise NoAnswer(wrong)
            repairs += 1
            messages += _asked_again(reply, wrong)

    def _reply(self, query: Query) -> Reply:
        reply = self._llm.ask(query) if self.outage is None else failing(self.outage, query)
        self.thinking_s += reply.thinking_s
        return reply

    def _call(self, query: Query, reply: Reply, box: Toolbox) -> list[Message]:
        """Run the calls of a reply; the messages that go on from there."""
        calls = reply.calls[:MAX_CALLS]
        called = [run_call(call, box.tools, box.run) for call in calls]
        results = tuple(one.content() for one in called)
        self._keep(query, reply, tuple(one.error for one in called if one.error is not None), results)
        answered = [Message("tool", text, call_id=call.id) for call, text in zip(calls, results, strict=True)]
        return [Message("assistant", reply.text, calls), *answered]

    def _keep(
        self, query: Query, reply: Reply, violations: Sequence[str], results: tuple[str, ...] = ()
    ) -> None:
        said = exchange(query, reply)
        if self.outage is not None:
            said["injected"] = self.outage
        self.exchanges += (Exchange(said, self.label, results, tuple(violations)),)


def _asked_again(reply: Reply, wrong: Sequence[str]) -> list[Message]:
    """The invalid answer and what was wrong with it, as the dialogue goes on."""
    said = render("agent_repair", violations=list(wrong))
    if not reply.calls:
        return [Message("assistant", reply.text), Message("user", said)]
    calls = reply.calls[:MAX_CALLS]
    refused = json.dumps({"error": "no tool calls are left"})
    return [
        Message("assistant", reply.text, calls),
        *(Message("tool", refused, call_id=call.id) for call in calls),
        Message("user", said),
    ]


def _read(
    reply: Reply, kind: type[AnswerT], check: Callable[[AnswerT], list[str]]
) -> tuple[AnswerT | None, tuple[str, ...]]:
    """The answer, or what is wrong with it."""
    if reply.calls:
        return None, ("tool calls instead of an answer, and none are left",)
    try:
        answer = parse(reply.text, kind)
    except ValueError as error:
        return None, tuple(str(error).split("\n"))
    wrong = check(answer)
    return (None, _shortened(wrong)) if wrong else (answer, ())


def parse(text: str, kind: type[AnswerT]) -> AnswerT:
    """One JSON object, alone or in one ```json block. Raises `ValueError`, a fault per line."""
    if len(text) > MAX_TEXT:
        raise ValueError(f"the answer has {len(text)} characters, {MAX_TEXT} at most are read")
    bare = text.strip()
    fenced = _FENCE.match(bare)
    source = fenced.group(1) if fenced else bare
    try:
        json.loads(source, object_pairs_hook=_once, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        said = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise ValueError(f"not one JSON object and nothing else: {said}") from error
    try:
        return kind.model_validate_json(source)
    except ValidationError as error:
        raise ValueError("\n".join(_shortened([_fault(e) for e in error.errors()]))) from error


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        doubled = sorted({name for name in names if names.count(name) > 1})
        raise ValueError(f"key {doubled[0]!r} appears twice in one object")
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON number")


def _fault(error: Any) -> str:
    where = ".".join(str(part) for part in error["loc"])
    what = "unknown key" if error["type"] == "extra_forbidden" else str(error["msg"])
    return f"{where}: {what}" if where else what


def _shortened(faults: Sequence[str]) -> tuple[str, ...]:
    if len(faults) <= MAX_SAID:
        return tuple(faults)
    return (*faults[:MAX_SAID], f"and {len(faults) - MAX_SAID} more")


def reason_of(answer: Answer, otherwise: str) -> str:
    """The model's own words for the record, in one line."""
    said = " ".join(answer.reason.split())
    return said[:REASON_CHARS] if said else otherwise
