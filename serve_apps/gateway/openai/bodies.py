"""What the bodies of the endpoints share. Unknown fields are ignored, wrong types refused; see `fields.py`.

Three bytes of a body (`{},`) may become an object of 500 in memory, and a complaint of 1,000. So every list and every
object has a bound and is read no further than to its first mistake, all values of a body are counted
(`http.has_more_values`), and nothing of a body is kept but what an answer needs (`Form.again`). A text takes as much as
its bytes in the body, or four times that; those are counted by the server.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from typing import Annotated, Any

import orjson
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from emulation.domain.one_request import MOST_ANSWER_TOKENS, MOST_ANSWERS
from serve_apps.gateway.openai.fields import IGNORED, Only
from serve_apps.wire.ask import Ask, BadAsk, Sampling

MAX_CHOICES = MOST_ANSWERS
MAX_TOKENS = MOST_ANSWER_TOKENS
MOST_ITEMS = 1024
"""Of a list, and names of an object, where nothing else bounds them."""
MOST_WORDS = 1_048_576
"""Tokens of all answers to one request: so much text is held at once."""
MOST_PROMPT = 1_048_576
"""Tokens of all prompts of a request, whatever its model."""
_PIECE = 65_536
"""Characters of a text whose words are counted at once."""


def _printable(text: str) -> str:
    if "\0" in text:
        raise ValueError("must not contain NUL characters")
    return text


def writable(value: dict[str, Any]) -> dict[str, Any]:
    """An object that is said again, or read to a model, as JSON. Raises `ValueError` if it cannot be written."""
    try:
        orjson.dumps(value)
    except TypeError as error:
        raise ValueError("whole numbers must fit into 64 bits") from error
    return value


def _few_pairs(value: Any) -> Any:
    """Before each of them is looked at: thousands of mistakes would be thousands of complaints."""
    if isinstance(value, dict) and len(value) > MOST_PAIRS:
        raise ValueError(f"{len(value)} pairs, at most {MOST_PAIRS}")
    return value


Text = Annotated[str, AfterValidator(_printable)]
Few = Field(max_length=MOST_ITEMS, fail_fast=True)
"""Of a list that has no bound of its own."""
Count = Annotated[int, Field(ge=1, le=MAX_CHOICES)]
Limit = Annotated[int, Field(ge=1, le=MAX_TOKENS)]
Seed = Annotated[int, Field(ge=-(2**63), lt=2**63)]
Stop = Text | Annotated[list[Text], Field(max_length=4, fail_fast=True)]
"""Where an answer ends; OpenAI's API takes up to four."""
Anything = Annotated[dict[str, Any], Field(max_length=MOST_ITEMS), AfterValidator(writable)]
"""An object nobody looks into."""


