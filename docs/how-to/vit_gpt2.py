"""A model that is not one of the four, in one file: captions by a ViT that looks and a GPT-2 that writes.

Put it where Python finds it and name it in the testbed file: `backend: vit_gpt2:VitGpt2`.
"""

from __future__ import annotations

from typing import Any

from serve_apps.engines.caption import CaptionSettings, read_picture
from serve_apps.engines.decoding import Chooser, Emit, Limits, Teller, generate, piece_of, seed_of
from serve_apps.engines.loading import Loader
from serve_apps.engines.needs import need
from serve_apps.engines.pacer import Pacer
from serve_apps.replica.real import Real
from serve_apps.wire.messages import Piece, Sampling, Work


class VitGpt2Engine:
    """One `VisionEncoderDecoderModel` in memory, such as nlpconnect/vit-gpt2-image-captioning."""

    def __init__(self, settings: CaptionSettings, modes: Any, account: Any = None) -> None:
        """Load it, and caption once. Raises `ConfigError`."""
        loader = Loader(settings, modes, account)
        with loader.importing():
            names = ("VisionEncoderDecoderModel", "AutoTokenizer", "AutoImageProcessor")
            model, tokenizer, pictures = (getattr(need("transformers"), name) for name in names)
        self._torch, self._settings = loader.torch, settings
        self._pictures = loader.weights(pictures.from_pretrained)
        self._tokenizer = loader.weights(tokenizer.from_pretrained)
        self._model = loader.weights(model.from_pretrained, dtype=loader.dtype).eval().to(loader.device)
        self._finish_queued = loader.finish_queued
        config = self._model.config
        self._start = config.decoder_start_token_id or config.decoder.bos_token_id
        self._ends = frozenset([config.decoder.eos_token_id])
        self.facts = loader.facts([self._model], self._first_call)

    def pacer(self) -> Pacer:
        """A pacer that knows this engine's device."""
        return Pacer(finish_queued=self._finish_queued)

    def choices(self, work: Work) -> int:
        """Answers this work asks for."""
        return len(work.pictures)

    def check(self, work: Work) -> None:
        """Raises `BadAsk` for what the model cannot do; the client gets a 400 that says so."""
        for picture in work.pictures:
            read_picture(picture)

    def run(self, work: Work, index: int, pacer: Pacer, emit: Emit) -> Piece:
        """One caption. Raises `Stopped`."""
        most = min(work.max_tokens or self._settings.max_tokens, self._model.config.decoder.n_positions - 1)
        limits = Limits(most, self._ends, work.ignore_eos)
        choose = Chooser(work.sampling, 0.0, seed_of(work, index))
        teller = Teller(self._decode, work.sampling.stop, emit)
        return self._caption(read_picture(work.pictures[index]), choose, teller, limits, pacer)

    def _caption(self, picture: Any, choose: Chooser, teller: Teller, limits: Limits, pacer: Pacer) -> Piece:
        """Looking is the prefill, every further token a step: `generate` asks the pacer after each."""
        pixels = self._pictures(images=picture, return_tensors="pt")["pixel_values"]
        seen, past = None, None

        def say(token: int) -> Any:
            nonlocal past
            found = self._model.decoder(
                input_ids=self._torch.tensor([[token]], device=self._model.device),
                encoder_hidden_states=seen, past_key_values=past, use_cache=True,
            )  # fmt: skip
            past = found.past_key_values
            return found.logits[0, -1]

        def look() -> Any:
            nonlocal seen
            seen = self._model.encoder(pixels.to(self._model.device, self._model.dtype)).last_hidden_state
            if hasattr(self._model, "enc_to_dec_proj"):
                seen = self._model.enc_to_dec_proj(seen)
            return say(self._start)

        finish = generate(look, say, choose, teller, limits, pacer)
        return piece_of(teller, finish, 0)

    def _decode(self, ids: list[int]) -> str:
        text: str = self._tokenizer.decode(ids, skip_special_tokens=True)
        return text

    def _first_call(self) -> None:
        picture = need("PIL.Image").new("RGB", (16, 16))
        teller = Teller(self._decode, (), lambda text, tokens: None)
        self._caption(picture, Chooser(Sampling(), 0.0, 0), teller, Limits(2, self._ends), self.pacer())


class VitGpt2(Real):
    """The backend: which libraries it needs, and the engine of each kind of model it runs."""

    libraries = ("torch", "transformers")
    engines = {"caption": (CaptionSettings, VitGpt2Engine)}
