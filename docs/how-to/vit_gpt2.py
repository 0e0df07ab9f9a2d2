"""A model that is not one of the four, in one file: captions by a ViT that looks and a GPT-2 that writes.

Put it where Python finds it and name it in the testbed file: `backend: vit_gpt2:VitGpt2`.
"""

from __future__ import annotations

from typing import Any

from serve_apps.engines.caption import CaptionSettings, read_picture
from serve_apps.engines.decoding import FIRST_CALL, Decoder, Emit, Wanted, nobody
from serve_apps.engines.loading import Loader
from serve_apps.engines.needs import need
from serve_apps.engines.pacer import Pacer
from serve_apps.replica.real import Real
from serve_apps.wire.messages import Piece, Work


class VitGpt2Engine:
    """One `VisionEncoderDecoderModel` in memory, such as nlpconnect/vit-gpt2-image-captioning."""

    def __init__(self, settings: CaptionSettings, modes: Any, account: Any = None) -> None:
        """Load it, and caption once. Raises `ConfigError`."""
        self._loader = loader = Loader(settings, modes, account)
        with loader.importing():
            names = ("VisionEncoderDecoderModel", "AutoTokenizer", "AutoImageProcessor")
            model, tokenizer, pictures = (getattr(need("transformers"), name) for name in names)
        self._settings = settings
        self._pictures = loader.weights(pictures.from_pretrained)
        self._tokenizer = loader.weights(tokenizer.from_pretrained)
        self._model = loader.model(model.from_pretrained).eval()
        config = self._model.config
        self._start = config.decoder_start_token_id or config.decoder.bos_token_id
        self._decoder = Decoder(self._decode, frozenset([config.decoder.eos_token_id]), temperature=0.0)
        self.facts = loader.facts([self._model], self._first_call)

    def pacer(self) -> Pacer:
        """A pacer that knows this engine's device."""
        return self._loader.pacer()

    def choices(self, work: Work) -> int:
        """Answers this work asks for."""
        return len(work.ask.pictures)

    def check(self, work: Work) -> None:
        """Raises `BadAsk` for what the model cannot do; the client gets a 400 that says so."""
        for picture in work.ask.pictures:
            read_picture(picture)

    def run(self, work: Work, index: int, pacer: Pacer, emit: Emit) -> Piece:
        """One caption. Raises `Stopped`."""
        most = min(
            work.ask.max_tokens or self._settings.max_tokens, self._model.config.decoder.n_positions - 1
        )
        return self._caption(
            read_picture(work.ask.pictures[index]), Wanted.of(work, index, most), pacer, emit
        )

    def _caption(self, picture: Any, wanted: Wanted, pacer: Pacer, emit: Emit) -> Piece:
        """Looking is the prefill, every further token a step: the decoder asks the pacer after each."""
        pixels = self._pictures(images=picture, return_tensors="pt")["pixel_values"]
        seen, past = None, None

        def say(token: int) -> Any:
            nonlocal past
            found = self._model.decoder(
                input_ids=self._loader.torch.tensor([[token]], device=self._model.device),
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

        return self._decoder.answer(wanted, look, say, pacer, emit)

    def _decode(self, ids: list[int]) -> str:
        text: str = self._tokenizer.decode(ids, skip_special_tokens=True)
        return text

    def _first_call(self) -> None:
        picture = need("PIL.Image").new("RGB", (16, 16))
        self._caption(picture, FIRST_CALL, self.pacer(), nobody)


class VitGpt2(Real):
    """The backend: which libraries it needs, and the engine of each kind of model it runs."""

    libraries = ("torch", "transformers")
    engines = {"caption": (CaptionSettings, VitGpt2Engine)}
