"""Admission: whether a client may ask, whether a run answers, and what request its ask becomes."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from math import inf

from emulation.domain.cluster import Modality, ModelSpec, TestbedConfig
from emulation.domain.request import Request
from emulation.domain.request_id import may_be_given
from serve_apps.gateway.dispatch import Dispatcher
from serve_apps.gateway.http import CHALLENGE, ONCE, Exchange, HttpError
from serve_apps.gateway.names import NameTaken
from serve_apps.gateway.openai.bodies import MOST_PROMPT
from serve_apps.gateway.quota import Quotas
from serve_apps.gateway.server.settings import HttpSettings
from serve_apps.wire.ask import TOO_LONG, USUAL_TOKENS, Ask, BadAsk
from serve_apps.wire.calls import Unreached
from serve_apps.wire.secret import Secret
from workloads.lengths import payload_bytes

_IMAGES = "/v1/images/generations"
_COMPLETIONS = "/v1/completions"
_TENANT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]{0,63}", re.ASCII)
_SOON = ((b"retry-after", b"1"),)


class Admission:
    """Checks of every request under `/v1`. `current` gives the run in progress, or None between runs."""

    def __init__(
        self,
        current: Callable[[], Dispatcher | None],
        api_key: Secret | None = None,
        quotas: Quotas | None = None,
    ) -> None:
        self._current = current
        self._api_key = api_key
        self.quotas = quotas or Quotas(HttpSettings(), time.monotonic)

    def authorise(self, exchange: Exchange) -> None:
        """Raises `HttpError` 401 without the key, if there is one."""
        if self._api_key is not None and not exchange.bears(self._api_key):
            message = "missing or wrong API key; send `Authorization: Bearer <key>`"
            raise HttpError(401, message, "authentication_error", code="invalid_api_key", headers=CHALLENGE)

    def dispatcher(self) -> Dispatcher:
        """The run in progress. Raises `HttpError` 503 between runs."""
        dispatcher = self._current()
        if dispatcher is None:
            raise HttpError(503, "no run is in progress", "server_error", code="not_ready", headers=_SOON)
        return dispatcher

    def model(self, model_id: str) -> ModelSpec:
        """A model of the run's testbed. Raises `HttpError` 404 if it has none of this name."""
        for spec in self.dispatcher().run.testbed.models:
            if spec.id == model_id:
                return spec
        message = f"the model {model_id[:80]!r} does not exist"
        raise HttpError(404, message, param="model", code="model_not_found")

    async def let_into_the_shadow(self, scheme: str) -> None:
        """Have a scheme decide in the shadow from now on, if it does not already.

        Raises `BadAsk` if it cannot, `HttpError` 503 while the process that would build it does not answer.
        """
        dispatcher = self.dispatcher()
        try:
            await dispatcher.shadows.let_in(scheme, lambda: dispatcher.fast_path)
        except Unreached as error:
            message = f"the controllers of {scheme} are not there yet: {error}"
            raise HttpError(503, message, "server_error", code="not_ready", headers=_SOON) from error

    @contextmanager
    def admitted(self, exchange: Exchange, ask: Ask) -> Iterator[tuple[Dispatcher, Request]]:
        """Who serves an ask, and the request it becomes; its client's name for it is taken until it is over.

        Raises `HttpError`, or `BadAsk` for a bad ask or header.
        """
        dispatcher, asked = self.charged(exchange, ask)
        try:
            with dispatcher.names.claimed(asked.id) as request_id:
                yield dispatcher, asked if request_id == asked.id else replace(asked, id=request_id)
        except NameTaken as error:
            message = f"request {asked.id!r} is in flight"
            wrong = {"param": "X-Request-ID", "code": "duplicate_request"}
            raise HttpError(409, message, headers=ONCE, **wrong) from error

    def charged(self, exchange: Exchange, ask: Ask) -> tuple[Dispatcher, Request]:
        """Who would serve an ask, and the request it would become, under its client's name, which stays free.

        It counts against its client's quota. Raises as `admitted` does.
        """
        dispatcher = self.dispatcher()
        run, records = dispatcher.run, dispatcher.records
        if records.full:  # what is asked now could not be recorded
            raise HttpError(503, records.trouble, "server_error", code="records_full", headers=_SOON)
        spec = self.model(ask.model)
        _check_modality(ask, spec.modality, exchange.scope["path"])
        _check_length(ask, spec)
        given = _name(exchange)
        by_tokens = spec.features == "tokens"
        prompt_tokens = ask.prompt_tokens * ask.each if by_tokens else 0
        limit = None if ask.max_tokens is None else ask.max_tokens * ask.prompts
        up_bytes, down_bytes = payload_bytes(spec, ask.prompts, prompt_tokens, limit)
        arrival_s = _intended(exchange, dispatcher.clock.now_s())
        known = limit if by_tokens and run.length_knowledge != "predicted" else None
        origin, tenant = _origin(exchange, [n.id for n in run.testbed.nodes]), _tenant(exchange)
        self.quotas.spend(exchange, tokens_of(ask, spec, run.testbed))  # nothing of it is wrong
        return dispatcher, Request(
            id=given,
            model=ask.model,
            origin=origin,
            arrival_s=arrival_s,
            deadline_s=inf if run.deadline_s is None else arrival_s + run.deadline_s,
            prompts=ask.prompts,
            prompt_tokens=prompt_tokens,
            known_output_tokens=None if known is None else float(known),
            up_bytes=up_bytes,
            down_bytes=down_bytes,
            tenant=tenant,
        )


