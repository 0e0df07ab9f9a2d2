"""Where a language model is, what it costs, and how patient we are."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self
from urllib.parse import parse_qsl, unquote, urlsplit, urlunsplit

from pydantic import Field, field_validator, model_validator

from emulation.domain.cluster import Strict
from emulation.domain.quantities import Patience, Range, SomeLine, Tokens

Answers = Literal["auto", "choice", "free"]
"""choice: agents pick one of a few good options; free: they write their commands out; auto: choice for models that are
small or see no tools, free for others."""

_SECRET = re.compile(
    r"password|passwd|secret|authorization|credential|^(key|token|auth|pass|pwd|sig|signature|bearer)$"
    r"|(api|access|auth|private|secret|subscription|hf)[-_]?(key|token)$",
    re.IGNORECASE,
)
"""Names of what is a key."""
LEAST_SECRET = 8
"""Characters of a key that is taken out of what a server says: `none` or `test` is none."""
_BESIDE = "it would be written beside the records; give the key by OPENAI_API_KEY"


class OpenAiConfig(Strict):
    """Where the model is and how patient we are. Wall seconds. Budgets are of one run, all its agents together."""

    base_url: SomeLine | None = None
    """None: EDGEBED_LLM_BASE_URL, and if that is not set, the SDK's own default. Without user, password and keys, as it
    is written beside the records; an address that needs them is for the environment."""
    model: SomeLine | None = None
    """None: EDGEBED_LLM_MODEL. The key is never configuration: OPENAI_API_KEY."""
    timeout_s: Patience = 20.0
    """Of one HTTP request, its answer included, also of a server that keeps sending blanks."""
    attempts: Annotated[int, Range(1, 100, "requests")] = 3
    """Requests per query: timeouts, lost connections, 429 and 5xx are tried again."""
    backoff_s: Annotated[float, Range(0, 3600, "s of wall time")] = 0.5
    """Before the second attempt; doubled for each further one."""
    longest_wait_s: Patience = 8.0
    """For which a `Retry-After` is waited out; of a longer one the agents go on without an answer until it is over."""
    max_calls: Annotated[int, Range(1, 1_000_000_000, "queries")] = 20_000
    """Queries of a run."""
    max_tokens: Annotated[int, Range(1, 1_000_000_000_000, "tokens")] = 20_000_000
    """Tokens of a run, prompts included; once they are spent the rules decide."""
    max_price: Annotated[float, Range(0, 1_000_000_000)] | None = None
    """Of a run, in the currency of the two prices, which it needs; once it is spent the rules decide."""
    input_price: Annotated[float, Range(0, 1_000_000, "per million tokens")] | None = None
    """Of tokens of the prompt; None: not known."""
    output_price: Annotated[float, Range(0, 1_000_000, "per million tokens")] | None = None
    """Of tokens of the answer; None: not known."""
    answer_tokens: Tokens = 1024
    context_tokens: Tokens | None = None
    """The model's window, prompt and answer together; None: as the server says, and if it does not, without limit."""
    temperature: Annotated[float, Range(0, 5)] | None = 0.0
    """None: not sent. A server that refuses it is asked without."""
    reasoning_effort: SomeLine | None = None
    """Sent where it is set: how long a model that reasons is to reason, in its server's words."""
    extra_body: dict[str, Any] = Field(default_factory=dict)
    """Further fields of every request, as the server wants them; none that is a key."""
    cache: SomeLine | None = None
    """Folder of answers by content: a question that was asked before, with the same settings, is not asked again. None:
    there is none."""

    def __hash__(self) -> int:
        """By what it says. As a default pydantic copies each time what cannot be hashed, and takes this as it is."""
        return hash(self.model_dump_json())

    @field_validator("base_url")
    @classmethod
    def _no_key_in_address(cls, value: str | None) -> str | None:
        parts = urlsplit(value or "")
        if "@" in (parts.netloc or parts.path.partition("/")[0]):
            raise ValueError(
                f"has a user or password before the host; {_BESIDE}, or all of it by EDGEBED_LLM_BASE_URL"
            )
        for name, _ in parse_qsl(parts.query, keep_blank_values=True):
            if _SECRET.search(name):
                raise ValueError(
                    f"has {name!r} in its query; {_BESIDE}, or all of it by EDGEBED_LLM_BASE_URL"
                )
        return value

    @field_validator("extra_body")
    @classmethod
    def _no_key_in_body(cls, value: dict[str, Any]) -> dict[str, Any]:
        for name in _names(value):
            if _SECRET.search(name):
                raise ValueError(f"has a field {name!r}; {_BESIDE}")
        return value

    @model_validator(mode="after")
    def _price_is_known(self) -> Self:
        missing = [n for n in ("input_price", "output_price") if getattr(self, n) is None]
        if self.max_price is not None and missing:
            raise ValueError(
                f"max_price = {self.max_price:g} is never spent without {' and '.join(missing)}; give what a million"
                " tokens cost, 0 if nothing"
            )
        return self

    def settled(self) -> OpenAiConfig:
        """The same with URL and model as the environment gives them now, so that it holds in any process."""
        url = self.base_url or os.environ.get("EDGEBED_LLM_BASE_URL")
        return self.model_copy(update={"base_url": url, "model": self.model_name})

    @property
    def model_name(self) -> str:
        """The model that is asked."""
        return self.model or os.environ.get("EDGEBED_LLM_MODEL", "")

    @property
    def url_told(self) -> str:
        """The server's address as a record may hold it: without user, password, query and fragment."""
        parts = urlsplit(self.base_url or os.environ.get("EDGEBED_LLM_BASE_URL") or DEFAULT_URL)
        host = parts.netloc.rpartition("@")[2]
        return urlunsplit((parts.scheme, host, parts.path, "", ""))

    def without_secrets(self, text: str) -> str:
        """A text without the key that the server is sent, and without what is secret of its address."""
        parts = urlsplit(self.base_url or os.environ.get("EDGEBED_LLM_BASE_URL") or "")
        known = [os.environ.get("OPENAI_API_KEY", ""), parts.password or "", unquote(parts.password or "")]
        known += [value for name, value in parse_qsl(parts.query) if _SECRET.search(name)]
        for secret in sorted(known, key=len, reverse=True):
            if len(secret) >= LEAST_SECRET:
                text = text.replace(secret, "***")
        return text

    def price(self, prompt_tokens: int, answer_tokens: int) -> float | None:
        """What so many tokens cost; None where no price is known."""
        if self.input_price is None and self.output_price is None:
            return None
        return (prompt_tokens * (self.input_price or 0.0) + answer_tokens * (self.output_price or 0.0)) / 1e6


def _names(value: Any) -> Iterator[str]:
    """Every key of some plain data, at any depth."""
    if isinstance(value, dict):
        yield from map(str, value)
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _names(inner)


DEFAULT_URL = "https://api.openai.com/v1"


def missing_settings(config: OpenAiConfig) -> list[str]:
    """Environment variables the `openai` reasoner needs and does not find."""
    need = [] if config.model else ["EDGEBED_LLM_MODEL"]
    if not (config.base_url or os.environ.get("EDGEBED_LLM_BASE_URL")):
        need.append("OPENAI_API_KEY")
    return [name for name in need if not os.environ.get(name)]
