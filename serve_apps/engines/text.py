"""Text models of the transformers library: GPT-2 and every other causal language model."""

from __future__ import annotations

from typing import Any

from emulation.domain.cluster import Mode
from serve_apps.engines.decoding import Decoder, Emit, Wanted
from serve_apps.engines.loading import Account, Loader
from serve_apps.engines.needs import need
from serve_apps.engines.pacer import Pacer
from serve_apps.engines.prompting import PromptEngine, Prompts, TextSettings
from serve_apps.engines.sampling import Defaults
from serve_apps.wire.messages import Piece


class TextEngine(PromptEngine):
    """One causal language model in memory. Its prefill and its decoding are separate pieces of work."""

    def __init__(
        self, settings: TextSettings, modes: tuple[Mode, ...], account: Account | None = None
    ) -> None:
        """Load it, and answer once. Raises `ConfigError`."""
        self._loader = loader = Loader(settings, modes, account)
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
        tokens = loader.weights(tokenizer.from_pretrained)
        self._model = loader.model(model.from_pretrained).eval()
        context = int(getattr(described, "max_position_embeddings", None) or 2**20)
        self._prompts = Prompts(tokens, context, settings.max_tokens)
        generation = self._model.generation_config
        ends = generation.eos_token_id
        ends = frozenset([ends] if isinstance(ends, int) else ends or [])
        self._decoder = Decoder(self._prompts.decode, ends, 1.0, Defaults.of(generation))
        self.facts = loader.facts([self._model], self.first_call)

    def pacer(self) -> Pacer:
        """A pacer that knows this engine's device."""
        return self._loader.pacer()

    def answer(self, ids: list[int], wanted: Wanted, pacer: Pacer, emit: Emit) -> Piece:
        """The answer to these tokens. Raises `Stopped`."""
        read = _Reading(self._model, self._loader.torch)
        return self._decoder.answer(wanted, lambda: read(ids), lambda token: read([token]), pacer, emit, ids)


class _Reading:
    """One answer's state in the model: the keys and values of what it has read and said."""

    def __init__(self, model: Any, torch: Any) -> None:
        self._model = model
        self._torch = torch
        self._past: Any = None

    def __call__(self, ids: list[int]) -> Any:
        """Read more tokens; returns the logits of the next, shape (vocabulary,)."""
        given = self._torch.tensor([ids], device=self._model.device)
        said = self._model(input_ids=given, past_key_values=self._past, use_cache=True, logits_to_keep=1)
        self._past = said.past_key_values
        return said.logits[0, -1]
