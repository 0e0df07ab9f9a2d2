"""The language model behind an OpenAI-compatible URL: one question in, one reply out, however its server behaves.

The one file of `controller` that looks at the wall clock: a live model's thinking time is measured here, and charged as
virtual seconds (so it forces speedup 1). A question is put at most `attempts` times; what its server refuses of it is
left out; 429 and `Retry-After` hold back every agent of the run. What fails becomes a `Reply` that says how. Only what
will never get better (a key that is refused, a model that is not there) is a `ReasonerError`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from typing import Any
from weakref import finalize

from controller.agents.account import Account
from controller.agents.answer_cache import AnswerCache
from controller.agents.llm import BUDGET, Form, Query, ReasonerError, Reply, Served, ToolCall
from controller.agents.openai_config import OpenAiConfig
from controller.agents.reasoner import OPENAI, ReasonerLabel
from controller.agents.said import aloud, count, reasoning_tokens, refusal, retry_after_s, utf8
from controller.agents.server import Server, size_told, too_long
from controller.agents.survey import PREFLIGHT, look_at, look_for_tools

DETAIL_CHARS = 300
"""Of what a server said of a failure."""
LEAST_ANSWER_TOKENS = 16
"""Of an answer; a question that leaves less room in the window is not sent."""
_HOPELESS = {
    401: "set OPENAI_API_KEY",
    403: "the key may not use it",
    404: "see EDGEBED_LLM_BASE_URL and _MODEL",
}


@cache
def server_of(url: str, model: str) -> Server:
    """The one record of a server and model in this process."""
    return Server(url, parameters=size_told(model))


@dataclass(slots=True)
class _Tries:
    """What the requests of one question came to so far."""

    requests: int = 0
    lost_tokens: int = 0
    detail: str = ""


class OpenAiLlm:
    """A model behind any OpenAI-compatible URL; where and which is configuration or environment (`OpenAiConfig`)."""

    label: ReasonerLabel = OPENAI

    def __init__(self, config: OpenAiConfig | None = None, account: Account | None = None) -> None:
        self.config = config or OpenAiConfig()
        self.account = account or Account()
        self._server: Server | None = None
        self._client: Any = None
        self._deadline: Any = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_client": None, "_deadline": None}

    @property
    def server(self) -> Server:
        """What is known of its server; of one that was pickled, as it was known then."""
        if self._server is None:
            self._server = server_of(self.config.url_told, self.config.model_name)
        return self._server

    @property
    def model(self) -> str:
        """Name of the model, as the server knows it."""
        return self.config.model_name

    def form(self, agent: str) -> Form:
        """choice for a model that is small or sees no tools it needs."""
        with suppress(ConnectionError):  # it may be there when it is asked
            look_at(self)
            if agent == "meta" and not self.server.small:
                look_for_tools(self)
        blind = agent == "meta" and not self.server.shows_tools
        return "choice" if self.server.small or blind else "free"

    # -- asking -----------------------------------------------------------------------------------------------

    def ask(self, query: Query) -> Reply:
        """Ask the model; blocks for as long as it takes, at most `attempts` timeouts and the waits between.

        Raises `ReasonerError` for what will never get better.
        """
        config, spent, began_s = self.config, self.account.spent, time.monotonic()
        if (
            spent.calls >= config.max_calls
            or spent.tokens >= config.max_tokens
            or (config.max_price is not None and spent.price >= config.max_price)
        ):
            return Reply(failure=BUDGET)
        known = None if config.cache is None or query.agent == PREFLIGHT else AnswerCache(config.cache)
        if known is not None and (found := known.find(query, config)) is not None:
            return found
        reply = self._tried(query)
        served = reply.served
        self.account.add(1, reply.tokens, (served.price if served is not None else None) or 0.0)
        reply = replace(reply, thinking_s=time.monotonic() - began_s)
        if known is not None and reply.failure is None:
            known.keep(query, config, reply)
        return reply

    def _tried(self, query: Query) -> Reply:
        tries = _Tries()
        while True:
            wait_s = self.account.closed_until_s - time.monotonic()
            if wait_s > self.config.longest_wait_s:
                return self._told(Reply(failure="http_429"), query, tries)
            if wait_s > 0:
                time.sleep(wait_s)
            reply, wait_again_s = self._once(query, tries)
            if wait_again_s is None or tries.requests >= self.config.attempts:
                return self._told(reply, query, tries)
            time.sleep(wait_again_s)

    def _once(self, query: Query, tries: _Tries) -> tuple[Reply, float | None]:
        """One request: its reply, and how long to wait before another one (None: do not try again)."""
        import openai

        body = self._body(query)
        if body is None:
            return Reply(failure="context"), None
        backoff_s = self.config.backoff_s * 2.0**tries.requests
        tries.requests += 1
        try:
            client = self._connect()
            with self._deadline.within(self.config.timeout_s) as late:
                return self._read(client.chat.completions.create(**body), query), None
        except openai.APIConnectionError as error:
            if late() or isinstance(error, openai.APITimeoutError):
                tries.lost_tokens += self.server.tokens(_chars(query))
                return Reply(failure="timeout"), backoff_s
            tries.detail = self._cleaned(str(error.__cause__ or error))
            return Reply(failure="connection"), backoff_s
        except openai.APIStatusError as error:
            return self._refused(error, body, tries, backoff_s)
        except (openai.APIError, ValueError, TypeError, AttributeError, IndexError, KeyError) as error:
            tries.detail = self._cleaned(f"{type(error).__name__}: {error}")
            tries.lost_tokens += self.server.tokens(_chars(query))
            return Reply(failure="malformed_response"), None

    def _refused(
        self, error: Any, body: dict[str, Any], tries: _Tries, backoff_s: float
    ) -> tuple[Reply, float | None]:
        """A status that is no answer. Raises `ReasonerError` for one that stays."""
        status, failure = int(error.status_code), f"http_{error.status_code}"
        param, said = refusal(error)
        message = self._cleaned(said)
        tries.detail = self.server.detail = message
        if status in (400, 422, 500, 501) and self.server.learn(body, param, message, status):
            tries.requests -= (
                1  # the same question once more, as this server wants it; what may be left out is little
            )
            return Reply(failure=failure), 0.0
        if status == 429 or status >= 500:
            wait_s = retry_after_s(error.response.headers.get("retry-after"), time.time())
            if status == 429 and wait_s:
                self.account.close(time.monotonic() + wait_s)
                return Reply(failure=failure), 0.0
            return Reply(failure=failure), max(backoff_s, min(wait_s, self.config.longest_wait_s))
        if too_long(message):
            return Reply(failure="context"), None
        if status in _HOPELESS or not self.server.answered:
            raise ReasonerError(
                f"reasoner openai: {self.config.url_told} refuses model {self.config.model_name!r} with {status}"
                f" ({message or 'no message'}); {_HOPELESS.get(status, 'see controllers.<agents or meta>.openai')}"
            )
        return Reply(failure=failure), None

    def _body(self, query: Query) -> dict[str, Any] | None:
        """The request as the server takes it; None if the question leaves no room for an answer."""
        config, server, wanted = self.config, self.server, query.wanted
        answer_tokens = config.answer_tokens
        if server.terse and wanted.answer_tokens is not None:
            answer_tokens = min(answer_tokens, wanted.answer_tokens)
        window = config.context_tokens or server.window
        if window is not None:
            answer_tokens = min(answer_tokens, window - server.tokens(_chars(query)))
            if answer_tokens < min(LEAST_ANSWER_TOKENS, config.answer_tokens):
                return None
        body: dict[str, Any] = {
            "model": config.model_name,
            "messages": query.wire(),
            server.limit: answer_tokens,
            "timeout": config.timeout_s,
        }
        if tools := self._offered(query):
            body["tools"] = [dict(tool) for tool in tools]
            if wanted.must_call or not query.may_call:
                body["tool_choice"] = "required" if wanted.must_call else "none"
        if self._holds(query):
            schema = {"name": "answer", "strict": True, "schema": wanted.schema}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        if config.temperature is not None:
            body["temperature"] = config.temperature
        if config.reasoning_effort is not None:
            body["reasoning_effort"] = config.reasoning_effort
        if config.extra_body:
            body["extra_body"] = config.extra_body
        return {name: value for name, value in body.items() if name not in server.left_out}

    # -- answers ----------------------------------------------------------------------------------------------

    def _read(self, answer: Any, query: Query) -> Reply:
        """The first choice of a chat completion. Raises `AttributeError` or `IndexError` on another shape."""
        choice = answer.choices[0]
        message, finish = choice.message, choice.finish_reason
        self.server.answered = True
        calls = tuple(
            ToolCall(utf8(c.id), utf8(c.function.name), utf8(c.function.arguments or "{}"))
            for c in message.tool_calls or ()
            if c.type == "function"
        )
        refused = getattr(message, "refusal", None) or finish == "content_filter"
        failure = "refusal" if refused else "length" if finish == "length" else None
        text = utf8((message.refusal if refused else message.content) or "")
        written = len(text) + len(aloud(message)) + sum(len(c.arguments) + 40 for c in calls)
        asked, said, counted = self._counted(answer.usage, query, written)
        schema = self._holds(query)
        if schema and not refused:
            reasoned = bool(aloud(message)) or reasoning_tokens(answer.usage) > 0
            self.server.wrote(text, reasoned, cut=finish == "length")
        served = Served(
            "", "", utf8(finish or ""), prompt_tokens=asked, answer_tokens=said, schema=schema,
            estimated=not counted,
        )  # fmt: skip
        return Reply(() if failure else calls, text, failure=failure, served=served)

    def _counted(self, usage: Any, query: Query, written: int) -> tuple[int, int, bool]:
        """Tokens of a prompt and its answer of so many characters, and whether its server counted them."""
        chars, asked = _chars(query), count(usage, "prompt_tokens")
        if asked:
            self.server.counted(chars, asked)
            return asked, count(usage, "completion_tokens") or self.server.tokens(written), True
        return self.server.tokens(chars), self.server.tokens(written), False

    def _offered(self, query: Query) -> tuple[Mapping[str, Any], ...]:
        """The tools that its server is told of."""
        return () if "tools" in self.server.left_out else query.tools

    def _holds(self, query: Query) -> bool:
        """Whether the server is to hold the answer to its schema: not where a tool may be called instead."""
        text = query.wanted.schema is not None and not (self._offered(query) and query.may_call)
        return text and "response_format" not in self.server.left_out

    def _told(self, reply: Reply, query: Query, tries: _Tries) -> Reply:
        """The reply with how it came about."""
        config, found = self.config, reply.served or Served("", "")
        asked = found.prompt_tokens + tries.lost_tokens
        served = replace(
            found, model=config.model_name, url=config.url_told, retries=max(tries.requests - 1, 0),
            lost_tokens=tries.lost_tokens, price=config.price(asked, found.answer_tokens),
            detail=tries.detail if reply.failure is not None else "",
        )  # fmt: skip
        return replace(reply, served=served, tokens=asked + found.answer_tokens)

    # -- the server -------------------------------------------------------------------------------------------

    def listed(self) -> list[dict[str, Any]] | None:
        """What the server lists of its models; None if it has no list. Raises `ConnectionError`: nobody is there."""
        import openai

        try:
            client = self._connect().with_options(timeout=self.config.timeout_s)
            with self._deadline.within(self.config.timeout_s):
                found = client.models.list()
            return [one.model_dump() for one in found.data]
        except openai.APIConnectionError as error:
            raise ConnectionError(self._cleaned(str(error.__cause__ or error))) from error
        except (openai.APIError, ValueError, TypeError, AttributeError):
            return None

    def _cleaned(self, text: str) -> str:
        """What a server or its client said, on one line, short, and without secrets."""
        return utf8(self.config.without_secrets(" ".join(text.split())))[:DETAIL_CHARS]

    def _connect(self) -> Any:
        if self._client is None:
            from openai import DefaultHttpxClient, OpenAI

            from controller.agents.deadline import Deadline

            self._deadline = Deadline()
            http = DefaultHttpxClient(event_hooks=self._deadline.hooks())
            self._client = OpenAI(
                base_url=self.config.base_url or os.environ.get("EDGEBED_LLM_BASE_URL"),
                api_key=os.environ.get("OPENAI_API_KEY") or "none",
                max_retries=0,
                http_client=http,
            )
            finalize(self._client, http.close)
        return self._client


def _chars(query: Query) -> int:
    """Characters of a question, tools included."""
    tools = len(getattr(query.tools, "text", "")) or sum(len(str(tool)) for tool in query.tools)
    return tools + sum(
        len(m.content) + sum(len(c.arguments) + 40 for c in m.calls) + 12 for m in query.messages
    )
