"""Items of a response's input: what was said in earlier turns, and what tools did then."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import orjson
from pydantic import Discriminator, Field, Tag
from pydantic_core import PydanticCustomError, core_schema

from serve_apps.gateway.openai.bodies import Anything, Few, Shape, Text
from serve_apps.gateway.openai.conversation import Content, Message, Turn, turn_of
from serve_apps.gateway.openai.fields import UNSUPPORTED


class MessageItem(Message):
    """Something a client, a system or an earlier answer said."""

    type: Literal["message"] | None = None


class CalledItem(Shape):
    """A tool that an earlier answer called; ours never do."""

    type: Literal["function_call", "custom_tool_call"]
    call_id: Text
    name: Text
    arguments: Text = ""
    input: Text = ""

    def turn(self) -> Turn:
        """As the assistant's words."""
        return "assistant", [f"{self.name} {self.arguments}{self.input}"], []


class OutputItem(Shape):
    """What a tool gave back."""

    type: Literal["function_call_output", "custom_tool_call_output"]
    call_id: Text
    output: Content

    def turn(self) -> Turn:
        """As the tool's words, and its pictures."""
        return turn_of("tool", self.output)


class ReasoningItem(Shape):
    """What an earlier answer thought: its summary is read; nobody here can decrypt the rest."""

    type: Literal["reasoning"]
    summary: Annotated[list[Anything], Few] = Field(default_factory=list)
    content: Annotated[list[Anything], Few] | None = None

    def turn(self) -> Turn:
        """As the assistant's words."""
        said = [part.get("text") for part in (*self.summary, *(self.content or []))]
        return "assistant", [text for text in said if isinstance(text, str)], []


class _Unread:
    """An item nobody here can read."""

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        """Pydantic's hook."""
        return core_schema.no_info_plain_validator_function(self._refuse)

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> Any:
        """Nothing is one of these."""
        return {"not": {}}

    def _refuse(self, item: Any) -> Any:
        kind = item.get("type", "item_reference") if isinstance(item, dict) else None
        if kind == "item_reference":
            raise PydanticCustomError(
                UNSUPPORTED,
                "answers are not stored, so an item_reference points at nothing; send the item itself (store: false)",
            )
        known = "message, function_call, function_call_output, custom_tool_call, custom_tool_call_output, reasoning"
        said = orjson.dumps(kind).decode() if isinstance(kind, str) else "this"
        message = "{said} is no item that is read here; these are: {known}"
        raise PydanticCustomError(UNSUPPORTED, message, {"said": said[:80], "known": known})


def _kind(item: Any) -> str:
    if not isinstance(item, dict):
        return "unread"
    kind = item.get("type", None if "id" in item and "role" not in item else "message")
    if kind in ("message", None) and "role" in item or kind == "message":
        return "message"
    kinds = {
        "function_call": "called", "custom_tool_call": "called", "function_call_output": "output",
        "custom_tool_call_output": "output", "reasoning": "reasoning",
    }  # fmt: skip
    return kinds.get(kind, "unread") if isinstance(kind, str) else "unread"


Item = Annotated[
    Annotated[MessageItem, Tag("message")]
    | Annotated[CalledItem, Tag("called")]
    | Annotated[OutputItem, Tag("output")]
    | Annotated[ReasoningItem, Tag("reasoning")]
    | Annotated[Any, _Unread(), Tag("unread")],
    Discriminator(_kind),
]
