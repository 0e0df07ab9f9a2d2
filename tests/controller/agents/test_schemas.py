"""Schemas of tools are made once, and a question's key is that of its whole text all the same."""

from __future__ import annotations

import hashlib
import json

from controller.agents.llm import Message, Query
from controller.agents.tools import schemas
from controller.meta.tools import TOOLS


def test_schemas_of_the_same_tools_are_the_same_object_and_say_what_each_tool_says() -> None:
    tools = tuple(TOOLS.values())
    assert schemas(tools) is schemas(tuple(TOOLS.values()))
    assert list(schemas(tools)) == [tool.schema() for tool in tools]


def test_the_key_of_a_question_is_of_agent_messages_and_tools_together() -> None:
    messages = (Message("user", 'a "quoted" question'),)
    made = schemas(tuple(TOOLS.values()))
    text = json.dumps(["meta", [m.wire() for m in messages], list(made)], sort_keys=True)
    key = hashlib.blake2b(text.encode(), digest_size=12).hexdigest()
    assert Query("meta", 1, 0, messages, made).key() == key
    assert Query("meta", 1, 0, messages, tuple(made)).key() == key
