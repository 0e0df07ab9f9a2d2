"""What an agent asks and what it is answered, and the language model behind an OpenAI-compatible URL.

The one file of `controller` that may look at the wall clock: a live model's thinking time is measured here, and
charged as virtual seconds (so it forces speedup 1). A call that fails returns a `Reply` that says how; it
never raises into a run.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, Protocol

from controller.agents.reasoner import OPENAI, ReasonerLabel
from emulation.domain.cluster import Strict
from emulation.domain.mistakes import Mistake
from emulation.domain.quantities import Patience, Range, SomeLine, Tokens

Role = Literal["system", "user", "assistant", "tool"]


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
class Query:
    """What a reasoner is asked: the dialogue so far, the tools, and the situation as data."""

    agent: str
    number: int
    """Invocation of this agent in this run, from 1."""
    round: int
    """Tool rounds already answered in this invocation."""
    messages: tuple[Message, ...]
    tools: tuple[Mapping[str, Any], ...]
    """Tool descriptions in the API's format."""
    situation: Mapping[str, Any] = field(default_factory=dict)
    """The same facts the messages state, as plain data: what reasoners that are programs read."""

    def wire(self) -> list[dict[str, Any]]:
        """The messages as the API takes them."""
        return [m.wire() for m in self.messages]

    def key(self) -> str:
        """Digest of agent, messages and tools: the same question has the same key."""
        said = json.dumps([self.agent, self.wire()], sort_keys=True)
        tools = getattr(self.tools, "text", None) or json.dumps(list(self.tools), sort_keys=True)
        text = f"{said[:-1]}, {tools}]"
        return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back. No calls and no failure: the reasoner is done."""

    calls: tuple[ToolCall, ...] = ()
    text: str = ""
    thinking_s: float = 0.0
    failure: str | None = None
    """timeout, connection, http_<status>, refusal, malformed_response, budget; None if it answered."""
    tokens: int = 0


class ReasonerError(Mistake, LookupError):
    """A reasoner that answers from a file has no answer: the run cannot go on."""


class LLM(Protocol):
    """Anything that answers a query. Picklable between calls; `ask` may block."""

    @property
    def label(self) -> ReasonerLabel: ...

    def ask(self, query: Query) -> Reply: ...


class OpenAiConfig(Strict):
    """Where the model is and how patient we are. Wall seconds."""

    base_url: SomeLine | None = None
    """None: EDGEBED_LLM_BASE_URL, and if that is not set, the SDK's own default."""
    model: SomeLine | None = None
    """None: EDGEBED_LLM_MODEL. The key is never configuration: OPENAI_API_KEY."""
    timeout_s: Patience = 20.0
    """Of one HTTP request."""
    attempts: Annotated[int, Range(1, 100, "requests")] = 3
    """Requests per query: timeouts, lost connections, 429 and 5xx are tried again."""
    backoff_s: Annotated[float, Range(0, 3600, "s of wall time")] = 0.5
    """Before the second attempt; doubled for each further one; a `Retry-After` is respected up to 8 s."""
    max_calls: Annotated[int, Range(1, 1_000_000_000, "queries")] = 500
    """Queries per run."""
    max_tokens: Annotated[int, Range(1, 1_000_000_000_000, "tokens")] = 1_000_000
    """Tokens per run, prompts included."""
    answer_tokens: Tokens = 1024
    temperature: Annotated[float, Range(0, 5)] | None = 0.0
    """None: not sent (some models take none)."""


LONGEST_WAIT_S = 8.0


class OpenAiLlm:
    """A model behind any OpenAI-compatible URL; where and which is configuration or environment (`OpenAiConfig`)."""

    label: ReasonerLabel = OPENAI

    def __init__(self, config: OpenAiConfig | None = None) -> None:
        self.config = config or OpenAiConfig()
        self.asked = 0
        self.tokens = 0
        self._client: Any = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_client": None}

    def ask(self, query: Query) -> Reply:
        """Ask the model; blocks for as long as it takes, at most `attempts` timeouts and the waits between."""
        if self.asked >= self.config.max_calls or self.tokens >= self.config.max_tokens:
            return Reply(failure="budget")
        self.asked += 1
        began = time.monotonic()
        reply = Reply(failure="timeout")
        for attempt in range(self.config.attempts):
            reply, wait_s = self._once(query, attempt)
            if wait_s is None:
                break
            if attempt + 1 < self.config.attempts:
                time.sleep(wait_s)
        self.tokens += reply.tokens
        thinking_s = time.monotonic() - began
        return Reply(reply.calls, reply.text, thinking_s, reply.failure, reply.tokens)

    def _once(self, query: Query, attempt: int) -> tuple[Reply, float | None]:
        """One request: its reply, and how long to wait before another one (None: do not try again)."""
        import openai

        backoff_s = self.config.backoff_s * 2.0**attempt
        try:
            return _read(self._connect().chat.completions.create(**self._body(query))), None
        except openai.APITimeoutError:
            return Reply(failure="timeout"), backoff_s
        except openai.APIConnectionError:
            return Reply(failure="connection"), backoff_s
        except openai.APIStatusError as error:
            again = error.status_code == 429 or error.status_code >= 500
            wait_s = max(backoff_s, _retry_after_s(error.response.headers.get("retry-after")))
            return Reply(failure=f"http_{error.status_code}"), wait_s if again else None
        except (openai.APIError, ValueError, TypeError, AttributeError, IndexError):
            return Reply(failure="malformed_response"), None

    def _body(self, query: Query) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": self.config.model or os.environ.get("EDGEBED_LLM_MODEL", ""),
            "messages": query.wire(),
            "max_tokens": self.config.answer_tokens,
            "timeout": self.config.timeout_s,
        }
        if query.tools:
            body["tools"] = [dict(tool) for tool in query.tools]
        if self.config.temperature is not None:
            body["temperature"] = self.config.temperature
        return body

    def _connect(self) -> Any:
        if self._client is None:
            from openai import OpenAI

            self._client = OpenAI(
                base_url=self.config.base_url or os.environ.get("EDGEBED_LLM_BASE_URL"),
                api_key=os.environ.get("OPENAI_API_KEY") or "none",
                max_retries=0,
            )
        return self._client


def missing_settings(config: OpenAiConfig) -> list[str]:
    """Environment variables the `openai` reasoner needs and does not find."""
    need = [] if config.model else ["EDGEBED_LLM_MODEL"]
    if not (config.base_url or os.environ.get("EDGEBED_LLM_BASE_URL")):
        need.append("OPENAI_API_KEY")
    return [name for name in need if not os.environ.get(name)]


def _read(answer: Any) -> Reply:
    """The first choice of a chat completion. Raises `AttributeError` or `IndexError` on another shape."""
    choice = answer.choices[0]
    message = choice.message
    tokens = int(answer.usage.total_tokens) if answer.usage is not None else 0
    if getattr(message, "refusal", None) or choice.finish_reason == "content_filter":
        return Reply(text=_utf8(message.refusal or ""), failure="refusal", tokens=tokens)
    calls = tuple(
        ToolCall(_utf8(c.id), _utf8(c.function.name), _utf8(c.function.arguments or "{}"))
        for c in message.tool_calls or ()
        if c.type == "function"
    )
    return Reply(calls, _utf8(message.content or ""), tokens=tokens)


def _utf8(text: Any) -> str:
    """What a model wrote as text that can be written again: half characters become question marks."""
    return str(text).encode(errors="replace").decode()


def _retry_after_s(header: str | None) -> float:
    try:
        return min(max(float(header or 0.0), 0.0), LONGEST_WAIT_S)
    except ValueError:
        return 0.0
