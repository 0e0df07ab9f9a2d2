"""What an agent asks and what it is answered: the types every reasoner shares, whoever it is.

The language model behind an OpenAI-compatible URL is in `client.py`. A call that fails returns a `Reply` that says how;
it never raises into a run, but for a `ReasonerError`, after which the run cannot go on.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from controller.agents.reasoner import ReasonerLabel
from emulation.domain.mistakes import Mistake

Role = Literal["system", "user", "assistant", "tool"]

BUDGET = "budget"
"""The failure of a reasoner that may not be asked any more in this run."""

Form = Literal["program", "choice", "free"]
"""In what form a question is put. choice: a few feasible, good options with their estimates, of which one is named by
its number; free: the command is written out; program: to reasoners that are programs."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One tool call as the model wrote it: nothing of it is validated yet."""

    id: str
    name: str
    arguments: str
    """JSON text, or what the model took for it."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a dialogue."""

    role: Role
    content: str
    calls: tuple[ToolCall, ...] = ()
    """Of an assistant."""
    call_id: str | None = None
    """Of a tool: the call it answers."""

    def wire(self) -> dict[str, Any]:
        """As the OpenAI chat completions API takes it."""
        message: dict[str, Any] = {"role": self.role, "content": self.content}
        if self.calls:
            message["tool_calls"] = [
                {"id": c.id, "type": "function", "function": {"name": c.name, "arguments": c.arguments}}
                for c in self.calls
            ]
        if self.call_id is not None:
            message["tool_call_id"] = self.call_id
        return message


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an answer is to look like."""

    form: Form = "program"
    schema: Mapping[str, Any] | None = None
    """JSON schema of the text, built from the types that check it; None: no text is wanted."""
    must_call: bool = False
    """Whether a reply without a tool call is a failure."""
    menu: Mapping[str, Any] | None = None
    """Of a choice, for the record: `options` (how many), `best` (number of the one with the least estimated J, as it
    was shown) and `estimates` (J, success and latency of each)."""
    answer_tokens: int | None = None
    """Tokens that are enough for it where the server holds its model to the schema and the model does not reason before
    it; None, and elsewhere: as many as the configuration gives."""


PLAIN = Wanted()
UNANSWERED = "unanswered"
"""The failure of a question that nobody waited for any more."""


@dataclass(frozen=True, slots=True)
class Query:
    """What a reasoner is asked: the dialogue so far, the tools, and the situation as data."""

    agent: str
    number: int
    """Invocation of this agent in this run, from 1."""
    round: int
    """Tool rounds already answered in this invocation."""
    messages: tuple[Message, ...]
    """Empty where nobody reads them."""
    tools: tuple[Mapping[str, Any], ...]
    """Tool descriptions in the API's format."""
    situation: Mapping[str, Any] = field(default_factory=dict)
    """The same facts the messages state, as plain data: what reasoners that are programs read."""
    wanted: Wanted = PLAIN
    may_call: bool = True
    """Whether one of the tools may be called now; else only the text that is wanted will do."""
    results: tuple[Any, ...] = ()
    """What the tools of the round before answered, in order of their calls, None for a call that failed: what reasoners
    that are programs read of it."""

    def wire(self) -> list[dict[str, Any]]:
        """The messages as the API takes them."""
        return [m.wire() for m in self.messages]

    def key(self) -> str:
        """Digest of agent, messages, tools and answer's schema: the same question has the same key."""
        said = json.dumps([self.agent, self.wire()], sort_keys=True)
        tools = getattr(self.tools, "text", None) or json.dumps(list(self.tools), sort_keys=True)
        schema = self.wanted.schema
        more = "" if schema is None else f", {json.dumps(schema, sort_keys=True)}"
        text = f"{said[:-1]}, {tools}{more}]"
        return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()


@dataclass(frozen=True, slots=True)
class Served:
    """How a language model came to its reply: what stands in the record beside what it said."""

    model: str
    url: str
    """Without user, password and query."""
    finish: str | None = None
    """The server's finish reason; None where there was no answer."""
    retries: int = 0
    """Requests beyond the first."""
    prompt_tokens: int = 0
    answer_tokens: int = 0
    lost_tokens: int = 0
    """Estimated tokens of prompts whose requests timed out, or whose answers could not be read: they were paid for."""
    price: float | None = None
    """Of all these tokens, in the currency of the configured prices; None: no prices are configured."""
    schema: bool = False
    """Whether the server was held to the answer's schema."""
    detail: str = ""
    """What the server said of a failure."""
    estimated: bool = False
    """Whether the tokens are taken from characters, since the server does not count them."""
    cached: bool = False
    """Whether it was answered from the cache: no request was made."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back. No calls and no failure: the reasoner is done."""

    calls: tuple[ToolCall, ...] = ()
    text: str = ""
    thinking_s: float = 0.0
    failure: str | None = None
    """timeout, connection, http_<status>, refusal, malformed_response, length (the answer was cut), context (the
    question is longer than the model's window), budget, no_call, unanswered (nobody waited for it any more); None if it
    answered."""
    tokens: int = 0
    served: Served | None = None
    """Of a language model's."""
    menu: Mapping[str, Any] | None = None
    """What was chosen from, where a question was turned into a choice on the way; as `Wanted.menu`, with the `system`
    prompt and the text that was `asked`, and the number that was `chosen`."""


class ReasonerError(Mistake, LookupError):
    """A reasoner cannot answer and never will, so the run cannot go on: the message says why."""


class LLM(Protocol):
    """Anything that answers a query. Picklable between calls; `ask` may block."""

    @property
    def label(self) -> ReasonerLabel: ...

    def form(self, agent: str) -> Form:
        """In what form this agent's questions are to be put, where the configuration does not say."""
        ...

    def ask(self, query: Query) -> Reply: ...