def _check_modality(ask: Ask, modality: Modality, path: str) -> None:
    if (modality == "image") != (path == _IMAGES):
        where = _IMAGES if modality == "image" else "/v1/chat/completions"
        article = "an" if modality == "image" else "a"
        raise BadAsk(f"model {ask.model!r} is {article} {modality} model: use {where}", "model")
    if modality == "caption" and path == _COMPLETIONS:
        raise BadAsk(f"model {ask.model!r} captions images: use /v1/chat/completions", "model")
    if modality == "caption" and ask.images == 0:
        raise BadAsk(f"model {ask.model!r} captions images: give at least one image_url part", ask.said_in)
    if modality == "text" and ask.images:
        raise BadAsk(f"model {ask.model!r} reads text only: it cannot take image_url parts", ask.said_in)


def _check_length(ask: Ask, spec: ModelSpec) -> None:
    """Raises `BadAsk` for a prompt that does not fit into the model's context beside its answer."""
    if ask.prompt_tokens > MOST_PROMPT:
        raise BadAsk(f"more than {MOST_PROMPT} tokens of prompt in one request", ask.said_in, TOO_LONG)
    answer = max(ask.max_tokens or 0, ask.min_tokens, 1)
    if spec.context_tokens is None or ask.longest_tokens + answer <= spec.context_tokens:
        return
    message = (
        f"the model {spec.id!r} has a context of {spec.context_tokens} tokens; {ask.longest_tokens} of prompt and "
        f"{answer} of answer were asked for"
    )
    fits = ask.longest_tokens < spec.context_tokens
    raise BadAsk(message, ask.limited_in if fits else ask.said_in, TOO_LONG)


def tokens_of(ask: Ask, spec: ModelSpec, testbed: TestbedConfig) -> int:
    """What counts against its quota: its prompts, as often as each is answered, and what answers may have."""
    answer = ask.max_tokens
    if answer is None:
        usual, entries = USUAL_TOKENS[spec.modality], testbed.backends
        told = [
            entry.settings.get("max_tokens", usual) for entry in entries if entry.model in (None, spec.id)
        ]
        answer = max((most for most in told if isinstance(most, int)), default=usual)
        if spec.context_tokens is not None:
            answer = min(answer, spec.context_tokens - ask.longest_tokens)
    return ask.prompt_tokens * ask.each + ask.prompts * max(answer, ask.min_tokens)


def _name(exchange: Exchange) -> str:
    """What the client calls its request, or what we call it if it says nothing; the answer carries it."""
    given = exchange.header(b"x-request-id")
    if given is not None and not may_be_given(given):
        raise BadAsk("X-Request-ID must be 1 to 128 letters, digits or _.:/-", "X-Request-ID")
    return exchange.request_id.decode()


def _origin(exchange: Exchange, nodes: list[str]) -> str:
    given = exchange.header(b"x-edge-origin")
    if given is None:
        return nodes[0]
    if given not in nodes:
        raise BadAsk(f"X-Edge-Origin names unknown node {given[:80]!r}; known: {nodes}", "X-Edge-Origin")
    return given


def _tenant(exchange: Exchange) -> str | None:
    """On whose behalf the client asks, by its own word."""
    given = exchange.header(b"x-edge-tenant")
    if given is not None and not _TENANT.fullmatch(given):
        raise BadAsk(
            "X-Edge-Tenant must be 1 to 64 letters, digits or ._- that begin with a letter or digit",
            "X-Edge-Tenant",
        )
    return given


def _intended(exchange: Exchange, now_s: float) -> float:
    """When the client meant to send it, virtual seconds; never later than now."""
    given = exchange.header(b"x-edge-intended-s")
    if given is None:
        return now_s
    try:
        intended_s = float(given)
    except ValueError:
        intended_s = -1.0
    if not 0 <= intended_s < inf:
        raise BadAsk("X-Edge-Intended-S must be virtual seconds >= 0", "X-Edge-Intended-S")
    return min(intended_s, now_s)
