"""What a language model's server says, read: refusals, reasoning, counts and when to come again, in whatever form."""

from __future__ import annotations

from datetime import UTC
from email.utils import parsedate_to_datetime
from math import isnan
from typing import Any


def refusal(error: Any) -> tuple[str | None, str]:
    """The parameter a refusal names, and its message."""
    body = error.body if isinstance(error.body, dict) else {}
    inner = body.get("error", body)
    message = inner.get("message") if isinstance(inner, dict) else inner
    text = str(message or error.message or "")
    param = inner.get("param") if isinstance(inner, dict) else None
    return (param if isinstance(param, str) else None), text


def utf8(text: Any) -> str:
    """What a model wrote as text that can be written again: half characters become question marks."""
    return str(text).encode(errors="replace").decode()


def aloud(message: Any) -> str:
    """What a model wrote of its reasoning, as servers that tell it apart from the answer hand it over."""
    told = getattr(message, "reasoning_content", None) or getattr(message, "reasoning", None)
    return told if isinstance(told, str) else ""


def count(usage: Any, name: str) -> int:
    """A count that a server states; 0 where it does not."""
    found = getattr(usage, name, None)
    return found if isinstance(found, int) else 0


def reasoning_tokens(usage: Any) -> int:
    """Tokens of its answer that a model reasoned in, where the server counts them."""
    return count(getattr(usage, "completion_tokens_details", None), "reasoning_tokens")


def retry_after_s(header: str | None, now_s: float) -> float:
    """Seconds until a server is to be asked again, by either form of `Retry-After`; 0 where it does not say.

    `now_s`: the wall clock, Unix seconds.
    """
    try:
        wait_s = float(header or 0.0)
    except ValueError:
        try:
            at = parsedate_to_datetime(header or "")
            wait_s = at.replace(tzinfo=at.tzinfo or UTC).timestamp() - now_s
        except (ValueError, OverflowError):  # a year or a zone that no calendar has
            return 0.0
    return 0.0 if isnan(wait_s) else min(max(wait_s, 0.0), 86_400.0)
