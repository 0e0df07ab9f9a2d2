"""One answer: strict JSON out of a dialogue with a reasoner; every exchange kept for the audit trail.

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

from controller.agents.llm import LLM, PLAIN, UNANSWERED, Message, Query, ReasonerError, Reply, Wanted
from controller.agents.loop import Dialogue, RunTool, Thought, think
from controller.agents.tools import Result, Tool
from emulation.domain.actions import Choice, CommandT, Exchange
from emulation.domain.ports import Decider

MAX_FAULTS = 8
"""Faults of one answer that are named."""
MAX_TEXT = 100_000
"""Characters of an answer that are read at all."""
REASON_CHARS = 300
_FENCE = re.compile(r"\A```(?:json|JSON)?[ \t]*\n(.*)```\Z", re.DOTALL)
_THOUGHT = re.compile(r"\A(?:<(think|thinking)>.*?</\1>|(?![{`]).*?</(?:think|thinking)>)", re.DOTALL)
"""What models that reason aloud write before their answer; of some the opening tag stands in the prompt already."""


class Answer(BaseModel):
    """Base of what agents answer: nothing may be missing, added or coerced; numbers are finite."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    reason: str = Field(default="", description="One short sentence: why.")


AnswerT = TypeVar("AnswerT", bound=Answer)


class NoAnswer(ValueError):
    """There is no valid answer: `violations` say what was wrong last; the rest as in a `Choice`."""

    def __init__(
        self,
        violations: Sequence[str],
        thinking_s: float | None = None,
        exchanges: tuple[Exchange, ...] = (),
    ) -> None:
        super().__init__("; ".join(violations))
        self.violations = tuple(violations)
        self.thinking_s = thinking_s
        self.exchanges = exchanges


def _no_tool(name: str, arguments: Any) -> Result:
    raise AssertionError(f"tool {name} is not offered")


@dataclass(frozen=True, slots=True)
class Toolbox:
    """What an agent may call on the way to its answer."""

    tools: Mapping[str, Tool] = field(default_factory=dict)
    run: RunTool = _no_tool


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
        self.llm = llm
        self._repairs = repairs
        self._max_rounds = max_rounds
        self._count = 0
        self._cause = ""
        self._served = False
        """Whether a language model has replied to any question of this agent."""
        self._out: Query | None = None
        """The question that is not answered yet."""

    @property
    def label(self) -> str:
        """What thinks here."""
        return self.llm.label

    def begin(self, cause: str) -> None:
        """Another decision: forget the exchanges of the last one."""
        self.exchanges, self.thinking_s, self._cause, self._out = (), 0.0, cause, None
        self._count += 1

    def ask(
        self,
        system: str,
        user: str,
        kind: type[AnswerT],
        check: Callable[[AnswerT], list[str]],
        toolbox: Toolbox | None = None,
        wanted: Wanted = PLAIN,
    ) -> AnswerT:
        """A valid answer. `check` says what is wrong with one that parses, `wanted` what it is to look like.

        Raises `NoAnswer`; `ReasonerError` where a script ends or a replay was never asked this.
        """
        box = toolbox or Toolbox()
        dialogue = Dialogue(
            self.agent, self._count, (Message("system", system), Message("user", user)), box.tools,
            {"cause": self._cause}, self._max_rounds, lambda reply: _read(reply, kind, check), self._repairs, wanted,
        )  # fmt: skip
        violations: tuple[str, ...] = ()
        try:
            while not dialogue.over:
                violations = self._exchange(dialogue, box.run)
        except ReasonerError:
            raise
        except Exception as error:  # what was said until then belongs into the record all the same
            violations = (f"{self.agent} raised {type(error).__name__}: {error}",)
        if dialogue.answer is None:
            raise NoAnswer(violations, self.thinking_s, self.exchanges)
        answer: AnswerT = dialogue.answer
        return answer

    def _exchange(self, dialogue: Dialogue, run: RunTool) -> tuple[str, ...]:
        """One question and its reply; what was wrong with it."""
        query = self._out = dialogue.query()
        thought = think(self.llm, query, self.outage)
        self.thinking_s += thought.thinking_s
        turn = dialogue.take(thought.reply, run)
        results = tuple(one.content() for one in turn.called)
        said = thought.exchange(query, first=not self._served)
        self._served = self._served or "served" in said
        if "menu" in said:
            said["menu"] = {**said["menu"], "chosen": getattr(dialogue.answer, "choice", None)}
        self.exchanges += (Exchange(said, self.label, results, turn.violations),)
        self._out = None
        return turn.violations

    def unanswered(self, waited_s: float) -> tuple[Exchange, ...]:
        """The exchanges of the present decision, that of the question that is out for `waited_s` as one without an
        answer; none where no question is out. May be called while another thread asks."""
        out, before = self._out, self.exchanges
        if out is None or out is not self._out:  # answered at this very moment
            return ()
        thought = Thought(Reply(failure=UNANSWERED, thinking_s=waited_s))
        return (
            *before,
            Exchange(thought.exchange(out, first=not self._served), self.label, (), (UNANSWERED,)),
        )


class ReasonedDecider(Decider[CommandT]):
    """Base of deciders that ask a reasoner for their command. They raise `NoAnswer` where that comes to nothing."""

    asks_reasoner = True

    def __init__(self, asker: Asker) -> None:
        self.asker = asker

    def begin(self, cause: str) -> None:
        """Another decision, with exchanges of its own."""
        self.asker.begin(cause)

    def outage(self, failure: str | None) -> None:
        """Every question fails in this way from now on; None: it is answered again."""
        self.asker.outage = failure

    def unanswered(self, waited_s: float) -> tuple[Exchange, ...]:
        """What was asked for the present decision, if a question is out."""
        return self.asker.unanswered(waited_s)

    def chosen(self, command: CommandT, answer: Answer) -> Choice[CommandT]:
        """The command made of an answer, for the reason the model gave, with all that was said on the way."""
        said = " ".join(answer.reason.split())[:REASON_CHARS]
        return Choice(command, said or "no reason given", self.asker.thinking_s, self.asker.exchanges)


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
    """One JSON object, alone or in a code block, after any thinking aloud. Raises `ValueError`, a fault per line."""
    if len(text) > MAX_TEXT:
        raise ValueError(f"the answer has {len(text)} characters, {MAX_TEXT} at most are read")
    bare = _THOUGHT.sub("", text.lstrip(), count=1).strip()
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
    by_name = dict(pairs)
    if len(by_name) < len(pairs):
        names = [name for name, _ in pairs]
        doubled = sorted({name for name in names if names.count(name) > 1})
        raise ValueError(f"key {doubled[0]!r} appears twice in one object")
    return by_name


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON number")


def _fault(error: Any) -> str:
    where = ".".join(str(part) for part in error["loc"])
    what = "unknown key" if error["type"] == "extra_forbidden" else str(error["msg"])
    return f"{where}: {what}" if where else what


def _shortened(faults: Sequence[str]) -> tuple[str, ...]:
    if len(faults) <= MAX_FAULTS:
        return tuple(faults)
    return (*faults[:MAX_FAULTS], f"and {len(faults) - MAX_FAULTS} more")
