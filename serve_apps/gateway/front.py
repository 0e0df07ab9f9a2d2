"""The OpenAI-compatible front: bodies to requests, answers to bodies. Knows HTTP; knows nothing of Ray."""

from __future__ import annotations

import asyncio
import base64
import hmac
import re
import time
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine
from math import inf
from typing import Any, TypeVar

import orjson
from pydantic import ValidationError

from emulation.domain.request import Request
from serve_apps.gateway import openai_api as api
from serve_apps.gateway.dispatch import Dispatcher
from serve_apps.gateway.flight import Refused
from serve_apps.gateway.http import Exchange, Handler, HttpError
from serve_apps.gateway.openapi import describe
from serve_apps.gateway.sse import (
    chat_events,
    completion_events,
    finish_reason,
    response_object,
    responses_events,
    usage,
)
from serve_apps.wire.ask import Ask, BadAsk
from serve_apps.wire.messages import Answer
from serve_apps.wire.secret import Secret
from workloads.lengths import payload_bytes

BodyT = TypeVar("BodyT", bound=api.Body)
_ID = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_.:/\-]{0,127}$")
_STATUS = {"expired": 408, "error": 503, "aborted": 503}
"""Ends that are not 503 as such; none of the others is the server's own fault either."""


class Front:
    """Handlers of the gateway's paths. `current` gives the run's dispatcher, or None between runs."""

    def __init__(self, current: Callable[[], Dispatcher | None], api_key: Secret | None = None) -> None:
        self._current = current
        self._api_key = None if api_key is None else api_key.value

    def routes(self) -> dict[str, dict[str, Handler]]:
        """Path to method to handler."""
        return {
            "/v1/chat/completions": {"POST": self.chat},
            "/v1/completions": {"POST": self.completions},
            "/v1/images/generations": {"POST": self.images},
            "/v1/responses": {"POST": self.responses},
            "/v1/models": {"GET": self.models},
            "/v1/models/{model}": {"GET": self.model},
            "/openapi.json": {"GET": self.openapi},
        }

    # -- endpoints -------------------------------------------------------------------------------------

    async def chat(self, exchange: Exchange) -> None:
        """`POST /v1/chat/completions`."""
        body = await self._body(exchange, api.ChatBody)
        dispatcher, request, ask = self._admit(exchange, _ask(api.ask_chat, body))
        if ask.stream:
            events = chat_events(dispatcher.stream(request, ask), request, ask, int(time.time()))
            await self._stream(exchange, events)
            return
        answer = await self._wait(exchange, dispatcher.answer(request, ask))
        contents = answer.texts if ask.images == 0 else ("\n".join(answer.texts),)
        choices = [
            {
                "index": i,
                "message": {"role": "assistant", "content": text, "refusal": None},
                "logprobs": None,
                "finish_reason": finish_reason(answer, ask, i),
            }
            for i, text in enumerate(contents)
        ]
        await self._reply(exchange, "chat.completion", "chatcmpl", request, ask, answer, choices)

    async def completions(self, exchange: Exchange) -> None:
        """`POST /v1/completions`."""
        body = await self._body(exchange, api.CompletionBody)
        dispatcher, request, ask = self._admit(exchange, _ask(api.ask_completion, body))
        if ask.stream:
            events = completion_events(dispatcher.stream(request, ask), request, ask, int(time.time()))
            await self._stream(exchange, events)
            return
        answer = await self._wait(exchange, dispatcher.answer(request, ask))
        texts = answer.texts * ask.prompts if len(answer.texts) == 1 else answer.texts
        choices = [
            {"index": i, "text": text, "logprobs": None, "finish_reason": finish_reason(answer, ask, i)}
            for i, text in enumerate(texts)
        ]
        await self._reply(exchange, "text_completion", "cmpl", request, ask, answer, choices)

    async def images(self, exchange: Exchange) -> None:
        """`POST /v1/images/generations`."""
        body = await self._body(exchange, api.ImageBody)
        dispatcher, request, ask = self._admit(exchange, _ask(api.ask_images, body))
        answer = await self._wait(exchange, dispatcher.answer(request, ask))
        coded = [base64.b64encode(image).decode() for image in answer.images]
        if body.response_format == "url":
            data = [{"url": f"data:image/png;base64,{image}"} for image in coded]
        else:
            data = [{"b64_json": image} for image in coded]
        await exchange.reply(200, orjson.dumps({"created": int(time.time()), "data": data}))

    async def responses(self, exchange: Exchange) -> None:
        """`POST /v1/responses`."""
        body = await self._body(exchange, api.ResponsesBody)
        dispatcher, request, ask = self._admit(exchange, _ask(api.ask_responses, body))
        if ask.stream:
            await self._stream(
                exchange, responses_events(dispatcher.stream(request, ask), request, ask, int(time.time()))
            )
            return
        answer = await self._wait(exchange, dispatcher.answer(request, ask))
        await exchange.reply(200, orjson.dumps(response_object(request, ask, answer, int(time.time()))))

    async def models(self, exchange: Exchange) -> None:
        """`GET /v1/models`."""
        self._authorise(exchange)
        dispatcher = self._running()
        data = [_model_card(m.id) for m in dispatcher.run.testbed.models]
        await exchange.reply(200, orjson.dumps({"object": "list", "data": data}))

    async def model(self, exchange: Exchange) -> None:
        """`GET /v1/models/{model}`."""
        self._authorise(exchange)
        model_id = exchange.scope["path"].removeprefix("/v1/models/")
        if model_id not in {m.id for m in self._running().run.testbed.models}:
            raise _unknown_model(model_id)
        await exchange.reply(200, orjson.dumps(_model_card(model_id)))

    async def openapi(self, exchange: Exchange) -> None:
        """`GET /openapi.json`."""
        await exchange.reply(200, orjson.dumps(describe()))

    # -- from HTTP to a request ------------------------------------------------------------------------

    async def _body(self, exchange: Exchange, shape: type[BodyT]) -> BodyT:
        self._authorise(exchange)
        raw = await exchange.body()
        try:
            return shape.model_validate_json(raw)
        except ValidationError as error:
            raise _bad_body(error) from error

    def _authorise(self, exchange: Exchange) -> None:
        if self._api_key is None:
            return
        given = (exchange.header(b"authorization") or "").removeprefix("Bearer ").strip()
        if not hmac.compare_digest(given.encode(), self._api_key.encode()):
            raise HttpError(401, "missing or wrong API key", "authentication_error", code="invalid_api_key")

    def _running(self) -> Dispatcher:
        dispatcher = self._current()
        if dispatcher is None:
            retry = ((b"retry-after", b"1"),)
            raise HttpError(503, "no run is in progress", "server_error", code="not_ready", headers=retry)
        return dispatcher

    def _admit(self, exchange: Exchange, ask: Ask) -> tuple[Dispatcher, Request, Ask]:
        """Check a body against the testbed and make it a request. Raises `HttpError`."""
        dispatcher = self._running()
        run = dispatcher.run
        spec = next((m for m in run.testbed.models if m.id == ask.model), None)
        if spec is None:
            raise _unknown_model(ask.model)
        try:
            api.check_modality(ask, spec.modality, exchange.scope["path"])
        except BadAsk as error:
            raise HttpError(400, str(error), param=error.param) from error
        request_id = self._request_id(exchange, dispatcher)
        by_tokens = spec.features == "tokens"
        prompt_tokens = ask.prompt_tokens if by_tokens else 0
        up_bytes, down_bytes = payload_bytes(spec, ask.prompts, prompt_tokens, ask.max_tokens)
        arrival_s = self._intended(exchange, dispatcher.clock.now_s())
        known = ask.max_tokens if by_tokens and run.length_knowledge != "predicted" else None
        request = Request(
            id=request_id,
            model=ask.model,
            origin=self._origin(exchange, dispatcher),
            arrival_s=arrival_s,
            deadline_s=inf if run.deadline_s is None else arrival_s + run.deadline_s,
            prompts=ask.prompts,
            prompt_tokens=prompt_tokens,
            known_output_tokens=None if known is None else float(known),
            up_bytes=up_bytes,
            down_bytes=down_bytes,
        )
        return dispatcher, request, ask

    def _request_id(self, exchange: Exchange, dispatcher: Dispatcher) -> str:
        given = exchange.header(b"x-request-id")
        if given is None:
            given = f"x-{uuid.uuid4().hex}"
        elif not _ID.match(given):
            raise HttpError(
                400, "X-Request-ID must be 1 to 128 letters, digits or _.:/-", param="X-Request-ID"
            )
        elif given in dispatcher.flights:
            raise HttpError(
                409, f"request {given!r} is in flight", param="X-Request-ID", code="duplicate_request"
            )
        exchange.request_id = given.encode()
        return given

    def _origin(self, exchange: Exchange, dispatcher: Dispatcher) -> str:
        nodes = dispatcher.run.testbed.nodes
        given = exchange.header(b"x-edge-origin")
        if given is None:
            return nodes[0].id
        if given not in {n.id for n in nodes}:
            message = f"X-Edge-Origin names unknown node {given[:80]!r}; known: {[n.id for n in nodes]}"
            raise HttpError(400, message, param="X-Edge-Origin")
        return given

    def _intended(self, exchange: Exchange, now_s: float) -> float:
        given = exchange.header(b"x-edge-intended-s")
        if given is None:
            return now_s
        try:
            intended_s = float(given)
        except ValueError:
            intended_s = -1.0
        if not 0 <= intended_s < inf:
            raise HttpError(400, "X-Edge-Intended-S must be virtual seconds >= 0", param="X-Edge-Intended-S")
        return min(intended_s, now_s)

    # -- from an answer to HTTP ------------------------------------------------------------------------

    async def _wait(self, exchange: Exchange, serving: Coroutine[Any, Any, Answer]) -> Answer:
        """The answer, unless the client leaves first: then the work is cancelled."""
        work = asyncio.ensure_future(serving)
        gone = asyncio.ensure_future(exchange.gone())
        try:
            await asyncio.wait((work, gone), return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                raise ConnectionError("client left")
            return work.result()
        except Refused as refused:
            raise _refusal(refused) from refused
        finally:
            gone.cancel()
            work.cancel()

    async def _stream(self, exchange: Exchange, events: AsyncIterator[bytes]) -> None:
        work = asyncio.ensure_future(exchange.stream(events))
        gone = asyncio.ensure_future(exchange.gone())
        try:
            await asyncio.wait((work, gone), return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                raise ConnectionError("client left")
            work.result()
        except Refused as refused:
            raise _refusal(refused) from refused
        finally:
            gone.cancel()
            work.cancel()

    async def _reply(
        self,
        exchange: Exchange,
        kind: str,
        prefix: str,
        request: Request,
        ask: Ask,
        answer: Answer,
        choices: list[dict[str, Any]],
    ) -> None:
        body = {
            "id": f"{prefix}-{request.id}",
            "object": kind,
            "created": int(time.time()),
            "model": request.model,
            "choices": choices,
            "usage": usage(ask, answer),
        }
        await exchange.reply(200, orjson.dumps(body))


def _ask(convert: Callable[[BodyT], Ask], body: BodyT) -> Ask:
    try:
        return convert(body)
    except BadAsk as error:
        raise HttpError(400, str(error), param=error.param) from error


def _bad_body(error: ValidationError) -> HttpError:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or None
    message = f"{where}: {first['msg']}" if where else first["msg"]
    return HttpError(400, message, param=where, code="invalid_type" if where else "invalid_json")


def _refusal(refused: Refused) -> HttpError:
    outcome = refused.outcome
    if refused.fault is not None:
        return HttpError(400, str(refused), param=refused.fault)
    retry = ((b"retry-after", str(max(1, round(refused.retry_after_s))).encode()),)
    status = _STATUS.get(outcome, 503)
    return HttpError(
        status, str(refused), "server_error", code=outcome, headers=retry if status == 503 else ()
    )


def _unknown_model(model_id: str) -> HttpError:
    return HttpError(
        404, f"the model {model_id[:80]!r} does not exist", param="model", code="model_not_found"
    )


def _model_card(model_id: str) -> dict[str, Any]:
    return {"id": model_id, "object": "model", "created": 0, "owned_by": "edgebed"}
