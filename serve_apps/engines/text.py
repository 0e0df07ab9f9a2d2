"""Text models of the transformers library: GPT-2 and every other causal language model."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from emulation.domain.cluster import Mode
from serve_apps.engines.decoding import Chooser, Emit, Limits, Teller, generate, piece_of, seed_of
from serve_apps.engines.loading import Account, Loader, RealSettings
from serve_apps.engines.needs import need
from serve_apps.engines.pacer import Pacer
from serve_apps.engines.prompting import Prompts
from serve_apps.wire.messages import Piece, Sampling, Work


class TextSettings(RealSettings):
    """Settings of a text model."""

    max_tokens: int = Field(default=256, ge=1)
    """Longest answer where the client states no limit."""


class TextEngine:
    """One causal language model in memory. Its prefill and its decoding are separate pieces of work."""

    def __init__(
        self, settings: TextSettings, modes: tuple[Mode, ...], account: Account | None = None
    ) -> None:
        """Load it, and answer once. Raises `ConfigError`."""
        loader = Loader(settings, modes, account)
        with loader.importing():
            names = (
                "AutoTokenizer",
                "AutoModelForCausalLM",
                "AutoConfig",
                "GenerationMixin",
                "PreTrainedModel",
            )
            tokenizer, model, config, *_ = (getattr(need("transformers"), name) for name in names)
        described = loader.weights(config.from_pretrained)
        with loader.importing():
            need(type(described).__module__.replace(".configuration_", ".modeling_"))
        self._torch = loader.torch
        tokens = loader.weights(tokenizer.from_pretrained)
        self._model = loader.weights(
            model.from_pretrained,
            dtype=loader.dtype,
            **({"device_map": settings.device_map} if settings.device_map else {}),
        ).eval()
        if settings.device_map is None:
            self._model.to(loader.device)
        self._finish_queued = loader.finish_queued
        context = int(getattr(described, "max_position_embeddings", None) or 2**20)
        self._prompts = Prompts(tokens, context, settings.max_tokens)
        ends = self._model.generation_config.eos_token_id
        self._ends = frozenset([ends] if isinstance(ends, int) else ends or [])
        self.facts = loader.facts([self._model], self._first_call)

    def pacer(self) -> Pacer:
        """A pacer that knows this engine's device."""
        return Pacer(finish_queued=self._finish_queued)

    def choices(self, work: Work) -> int:
        """Answers this work asks for."""
        return len(work.inputs)

    def check(self, work: Work) -> None:
        """Raises `BadAsk` if the prompt does not fit."""
        for index in range(self.choices(work)):
            self._prompts.limit(work, len(self._prompts.ids(work, index)))

    def run(self, work: Work, index: int, pacer: Pacer, emit: Emit) -> Piece:
        """One answer. Raises `Stopped`."""
        ids = self._prompts.ids(work, index)
        choose = Chooser(work.sampling, 1.0, seed_of(work, index))
        teller = Teller(self._prompts.decode, work.sampling.stop, emit)
        limits = Limits(self._prompts.limit(work, len(ids)), self._ends, work.ignore_eos)
        run = _Run(self._model, self._torch)
        finish = generate(lambda: run(ids), lambda token: run([token]), choose, teller, limits, pacer)
        return piece_of(teller, finish, len(ids))

    def _first_call(self) -> None:
        limits, teller = Limits(2, frozenset()), Teller(self._prompts.decode, (), lambda text, tokens: None)
        run = _Run(self._model, self._torch)
        start = self._prompts.start()
        choose = Chooser(Sampling(temperature=0.0), 0.0, 0)
        generate(lambda: run(start), lambda token: run([token]), choose, teller, limits, self.pacer())


class _Run:
    """One answer's state in the model: the keys and values of what it has read and said."""

    def __init__(self, model: Any, torch: Any) -> None:
        self._model = model
        self._torch = torch
        self._past: Any = None

    def __call__(self, ids: list[int]) -> Any:
        """Read more tokens; returns the logits of the next, shape (vocabulary,)."""
        given = self._torch.tensor([ids], device=self._model.device)
        found = self._model(input_ids=given, past_key_values=self._past, use_cache=True, logits_to_keep=1)
        self._past = found.past_key_values
        return found.logits[0, -1]
