"""A request as an OpenAI-compatible HTTP call, and what its answer says. No socket and no clock.

What is sent depends on the request and the limit its client states, never on the truth: the true output
length is in no header and no body.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from emulation.domain.cluster import ModelSpec
from emulation.domain.request import OUTCOMES, Outcome, Request
from emulation.domain.request_id import of_load
from emulation.png import png

IMAGE_SIZE = "256x256"
"""Size asked of image models."""
BATCH_MAX_TOKENS = 64
"""Limit per prompt of a text batch (feature `prompts`), whose service law knows no tokens."""
_WORDS = ("the", "edge", "of", "a", "network", "serves", "what", "is", "near")
_STATUS: dict[int, Outcome] = {408: "expired", 429: "rejected", 504: "expired"}


@dataclass(frozen=True, slots=True)
class HttpCall:
    """One POST, ready to send."""

    path: str
    headers: Mapping[str, str]
    body: bytes
    stream: bool
    answers: int | None = None
    """Answers a complete reply holds, where its form says so (completions, images)."""


def is_streamed(request_id: str, share: float) -> bool:
    """Whether a text request asks for a stream: a fixed property of its id, true for `share` of all ids."""
    digest = hashlib.blake2b(f"stream/{request_id}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") < share * 2**64


def build_call(
    request: Request,
    model: ModelSpec,
    max_tokens: int | None,
    stream_share: float = 0.0,
    api_key: str | None = None,
    load_id: str = "",
    intended_s: float | None = None,
) -> HttpCall:
    """The HTTP call of a request.

    `max_tokens`: limit its client states; `stream_share`: of text requests; `load_id`: of the load it is part of;
    `intended_s`: when it was meant to leave, by the virtual clock of the testbed it is sent to, where that is known.
    """
    stream = model.modality == "text" and model.features == "tokens" and is_streamed(request.id, stream_share)
    path, payload, answers = _payload(request, model, max_tokens)
    if stream:
        payload |= {"stream": True, "stream_options": {"include_usage": True}}
    headers = {
        "Content-Type": "application/json",
        "Accept": "text/event-stream" if stream else "application/json",
        "Accept-Encoding": "identity",
        "X-Request-ID": of_load(load_id, request.id),
        "X-Edge-Origin": request.origin,
    }
    if request.tenant is not None:
        headers["X-Edge-Tenant"] = request.tenant
    if intended_s is not None:
        headers["X-Edge-Intended-S"] = repr(intended_s)
    if api_key:
        headers["Authorization"] = f"Bearer {api_key}"
    return HttpCall(path, headers, json.dumps({"model": request.model, **payload}).encode(), stream, answers)


def _payload(
    request: Request, model: ModelSpec, max_tokens: int | None
) -> tuple[str, dict[str, Any], int | None]:
    limit = {} if max_tokens is None else {"max_tokens": max_tokens}
    if model.modality == "image":
        asked = {"prompt": words(12), "n": request.prompts, "size": IMAGE_SIZE, "response_format": "b64_json"}
        return "/v1/images/generations", asked, request.prompts
    if model.modality == "caption":
        text = {"type": "text", "text": words(request.prompt_tokens) or "Describe the image."}
        image = {"type": "image_url", "image_url": {"url": tiny_png_uri()}}
        message = {"role": "user", "content": [text, *[image] * request.prompts]}
        return "/v1/chat/completions", {"messages": [message], **limit}, None
    if model.features == "prompts":
        batch = {"prompt": [words(12)] * request.prompts, "max_tokens": BATCH_MAX_TOKENS}
        return "/v1/completions", batch, request.prompts
    message = {"role": "user", "content": words(request.prompt_tokens)}
    return "/v1/chat/completions", {"messages": [message], **limit}, None


def words(count: int) -> str:
    """Text of exactly `count` words separated by blanks: one token each to an emulated replica."""
    return " ".join(_WORDS[i % len(_WORDS)] for i in range(count))


@cache
def tiny_png_uri() -> str:
    """A grey 8 x 8 PNG as a data URI."""
    return "data:image/png;base64," + base64.b64encode(png(8, 8)).decode()


@dataclass(slots=True)
class Answer:
    """What a reply has said so far. Feed it a whole JSON body, or the lines of a stream one by one."""

    call: HttpCall
    status: int
    output_tokens: int | None = None
    error: str | None = None
    finished: bool = False
    _code: str | None = field(default=None, repr=False)

    def body(self, raw: bytes) -> None:
        """The whole body of a reply that is not a stream (errors included)."""
        self._message(raw)
        self.finished = self.error is None and self.status < 400

    def line(self, raw: bytes) -> bool:
        """One line of a server-sent event stream; true if it carries generated text."""
        name, _, data = raw.strip().partition(b":")
        if name != b"data":
            return False
        if data.strip() == b"[DONE]":
            self.finished = self.error is None
            return False
        choices = self._message(data).get("choices") or []
        return any((c.get("delta") or {}).get("content") for c in choices if isinstance(c, dict))

    def outcome(self) -> Outcome:
        """End of the request as the client sees it: the server's word where it gave one, else by status."""
        if self._code is not None:
            return next((o for o in OUTCOMES if o == self._code), _STATUS.get(self.status, "error"))
        if self.status >= 400:
            return _STATUS.get(self.status, "error")
        if not self.finished:
            self.error = self.error or "the stream ended without [DONE]"
        return "done" if self.error is None else "error"

    def _message(self, raw: bytes) -> dict[str, Any]:
        try:
            message = json.loads(raw)
        except ValueError:
            message = None
        if not isinstance(message, dict):
            self.error = f"not OpenAI's interface, the answer is no JSON object: {_shown(raw)}"
            return {}
        problem = message.get("error")
        if problem or self.status >= 300:
            problem = problem if isinstance(problem, dict) else {"message": problem or _stray(message)}
            self.error, self._code = str(problem.get("message") or _shown(raw)), str(problem.get("code"))
        else:
            self._count(message)
        return message

    def _count(self, message: dict[str, Any]) -> None:
        usage = message.get("usage")
        if isinstance(usage, dict) and isinstance(usage.get("completion_tokens"), int):
            self.output_tokens = usage["completion_tokens"]
        if self.call.stream:
            return
        expected = self.call.answers
        found = message.get("data", message.get("choices"))
        if not isinstance(found, list) or not found:
            shown = _shown(json.dumps(message).encode())
            self.error = f"not OpenAI's interface, the answer has no choices: {shown}"
        elif expected is not None and len(found) != expected:
            self.error = f"{len(found)} answers of {expected}"


def _shown(raw: bytes) -> str:
    """The beginning of an answer that was not understood, on one line."""
    text = " ".join(raw[:400].decode(errors="replace").split())
    return repr(text if len(text) <= 80 else text[:80] + "...")


def _stray(message: Mapping[str, Any]) -> Any:
    """What servers of other habits call the message of an error."""
    return message.get("message") or message.get("detail")