class Shape(BaseModel):
    """Base of whatever a client sends: strict types, unknown fields ignored."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)


class Body(Shape):
    """Base of all bodies. What it does not know is kept, to be looked at by name."""

    model_config = ConfigDict(extra="allow")

    model: Text = Field(min_length=1, max_length=256)
    user: Annotated[Text | None, IGNORED] = None

    @abstractmethod
    def ask(self) -> Ask:
        """What it asks of a model. Raises `BadAsk`."""

    @classmethod
    def kinds(cls) -> list[type[Body]]:
        """Every kind of body that derives from this one, and it itself."""
        return [cls, *(kind for child in cls.__subclasses__() for kind in child.kinds())]


class GeneratedBody(Body):
    """Base of what is answered in text. The last fields are of other servers than OpenAI's."""

    stream: bool | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    ignore_eos: bool | None = None
    """Answer until the limit."""
    min_tokens: Annotated[int, Field(ge=0, le=MAX_TOKENS)] | None = None
    """Least length of an answer."""
    top_k: Annotated[Any, Only("sampling from the k likeliest is not done", -1, 0)] = None
    min_p: Annotated[Any, Only("sampling by a least probability is not done", 0, 0.0)] = None
    repetition_penalty: Annotated[Any, Only("repetitions are not penalised", 1, 1.0)] = None
    length_penalty: Annotated[Any, Only("lengths are not penalised", 1, 1.0)] = None
    use_beam_search: Annotated[Any, Only("answers are not searched for", False)] = None
    stop_token_ids: Annotated[Any, Only("answers end at stop sequences, not at tokens", [])] = None
    include_stop_str_in_output: Annotated[Any, Only("stop sequences are cut off", False)] = None
    bad_words: Annotated[Any, Only("no words are kept out of answers", [])] = None
    allowed_token_ids: Annotated[Any, Only("no tokens are kept out of answers")] = None
    prompt_logprobs: Annotated[Any, Only("no probabilities are told")] = None
    truncate_prompt_tokens: Annotated[Any, Only("prompts are not cut", -1)] = None
    guided_json: Annotated[Any, Only("answers follow no schema")] = None
    guided_regex: Annotated[Any, Only("answers follow no schema")] = None
    guided_choice: Annotated[Any, Only("answers follow no schema")] = None
    guided_grammar: Annotated[Any, Only("answers follow no schema")] = None
    structured_outputs: Annotated[Any, Only("answers follow no schema")] = None
    chat_template: Annotated[Any, Only("the model's own template is used")] = None
    continue_final_message: Annotated[
        Any, Only("a conversation is always answered by a new message", False)
    ] = None
    add_generation_prompt: Annotated[
        Any, Only("a conversation is always answered by a new message", True)
    ] = None
    skip_special_tokens: Annotated[Any, Only("special tokens are never told", True)] = None

    def include_usage(self) -> bool:
        """Whether the last chunk of a stream is to carry the token counts."""
        return False

    def sampling(self) -> Sampling:
        """How a real model is to answer."""
        return Sampling(temperature=self.temperature, top_p=self.top_p)

    def limits(self, max_tokens: int | None, choices: int, limited_in: str) -> dict[str, Any]:
        """Fields of an `Ask` that say how long answers may be. Raises `BadAsk` for what cannot be."""
        least = self.min_tokens or 0
        if max_tokens is not None and least > max_tokens:
            raise BadAsk(f"min_tokens {least} is above {limited_in} {max_tokens}", "min_tokens")
        if choices * max(max_tokens or 0, least) > MOST_WORDS:
            raise BadAsk(f"{choices} answers of {max_tokens} tokens; {MOST_WORDS} in all at most", limited_in)
        return {
            "max_tokens": max_tokens,
            "min_tokens": least,
            "ignore_eos": bool(self.ignore_eos),
            "limited_in": limited_in,
            "stream": bool(self.stream),
            "include_usage": self.include_usage(),
            "sampling": self.sampling(),
        }


class StreamOptions(Shape):
    """`include_usage`: a last chunk carries the token counts."""

    include_usage: bool | None = None
    include_obfuscation: Annotated[bool | None, IGNORED] = None


class ChoicesBody(GeneratedBody):
    """Base of what is answered in choices."""

    max_tokens: Limit | None = None
    n: Count | None = None
    stream_options: StreamOptions | None = None
    seed: Seed | None = None
    stop: Stop | None = None
    frequency_penalty: Annotated[Any, Only("repetitions are not penalised", 0, 0.0)] = None
    presence_penalty: Annotated[Any, Only("repetitions are not penalised", 0, 0.0)] = None
    logit_bias: Annotated[Any, Only("no tokens are favoured", {})] = None

    def include_usage(self) -> bool:
        """As the client's `stream_options` say."""
        return bool(self.stream_options and self.stream_options.include_usage)

    def sampling(self) -> Sampling:
        """With a seed, and where to stop."""
        stop = [self.stop] if isinstance(self.stop, str) else self.stop or []
        return replace(super().sampling(), seed=self.seed, stop=tuple(stop))


class TextFormat(Shape):
    """The form an answer is wanted in."""

    type: Annotated[str, Only("answers are plain text", "text")]


class Tool(Shape):
    """Something a model might call. Models here call nothing, which `tool_choice` may leave to them."""

    type: Text


Tools = Annotated[list[Tool], Few]
ToolChoice = Annotated[Any, Only("no tool is ever called, so none can be required", "auto", "none")]
MOST_PAIRS = 16
Metadata = Annotated[dict[str, str], Field(max_length=MOST_PAIRS), BeforeValidator(_few_pairs)]


def words(texts: list[str]) -> int:
    """Tokens by the emulated tokenizer: words between blanks. Not counted further than to `MOST_PROMPT` and a piece."""
    count = 0
    for text in texts:
        count += _words(text, MOST_PROMPT - count)
        if count > MOST_PROMPT:
            break
    return count


def _words(text: str, most: int) -> int:
    """Piece by piece: the words of a large prompt, all at once, would take many times its memory."""
    count = 0
    for start in range(0, len(text), _PIECE):
        if count > most:
            break
        piece = text[start : start + _PIECE]
        goes_on = start > 0 and not text[start - 1].isspace() and not piece[0].isspace()
        count += len(piece.split()) - goes_on
    return count
