"""What an emulated model says: synthetic words, captions and images of the asked size.

What its client calls alike gets the same content. A text is as long as its node says, and ends where a stop sequence
would begin.
"""

from __future__ import annotations

import re
import zlib
from functools import lru_cache

from emulation.domain.cluster import ModelSpec
from emulation.domain.request_id import client_id_of
from emulation.png import png
from serve_apps.wire.ask import Ask, first_stop
from serve_apps.wire.messages import Answer, Delta, Finish, Served, Work

WORDS_PER_PROMPT = 16
"""Words per prompt of a model whose service law counts prompts, unless the client's limit is lower."""
DEFAULT_SIZE = (512, 512)
_VOCABULARY = (
    "the", "edge", "node", "serves", "each", "request", "near", "its", "origin", "while", "queues", "stay",
    "short", "and", "links", "stay", "quiet",
)  # fmt: skip
_SCENES = ("a street market at dusk", "two cyclists on a bridge", "a harbour in fog", "a cat on a windowsill")
_WORD = re.compile(r"\s*\S+(?:\s+\Z)?")


def total_tokens(model: ModelSpec, work: Work, output_tokens: int) -> int:
    """Words of the whole answer, over all choices; 0 for image models."""
    if model.modality == "image":
        return 0
    if model.features == "tokens":
        return output_tokens
    return kept_tokens(work, length(work.ask, WORDS_PER_PROMPT) * work.request.prompts)


def length(ask: Ask, usual: int) -> int:
    """Words of an answer that would be so long if its client asked for nothing."""
    if ask.max_tokens is not None:
        usual = ask.max_tokens if ask.ignore_eos else min(usual, ask.max_tokens)
    return max(usual, ask.min_tokens)


def kept_tokens(work: Work, output_tokens: int) -> int:
    """Words that are left of answers with so many together, where a stop sequence ends each of them."""
    prompts = work.request.prompts
    return len(_cut(work.ask, output_tokens // prompts)[0].split()) * prompts


def text_of(ask: Ask, each: int) -> tuple[str, Finish]:
    """An answer of so many words, and why it ended there."""
    longest = max((len(s) for s in ask.sampling.stop), default=0)
    beyond = each + longest if ask.max_tokens is None else min(each + longest, max(ask.max_tokens, each))
    text, stopped = _cut(ask, beyond) if longest else ("", False)
    if stopped and len(text.split()) == each:
        return text, "stop"
    return words(0, each), _finish(ask, each)


def answer(model: ModelSpec, work: Work, served: Served) -> Answer:
    """The content of a finished request; empty for one that failed."""
    if served.outcome != "done":
        return Answer(served=served)
    choices = work.request.prompts
    if model.modality == "image":
        width, height = work.ask.size or DEFAULT_SIZE
        name = client_id_of(work.request.id)
        shades = [zlib.crc32(f"{name}/{k}".encode()) % 256 for k in range(choices)]
        return Answer(served=served, images=tuple(png(width, height, shade & 0xF0) for shade in shades))
    if model.modality == "caption":
        said = [caption(work.ask, work.request.id, k) for k in range(choices)]
        count = sum(len(text.split()) for text, _ in said)
        texts, finish = tuple(text for text, _ in said), tuple(why for _, why in said)
        return Answer(served=served, texts=texts, completion_tokens=count, finish=finish)
    total = total_tokens(model, work, served.measured.output_tokens)
    text, why = text_of(work.ask, total // choices)
    return Answer(
        served=served, texts=(text,) * choices, completion_tokens=total, finish=(why,) * choices
    )  # fmt: skip


def caption(ask: Ask, request_id: str, index: int) -> tuple[str, Finish]:
    """What is in an image nobody looked at, and why no more is said of it."""
    scene = _SCENES[zlib.crc32(f"{client_id_of(request_id)}/{index}".encode()) % len(_SCENES)]
    said = f"a photo of {scene}".split()
    count = length(ask, len(said))
    text = " ".join(said[:count]) + (f" {words(0, count - len(said))}" if count > len(said) else "")
    at = first_stop(text, ask.sampling.stop)
    return (text, _finish(ask, count)) if at is None else (text[:at], "stop")


def words(start: int, stop: int) -> str:
    """Words `start` to `stop` of the synthetic text; a blank stands before every word but the first."""
    return _few_words(start, stop) if stop - start < 512 else _words(start, stop)


def rest(model: ModelSpec, whole: Answer, sent: int) -> list[Delta]:
    """What is left to say of an answer of which so many tokens were sent; captions are one text, a line each."""
    if model.modality == "caption":
        return [Delta(choice=0, text="\n".join(whole.texts), tokens=whole.completion_tokens)]
    return deltas(whole.texts[0] if whole.texts else "", sent, whole.completion_tokens)


def deltas(text: str, sent: int, produced: int) -> list[Delta]:
    """The words from number `sent` to `produced`, where every choice has this text."""
    parts = _WORD.findall(text)
    new: list[Delta] = []
    while sent < produced and parts:
        choice, offset = divmod(sent, len(parts))
        step = min(produced - sent, len(parts) - offset)
        new.append(Delta(choice=choice, text="".join(parts[offset : offset + step]), tokens=step))
        sent += step
    return new


def _cut(ask: Ask, count: int) -> tuple[str, bool]:
    """The first so many words, up to where a stop sequence begins; whether there is one."""
    text = words(0, count)
    at = first_stop(text, ask.sampling.stop, len(words(0, ask.min_tokens)))
    return (text, False) if at is None else (text[:at], True)


def _finish(ask: Ask, count: int) -> Finish:
    return "length" if ask.max_tokens is not None and count >= ask.max_tokens else "stop"


def _words(start: int, stop: int) -> str:
    text = " ".join(_VOCABULARY[i % len(_VOCABULARY)] for i in range(start, stop))
    return f" {text}" if start > 0 and text else text


_few_words = lru_cache(maxsize=1024)(_words)
