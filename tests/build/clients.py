"""A client of a model, and the server it asks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from controller.agents.client import OpenAiLlm
from controller.agents.llm import Message, Query, Wanted
from controller.agents.openai_config import OpenAiConfig
from tests.build.server_script import Answered, Behaviour, ScriptedServer, said, serving

SCHEMA = {
    "type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": False,
}  # fmt: skip
GOOD = '{"n": 1}'
TOOL = {"type": "function", "function": {"name": "act", "description": "Act.", "parameters": SCHEMA}}
QUICK = {"model": "m", "attempts": 3, "backoff_s": 0.0, "timeout_s": 5.0}


def query(text: str = "What now?", tools: tuple[dict[str, Any], ...] = (), **wanted: Any) -> Query:
    messages = (Message("system", "You decide."), Message("user", text))
    return Query("planner", 1, 0, messages, tools, wanted=Wanted("free", SCHEMA, **wanted))


@contextmanager
def client(
    behave: Behaviour, models: Any = None, **config: Any
) -> Iterator[tuple[OpenAiLlm, ScriptedServer]]:
    with serving(ScriptedServer(behave, models)) as server:
        settings = OpenAiConfig.model_validate({**QUICK, "base_url": server.url, **config})
        yield OpenAiLlm(settings), server


def once(answer: Answered) -> Behaviour:
    """This first; a good answer to all that follows."""
    return lambda body, before: said(GOOD) if before else answer


def uncounted(answer: Answered) -> Answered:
    """The same of a server that counts no tokens."""
    return Answered(body={name: value for name, value in answer.body.items() if name != "usage"})
