"""Captions by BLIP, of the transformers library. Text beside a picture is not read: captions are unconditional."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import pybase64

from emulation.domain.cluster import Mode
from emulation.domain.quantities import Tokens
from serve_apps.engines.decoding import FIRST_CALL, Decoder, Emit, Wanted, nobody
from serve_apps.engines.loading import Account, Loader
from serve_apps.engines.needs import need
from serve_apps.engines.pacer import Pacer
from serve_apps.engines.prompting import TextSettings
from serve_apps.wire.ask import USUAL_TOKENS, BadAsk
from serve_apps.wire.messages import Piece, Work

FORMATS = ("PNG", "JPEG", "WEBP", "GIF")
"""Pictures that are read, by Pillow's names."""
MAX_BYTES = 20_000_000
MAX_PIXELS = 40_000_000
"""A picture larger than this is refused before it is unpacked, three bytes to a pixel."""


class CaptionSettings(TextSettings):
    """Settings of a captioning model."""

    max_tokens: Tokens = USUAL_TOKENS["caption"]
    """Longest caption where the client states no limit."""


class CaptionEngine:
    """One BLIP captioning model in memory: its picture encoder is the prefill, its text decoder the decoding."""

    def __init__(
        self, settings: CaptionSettings, modes: tuple[Mode, ...], account: Account | None = None
    ) -> None:
        """Load it, and caption once. Raises `ConfigError`."""
        self._loader = loader = Loader(settings, modes, account)
        with loader.importing():
            names = ("BlipProcessor", "BlipForConditionalGeneration")
            processor, model = (getattr(need("transformers"), name) for name in names)
        self._processor = loader.weights(processor.from_pretrained)
        self._model = loader.model(model.from_pretrained).eval()
        text = self._model.config.text_config
        self._start = text.bos_token_id
        self._decoder = Decoder(self._decode, frozenset([text.sep_token_id]), temperature=0.0)
        self._default_tokens, self._most_tokens = settings.max_tokens, text.max_position_embeddings - 1
        self.facts = loader.facts([self._model], self._first_call)

    def pacer(self) -> Pacer:
        """A pacer that knows this engine's device."""
        return self._loader.pacer()

    def choices(self, work: Work) -> int:
        """Answers this work asks for."""
        return len(work.ask.pictures)

    def check(self, work: Work) -> None:
        """Raises `BadAsk` if a picture cannot be read."""
        for picture in dict.fromkeys(work.ask.pictures):
            read_picture(picture, work.ask.said_in)

    def run(self, work: Work, index: int, pacer: Pacer, emit: Emit) -> Piece:
        """One caption. Raises `Stopped`."""
        most = min(work.ask.max_tokens or self._default_tokens, self._most_tokens)
        return self._caption(
            read_picture(work.ask.pictures[index], work.ask.said_in),
            Wanted.of(work, index, most),
            pacer,
            emit,
        )

    def _caption(self, picture: Any, wanted: Wanted, pacer: Pacer, emit: Emit) -> Piece:
        look = _Looking(self._model, self._loader.torch)
        pixels = self._processor(images=picture, return_tensors="pt")["pixel_values"]
        return self._decoder.answer(wanted, lambda: look.at(pixels, self._start), look, pacer, emit)

    def _decode(self, ids: list[int]) -> str:
        text: str = self._processor.tokenizer.decode(ids, skip_special_tokens=True)
        return text

    def _first_call(self) -> None:
        picture = need("PIL.Image").new("RGB", (16, 16))
        self._caption(picture, FIRST_CALL, self.pacer(), nobody)


class _Looking:
    """One caption's state: what was seen, and the keys and values of what was said."""

    def __init__(self, model: Any, torch: Any) -> None:
        self._model = model
        self._torch = torch
        self._seen: Any = None
        self._past: Any = None

    def at(self, pixels: Any, start: int) -> Any:
        """Encode the picture, shape (1, 3, height, width); returns the first token's logits."""
        vision = self._model.vision_model
        self._seen = vision(pixel_values=pixels.to(vision.device, vision.dtype)).last_hidden_state
        return self(start)

    def __call__(self, token: int) -> Any:
        """Say a token; returns the logits of the next, shape (vocabulary,)."""
        decoder = self._model.text_decoder
        said = decoder(
            input_ids=self._torch.tensor([[token]], device=decoder.device),
            encoder_hidden_states=self._seen,
            past_key_values=self._past,
            use_cache=True,
            is_decoder=True,
        )
        self._past = said.past_key_values
        return said.logits[0, -1]


def read_picture(uri: str, field: str = "messages") -> Any:
    """The picture of a data URI, an animation's first. Raises `BadAsk` of this field if there is none; nothing is ever
    fetched, and no other program started, as Pillow would for some of the formats it knows."""
    pil: Any = need("PIL.Image")
    head, comma, coded = uri.partition(",")
    if not head.startswith("data:") or not comma:
        raise BadAsk(f"image_url {uri[:40]!r} is not a data URI; pictures are not fetched", field)
    if len(coded) > MAX_BYTES * 4 / 3 + 4:
        raise BadAsk(f"an image is larger than {MAX_BYTES} bytes", field)
    try:
        raw = pybase64.b64decode(coded, validate=True)
        picture = pil.open(BytesIO(raw), formats=FORMATS)
        pixels = picture.width * picture.height
        if pixels <= MAX_PIXELS:
            return picture.convert("RGB")
    except pil.UnidentifiedImageError as error:
        raise BadAsk(f"an image is none of {', '.join(FORMATS)}", field) from error
    except Exception as error:  # decoders raise anything at all when their bytes are not what they should be
        raise BadAsk(f"an image cannot be read: {str(error)[:200]}", field) from error
    raise BadAsk(f"an image of {picture.width}x{picture.height} has more than {MAX_PIXELS} pixels", field)
