"""Recorded exchanges, answered again without a model. A run's own record is the recording.

Every question a reasoner is asked, and what it answered, stands in the decision records of the agent under
`choice.exchange`; a question that was not asked in the recorded run is an error.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, Self

import orjson

from controller.agents.llm import Form, Query, ReasonerError, Reply, Served, ToolCall
from controller.agents.reasoner import ReasonerLabel
from emulation.domain.quantities import CountOrNone, Range, Seconds
from emulation.domain.strict import Strict
from emulation.jsonl import read_lines


class ReplayMiss(ReasonerError):
    """The recorded run was never asked this; the message says what was."""


def exchange(query: Query, reply: Reply, first: bool) -> dict[str, Any]:
    """One exchange as plain data, for the record. The question's last message stands for what was asked.

    `first`: whether its agent's model has answered nothing before; with it stands the system prompt.
    """
    said: dict[str, Any] = {
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
    if query.wanted.form != "program":
        said["form"] = query.wanted.form
    menu = dict((query.wanted.menu if reply.menu is None else reply.menu) or {})
    system = query.messages[0].content if reply.menu is None else menu.pop("system", None)
    if menu:
        said["menu"] = menu
    if reply.served is not None:
        said["served"] = asdict(reply.served)
        if first and system is not None:
            said["system"] = system
    return said


class Recorded(Strict):
    """An exchange as it stands in a record."""

    key: str
    agent: str
    round: CountOrNone
    asked: str
    text: str
    calls: tuple[tuple[str, str, str], ...]
    """Id, name and arguments of each tool call."""
    thinking_s: Seconds
    failure: str | None
    tokens: Annotated[int, Range(0, 1_000_000_000_000, "tokens")]
    injected: str | None = None
    """How it failed by an event of the plan, if it did."""
    form: Form = "program"
    menu: dict[str, Any] | None = None
    """Of a choice, what it was made from: `Wanted.menu`, or `Reply.menu` of a question that was turned into one."""
    served: Served | None = None
    """How a language model came to it."""
    system: str | None = None
    """The first message that its model was sent, of the first question of an agent that a model was asked: those of
    later ones are the same."""


class ReplayLlm:
    """Answers by key, in recorded order where a question was asked more than once."""

    label: ReasonerLabel = "replay"

    def __init__(self, exchanges: Iterable[Recorded]) -> None:
        self._replies: dict[str, deque[Reply]] = defaultdict(deque)
        self._forms: dict[str, Form] = {}
        for one in exchanges:
            self._forms.setdefault(role_of(one.agent), one.form)
            calls = tuple(ToolCall(*call) for call in one.calls)
            menu = one.menu if one.menu is not None and "asked" in one.menu else None
            if menu is not None and one.system is not None:
                menu = {**menu, "system": one.system}
            self._replies[one.key].append(
                Reply(calls, one.text, one.thinking_s, one.failure, one.tokens, one.served, menu)
            )

    @classmethod
    def read(cls, record: Path) -> Self:
        """From a run's record, or any file of JSON lines that are exchanges.

        Raises `OSError`, or `ValueError` if it holds no exchange.
        """
        exchanges = list(chain(*read_lines(record, _exchanges)))
        if not exchanges:
            raise ValueError(f"{record}: no exchange with a reasoner is recorded there")
        return cls(exchanges)

    def form(self, agent: str) -> Form:
        """As it was asked then. An agent that was not had one option at a time: in free form it would have asked."""
        role = role_of(agent)
        return self._forms.get(role, "program" if role == "meta" else "choice")

    def ask(self, query: Query) -> Reply:
        """What was answered then. Raises `ReplayMiss` if this was not asked (often enough) then."""
        replies = self._replies.get(query.key())
        if not replies:
            cause = query.situation.get("cause", "")
            raise ReplayMiss(
                f"{query.agent} invocation {query.number}, round {query.round} ({cause}): not in the recording"
            )
        return replies.popleft()


def role_of(agent: str) -> str:
    """planner, scheduler, deployer or meta."""
    return agent.partition(":")[0]


def _exchanges(line: bytes) -> list[Recorded]:
    """The exchange on a line of a record or a recording; none for one that was put in by hand.

    Raises `ValueError` for an exchange that is not as it was recorded.
    """
    if b'"key"' not in line:
        return []
    row = orjson.loads(line)
    if not isinstance(row, dict):
        return []
    choice = row.get("choice")
    held = choice.get("exchange") if isinstance(choice, dict) else row if "key" in row else None
    if held is None:
        return []
    found = Recorded.model_validate(held)
    return [] if found.injected else [found]
