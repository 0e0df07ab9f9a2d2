"""What an emulated model says: synthetic words, captions and images of the asked size.

The same request gets the same content.
"""

from __future__ import annotations

import zlib
from functools import lru_cache

from emulation.domain.cluster import ModelSpec
from emulation.png import png
from serve_apps.wire.messages import Answer, Delta, Served, Work

WORDS_PER_PROMPT = 16
"""Words per prompt of a model whose service law counts prompts, unless the client's limit is lower."""
DEFAULT_SIZE = (512, 512)
_VOCABULARY = (
    "the", "edge", "node", "serves", "each", "request", "near", "its", "origin", "while", "queues", "stay",
    "short", "and", "links", "stay", "quiet",
)  # fmt: skip
_SCENES = ("a street market at dusk", "two cyclists on a bridge", "a harbour in fog", "a cat on a windowsill")


def total_tokens(model: ModelSpec, work: Work, output_tokens: int) -> int:
    """Words of the whole answer, over all choices; 0 for image models."""
    if model.modality == "image":
        return 0
    if model.features == "tokens":
        return max(output_tokens, 1)
    return per_prompt(work) * work.request.prompts


def per_prompt(work: Work) -> int:
    """Words per choice of a model with feature `prompts`."""
    if work.ask.max_tokens is None:
        return WORDS_PER_PROMPT
    return work.ask.max_tokens if work.ask.ignore_eos else min(WORDS_PER_PROMPT, work.ask.max_tokens)


def answer(model: ModelSpec, work: Work, served: Served) -> Answer:
    """The content of a finished request; empty for one that failed."""
    if served.outcome != "done":
        return Answer(served=served)
    if model.modality == "image":
        width, height = work.ask.size or DEFAULT_SIZE
        shades = [zlib.crc32(f"{work.request.id}/{k}".encode()) % 256 for k in range(work.request.prompts)]
        return Answer(served=served, images=tuple(png(width, height, shade & 0xF0) for shade in shades))
    total = total_tokens(model, work, served.measured.output_tokens)
    if model.modality == "caption":
        count = work.request.prompts
        texts = tuple(caption(work.request.id, k) for k in range(count))
        return Answer(served=served, texts=texts, completion_tokens=sum(len(t.split()) for t in texts))
    choices = work.request.prompts if model.features == "prompts" else 1
    each = total // choices
    return Answer(served=served, texts=(words(0, each),) * choices, completion_tokens=each * choices)


def caption(request_id: str, index: int) -> str:
    """What is in an image nobody looked at."""
    return f"a photo of {_SCENES[zlib.crc32(f'{request_id}/{index}'.encode()) % len(_SCENES)]}"


@lru_cache(maxsize=1024)
def words(start: int, stop: int) -> str:
    """Words `start` to `stop` of the synthetic text; a blank stands before every word but the first."""
    text = " ".join(_VOCABULARY[i % len(_VOCABULARY)] for i in range(start, stop))
    return f" {text}" if start > 0 and text else text


def rest(model: ModelSpec, whole: Answer, sent: int) -> list[Delta]:
    """What is left to say of an answer of which so many tokens were sent; captions are one text, a line each."""
    if model.modality == "caption":
        return [Delta(choice=0, text="\n".join(whole.texts), tokens=whole.completion_tokens)]
    return deltas(sent, whole.completion_tokens, max(whole.completion_tokens // max(len(whole.texts), 1), 1))


def deltas(sent: int, produced: int, each: int) -> list[Delta]:
    """Text of the tokens from `sent` to `produced`, where every choice has `each`."""
    new = []
    while sent < produced:
        choice, offset = divmod(sent, each)
        step = min(produced - sent, each - offset)
        new.append(Delta(choice=choice, text=words(offset, offset + step), tokens=step))
        sent += step
    return new
