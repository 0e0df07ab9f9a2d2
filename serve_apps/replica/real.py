"""Backends whose models really run. The walk of one request is told in docs/decisions/0011-real-work.md.

The node's state machine keeps queue and order; this replica computes when it has the turn, at the pace its node
says, and tells the node when the work is over. Threads of their own compute, so that the event loop hears at once of
a new pace, a cancelled request or a node that left; they obey at the next token or step. There is one such thread,
or as many as an engine says it can compute attempts at once (`width`, for engines with continuous batching).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, ClassVar, cast

from pydantic import ValidationError

from emulation.domain.complaints import complaint
from emulation.files import ConfigError
from serve_apps.engines import Engine
from serve_apps.engines.caption import CaptionEngine, CaptionSettings
from serve_apps.engines.decoding import Emit
from serve_apps.engines.gpus import failure
from serve_apps.engines.loading import LoadFacts, RealSettings, check_source
from serve_apps.engines.pacer import Pacer, Stopped
from serve_apps.engines.picture import PictureEngine, PictureSettings
from serve_apps.engines.prompting import TextSettings
from serve_apps.engines.text import TextEngine
from serve_apps.engines.vllm import VllmEngine, VllmSettings
from serve_apps.replica.base import BackendSpec
from serve_apps.vram.actor import VramAccount
from serve_apps.wire.ask import BadAsk
from serve_apps.wire.calls import LONGEST_S, Calls, RayCalls
from serve_apps.wire.messages import Answer, Delta, Piece, Served, Work
from serve_apps.wire.names import app_name, runtime_name

log = logging.getLogger("edgebed")

AGAIN_S = 0.01
"""Wall seconds before a node that did not take the end of some work is told again."""


@dataclass(slots=True)
class _Attempt:
    """One attempt at a request, while it is here."""

    work: Work
    pacer: Pacer
    pieces: list[Piece]
    turn: asyncio.Event = field(default_factory=asyncio.Event)
    """Set while its executor serves it."""
    told: asyncio.Queue[Delta | None] = field(default_factory=asyncio.Queue)
    """New text; None: all is over."""
    told_tokens: int = 0
    """Of the choice that is computed now."""
    served: Served | None = None


class Real:
    """Serves one model that really runs; subclasses say which engine it takes."""

    reads_inputs: ClassVar[bool] = True
    real: ClassVar[bool] = True
    engines: ClassVar[dict[str, tuple[type[RealSettings], Callable[..., Engine]]]] = {}
    """Modality to its settings and engine."""
    libraries: ClassVar[tuple[str, ...]] = ()

    def __init__(self, spec: BackendSpec, calls: Calls | None = None, engine: Engine | None = None) -> None:
        """Loads the model. `calls`, `engine`: instead of Ray's and the configured engine."""
        self._spec = spec
        self._calls: Calls = calls or RayCalls()
        self._node = runtime_name(spec.node)
        if engine is None:
            settings = self.settings_of(spec.model.modality, dict(spec.settings))
            account = VramAccount(app_name(spec.node, spec.model.id), spec.model.vram_gb)
            engine = self.engines[spec.model.modality][1](settings, spec.modes, account)
        self._engine = engine
        self._threads = ThreadPoolExecutor(getattr(engine, "width", 1), thread_name_prefix="compute")

    @classmethod
    def settings_of(cls, modality: str, given: dict[str, Any]) -> RealSettings:
        """The settings of a model of this kind. Raises `ConfigError`."""
        if modality not in cls.engines:
            raise ConfigError(
                f"backend {cls.__name__.lower()} cannot run {modality} models: {list(cls.engines)}"
            )
        try:
            return cls.engines[modality][0].model_validate(given)
        except ValidationError as error:
            raise ConfigError(complaint(cls.engines[modality][0], error, root="settings")) from error

    @classmethod
    def checked(cls, modality: str, given: dict[str, Any]) -> dict[str, Any]:
        """Settings that any process of this machine can use. Raises `ConfigError`, before anything starts."""
        return check_source(cls.settings_of(modality, given), cls.libraries).model_dump(exclude_unset=True)

    @classmethod
    def width(cls, modality: str, given: dict[str, Any]) -> int:
        """Attempts a replica with these settings can compute at once."""
        return 1

    @property
    def facts(self) -> LoadFacts:
        """What loading cost."""
        return self._engine.facts

    async def serve(self, work: Work) -> Answer:
        """One attempt, whole."""
        async for item in self.stream(work):
            if isinstance(item, Answer):
                return item
        raise AssertionError("a stream ends with its answer")

    async def stream(self, work: Work) -> AsyncIterator[Delta | Answer]:
        """One attempt, text as it comes, the `Answer` last."""
        try:
            self._engine.check(work)
        except BadAsk as bad:
            served = Served(outcome="rejected", ended_s=work.dispatched_s, reason=str(bad))
            yield Answer(served=served, fault=bad.fault)
            return
        attempt = _Attempt(work, self._engine.pacer(), list(work.kept))
        for index, piece in enumerate(work.kept):
            for number, (text, tokens) in enumerate(piece.said):
                attempt.told.put_nowait(self._delta(index, text, tokens, number == 0))
        follow = asyncio.ensure_future(self._follow(attempt))
        compute = asyncio.ensure_future(self._compute(attempt))
        try:
            while (delta := await attempt.told.get()) is not None:
                yield delta
            await follow
            yield self._answer(attempt)
        finally:
            attempt.pacer.stop()
            compute.cancel()
            follow.cancel()
            if attempt.served is None:
                self._calls.tell(self._node, "cancel", work.request.id, "the client gave up", work.attempt)

    # -- what the node says ---------------------------------------------------------------------------------

    async def _follow(self, attempt: _Attempt) -> None:
        """Pass on what the node says of this attempt, until it has ended."""
        try:
            async for news in self._calls.stream(self._node, "follow", attempt.work.slim()):
                if isinstance(news, Served):
                    attempt.served = news
                    break
                attempt.pacer.set(news)
                (attempt.turn.set if news.factors is not None else attempt.turn.clear)()
        finally:
            attempt.pacer.stop()
            attempt.told.put_nowait(None)

    # -- computing ------------------------------------------------------------------------------------------

    async def _compute(self, attempt: _Attempt) -> None:
        """Compute what is missing, one choice after the other, whenever it is this attempt's turn."""
        request_id, number = attempt.work.request.id, attempt.work.attempt
        try:
            total = self._engine.choices(attempt.work)
            while len(attempt.pieces) < total:
                await attempt.turn.wait()
                piece = await self._piece(attempt)
                if piece is not None:
                    attempt.pieces.append(piece)
                    attempt.told_tokens = 0
                    if len(attempt.pieces) < total:
                        self._calls.tell(self._node, "advanced", request_id, number, len(attempt.pieces))
            await self._complete(attempt)
        except Exception as error:  # whatever the model's libraries raise, its node must hear of it
            log.exception("an attempt broke", extra={"request_id": request_id, "private": True})
            self._calls.tell(self._node, "cancel", request_id, failure(error), number, "error")

    async def _complete(self, attempt: _Attempt) -> None:
        """Tell the node that the work is over; one that took the turn away just then hears it at the next turn."""
        tokens = sum(p.tokens for p in attempt.pieces)
        read = (
            sum(p.prompt_tokens for p in attempt.pieces) or None
        )  # what was computed: every choice reads its prompt
        service_s = attempt.pacer.timing().service_s
        while attempt.served is None:
            await attempt.turn.wait()
            took = (attempt.work.request.id, attempt.work.attempt, service_s, tokens, read)
            if await self._calls.call(self._node, "complete", *took, limit_s=LONGEST_S):
                return
            await asyncio.sleep(AGAIN_S)

    async def _piece(self, attempt: _Attempt) -> Piece | None:
        """One choice; None if the turn was over before it was done."""
        loop, index, computed = asyncio.get_running_loop(), len(attempt.pieces), 0

        def emit(text: str, tokens: int) -> None:
            nonlocal computed
            first, computed = computed == 0, computed + tokens
            if computed > attempt.told_tokens:  # else it was told before the turn was taken away
                attempt.told_tokens = computed
                delta = self._delta(index, text, tokens, first)
                loop.call_soon_threadsafe(attempt.told.put_nowait, delta)

        try:
            return await loop.run_in_executor(self._threads, self._run, attempt, index, emit)
        except Stopped:
            return None

    def _run(self, attempt: _Attempt, index: int, emit: Emit) -> Piece:
        """Compute one choice, in a computing thread. Raises `Stopped`."""
        piece = self._engine.run(attempt.work, index, attempt.pacer, emit)
        attempt.pacer.settle()
        return piece

    def _delta(self, index: int, text: str, tokens: int, first: bool) -> Delta:
        """New text of one choice; captions of several pictures are one text, a line each."""
        if self._spec.model.modality != "caption":
            return Delta(choice=index, text=text, tokens=tokens)
        return Delta(choice=0, text=f"\n{text}" if first and index else text, tokens=tokens)

    def _answer(self, attempt: _Attempt) -> Answer:
        served, pieces = attempt.served, tuple(attempt.pieces)
        assert served is not None
        if served.outcome != "done":
            return Answer(served=served, kept=pieces, timing=attempt.pacer.timing())
        return Answer(
            served=served,
            texts=tuple(p.text for p in pieces if not p.image),
            images=tuple(p.image for p in pieces if p.image),
            completion_tokens=sum(p.tokens for p in pieces),
            prompt_tokens=_prompt_tokens(attempt),
            finish=tuple(p.finish for p in pieces),
            timing=attempt.pacer.timing(),
        )


def _prompt_tokens(attempt: _Attempt) -> int:
    """Tokens of the input by the model's own tokenizer; a prompt with several choices counts once."""
    return sum(p.prompt_tokens for p in attempt.pieces[:: attempt.work.ask.each])


class Transformers(Real):
    """GPT-2 and every other causal language model, and BLIP captioning, on the transformers library."""

    libraries = ("torch", "transformers")
    engines = {"text": (TextSettings, TextEngine), "caption": (CaptionSettings, CaptionEngine)}


class Diffusers(Real):
    """Stable Diffusion, and pipelines like it, on the diffusers library."""

    libraries = ("torch", "transformers", "diffusers", "accelerate")
    engines = {"image": (PictureSettings, PictureEngine)}


class Vllm(Real):
    """GPT-2 and every other causal language model that vLLM knows, several attempts at once."""

    libraries = ("vllm",)
    engines = {"text": (VllmSettings, VllmEngine)}

    @classmethod
    def width(cls, modality: str, given: dict[str, Any]) -> int:
        """As many as vLLM takes into one batch."""
        return cast(VllmSettings, cls.settings_of(modality, given)).max_num_seqs
