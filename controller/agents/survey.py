"""What is asked of a model's server before a run: what it is, whether it answers, holds to a schema and shows tools."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Protocol

from controller.agents.llm import Message, Query, Reply, Wanted
from controller.agents.server import Server

PREFLIGHT = "preflight"
"""Who asks here. Never answered from a cache: it is the server that is looked at."""
_READY: dict[str, Any] = {
    "type": "object",
    "properties": {"answer": {"type": "string", "enum": ["ready"]}},
    "required": ["answer"],
    "additionalProperties": False,
}
_ASKED = (
    Message("system", "You answer in JSON."),
    Message("user", 'Say that you are ready: {"answer": "ready"}'),
)
_TOOL: dict[str, Any] = {
    "type": "function",
    "function": {"name": "say_ready", "description": "Say that you are ready.", "parameters": _READY},
}


class Asked(Protocol):
    """What a survey needs of a client."""

    @property
    def server(self) -> Server: ...

    def listed(self) -> list[dict[str, Any]] | None: ...

    def ask(self, query: Query) -> Reply: ...

    @property
    def model(self) -> str: ...


def look_at(client: Asked) -> None:
    """Read the server's list of models, once. Raises `ConnectionError` where nobody answers."""
    server = client.server
    if server.looked_at:
        return
    entries = client.listed() or []
    server.looked_at = True
    own = [e for e in entries if e.get("id") == client.model]
    for entry in own[:1] or (entries if len(entries) == 1 else []):  # of several, another one tells nothing
        server.listed(client.model, entry)


def look_for_tools(client: Asked) -> None:
    """See whether the model is shown tools, once: it calls one it must call, or its prompt grows with them."""
    server = client.server
    if server.looked_for_tools or "tools" in server.left_out:
        server.shows_tools = server.shows_tools and "tools" not in server.left_out
        return
    without = _reply(client, ())
    given = _reply(client, (_TOOL,), must_call=True)
    if without is None or given is None:
        return
    server.looked_for_tools = True
    grown = _prompt_tokens(given) > _prompt_tokens(without)
    server.shows_tools = "tools" not in server.left_out and (bool(given.calls) or grown)


def doubts(client: Asked) -> list[str]:
    """What a user should know of this server before a run, from one small question.

    Raises `ConnectionError` where nobody answers, `ReasonerError` where it refuses for good.
    """
    look_at(client)
    reply = _reply(client, ())
    if reply is None:
        return []
    if "response_format" in client.server.left_out:
        return [f"{client.server.url} takes no schema of answers: they are asked for in words only"]
    return (
        [] if _held(reply.text) else [f"{client.server.url} does not hold its model to a schema of answers"]
    )


def _reply(client: Asked, tools: Sequence[dict[str, Any]], must_call: bool = False) -> Reply | None:
    """What it answers to a small question; None where it is not there at present."""
    wanted = Wanted("free", _READY, must_call, answer_tokens=64)
    reply = client.ask(Query(PREFLIGHT, 1, 0, _ASKED, tuple(tools), wanted=wanted))
    return None if reply.failure not in (None, "length", "malformed_response") else reply


def _prompt_tokens(reply: Reply) -> int:
    return 0 if reply.served is None or reply.served.estimated else reply.served.prompt_tokens


def _held(text: str) -> bool:
    try:
        return bool(json.loads(text) == {"answer": "ready"})
    except ValueError:
        return False
