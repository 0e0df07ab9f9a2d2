"""Captions by BLIP, of the transformers library. Text beside a picture is not read: captions are unconditional."""

from __future__ import annotations

import base64
import binascii
from io import BytesIO
from typing import Any

from pydantic import Field

from emulation.domain.cluster import Mode
from serve_apps.engines.decoding import Chooser, Emit, Limits, Teller, generate, piece_of, seed_of
from serve_apps.engines.loading import Account, Loader, RealSettings
from serve_apps.engines.needs import need
from serve_apps.engines.pacer import Pacer
from serve_apps.gateway.openai_api import BadAsk
from serve_apps.wire.messages import Piece, Sampling, Work

MAX_PIXELS = 64_000_000
"""A picture larger than this is refused before it is unpacked."""


class CaptionSettings(RealSettings):
    """Settings of a captioning model."""

    max_tokens: int = Field(default=20, ge=1)
    """Longest caption where the client states no limit."""


class CaptionEngine:
    """One BLIP captioning model in memory: its picture encoder is the prefill, its text decoder the decoding."""

    def __init__(
        self, settings: CaptionSettings, modes: tuple[Mode, ...], account: Account | None = None
    ) -> None:
        """Load it, and caption once. Raises `ConfigError`."""
        loader = Loader(settings, modes, account)
        with loader.importing():
            names = ("BlipProcessor", "BlipForConditionalGeneration")
            processor, model = (getattr(need("transformers"), name) for name in names)
        self._settings, self._torch = settings, loader.torch
        self._processor = loader.weights(processor.from_pretrained)
        self._model = loader.weights(
            model.from_pretrained,
            dtype=loader.dtype,
            **({"device_map": settings.device_map} if settings.device_map else {}),
        ).eval()
        if settings.device_map is None:
            self._model.to(loader.device)
        self._finish_queued = loader.finish_queued
        text = self._model.config.text_config
        self._start, self._ends = text.bos_token_id, frozenset([text.sep_token_id])
        self._context = text.max_position_embeddings
        self.facts = loader.facts([self._model], self._first_call)

    def pacer(self) -> Pacer:
        """A pacer that knows this engine's device."""
        return Pacer(finish_queued=self._finish_queued)

    def choices(self, work: Work) -> int:
        """Answers this work asks for."""
        return len(work.pictures)

    def check(self, work: Work) -> None:
        """Raises `BadAsk` if a picture cannot be read."""
        for picture in dict.fromkeys(work.pictures):
            read_picture(picture)

    def run(self, work: Work, index: int, pacer: Pacer, emit: Emit) -> Piece:
        """One caption. Raises `Stopped`."""
        return self._caption(read_picture(work.pictures[index]), work, index, pacer, emit)

    def _caption(self, picture: Any, work: Work | None, index: int, pacer: Pacer, emit: Emit) -> Piece:
        sampling = work.sampling if work else Sampling()
        teller = Teller(self._decode, sampling.stop, emit)
        most = (work.max_tokens if work else 2) or self._settings.max_tokens
        limits = Limits(min(most, self._context - 1), self._ends, bool(work and work.ignore_eos))
        run = _Run(self._model, self._torch, self._start)
        pixels = self._processor(images=picture, return_tensors="pt")["pixel_values"]
        choose = Chooser(sampling, 0.0, seed_of(work, index) if work else 0)
        finish = generate(lambda: run.look(pixels), lambda token: run([token]), choose, teller, limits, pacer)
        return piece_of(teller, finish, 0)

    def _decode(self, ids: list[int]) -> str:
        text: str = self._processor.tokenizer.decode(ids, skip_special_tokens=True)
        return text

    def _first_call(self) -> None:
        picture = need("PIL.Image").new("RGB", (16, 16))
        self._caption(picture, None, 0, self.pacer(), lambda text, tokens: None)


class _Run:
    """One caption's state: what was seen, and the keys and values of what was said."""

    def __init__(self, model: Any, torch: Any, start: int) -> None:
        self._model = model
        self._torch = torch
        self._start = start
        self._seen: Any = None
        self._past: Any = None

    def look(self, pixels: Any) -> Any:
        """Encode the picture, shape (1, 3, height, width); returns the first token's logits."""
        vision = self._model.vision_model
        at = vision.device
        self._seen = vision(pixel_values=pixels.to(at, vision.dtype)).last_hidden_state
        return self([self._start])

    def __call__(self, ids: list[int]) -> Any:
        """Say more; returns the logits of the next token, shape (vocabulary,)."""
        decoder = self._model.text_decoder
        found = decoder(
            input_ids=self._torch.tensor([ids], device=decoder.device),
            encoder_hidden_states=self._seen,
            past_key_values=self._past,
            use_cache=True,
            is_decoder=True,
        )
        self._past = found.past_key_values
        return found.logits[0, -1]


def read_picture(uri: str) -> Any:
    """The picture of a data URI. Raises `BadAsk` if there is none; nothing is ever fetched."""
    pil: Any = need("PIL.Image")
    head, comma, coded = uri.partition(",")
    if not head.startswith("data:") or not comma:
        raise BadAsk(f"image_url {uri[:40]!r} is not a data URI; pictures are not fetched", "messages")
    try:
        raw = base64.b64decode(coded, validate=True)
        picture = pil.open(BytesIO(raw))
        if picture.width * picture.height > MAX_PIXELS:
            raise BadAsk(f"image of {picture.width}x{picture.height} is too large", "messages")
        return picture.convert("RGB")
    except (binascii.Error, OSError, SyntaxError, ValueError, pil.DecompressionBombError) as error:
        if isinstance(error, BadAsk):
            raise
        raise BadAsk(f"an image cannot be read: {error}", "messages") from error
