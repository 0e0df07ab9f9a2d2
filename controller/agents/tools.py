"""Typed tools: pydantic arguments in, pydantic result out, one description for rules and models alike.

A tool that is called wrongly (unknown name, JSON that does not parse, an argument out of range, a device that does not
exist) changes nothing; what was wrong becomes the message the reasoner gets back.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from controller.agents.llm import ToolCall


class Arguments(BaseModel):
    """Base of tool arguments: unknown keys are errors; numbers are finite."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @property
    def target(self) -> tuple[str | None, str | None]:
        """Device and model that a call is about, where it names them."""
        return None, None


class Result(BaseModel):
    """Base of tool results."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ToolError(ValueError):
    """A call that is valid in form but names what is not there; the message goes back to the reasoner."""


@dataclass(frozen=True, slots=True)
class Tool:
    """One tool: its name, what it does, the types of its two ends, and the method behind it."""

    name: str
    description: str
    arguments: type[Arguments]
    promised: str | None = None
    """Metric a call of it promises to move; None for tools that only look."""
    words: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Arguments of which only certain words are possible on this testbed, and these."""
    ends: bool = False
    """Whether a call of it says that nothing more is to be done."""

    @property
    def acts(self) -> bool:
        """Whether it changes anything."""
        return self.promised is not None

    def schema(self) -> dict[str, Any]:
        """As the OpenAI API takes it; made anew each time, see `schemas`."""
        parameters = self.arguments.model_json_schema()
        parameters.pop("title", None)
        parameters.pop("description", None)
        possible = dict(self.words)
        for name, field in parameters.get("properties", {}).items():
            field.pop("title", None)
            if name in possible:
                field["enum"] = list(possible[name])
        return {
            "type": "function",
            "function": {"name": self.name, "description": self.description, "parameters": parameters},
        }


class Schemas(tuple[Mapping[str, Any], ...]):
    """Schemas of several tools, which nobody changes, and their text."""

    @cached_property
    def text(self) -> str:
        """As canonical JSON."""
        return json.dumps(list(self), sort_keys=True)


@cache
def schemas(tools: tuple[Tool, ...]) -> Schemas:
    """Those of these tools, made once: they follow from the types of arguments."""
    return Schemas(tool.schema() for tool in tools)


@dataclass(frozen=True, slots=True)
class Called:
    """One call and what became of it: a result, or an error and no change."""

    call: ToolCall
    tool: Tool | None
    arguments: Arguments | None
    result: Result | None
    error: str | None

    @property
    def target(self) -> tuple[str | None, str | None]:
        """Device and model that the call is about, where it names them and is valid."""
        return (None, None) if self.arguments is None else self.arguments.target

    def content(self) -> str:
        """The message the reasoner gets back."""
        if self.result is None:
            return json.dumps({"error": self.error})
        return self.result.model_dump_json(exclude_none=True)


def run_call(call: ToolCall, tools: Mapping[str, Tool], run: Callable[[str, Any], Result]) -> Called:
    """Validate one call and run it by `run(name, arguments)`; never raises for what the reasoner wrote."""
    tool = tools.get(call.name)
    if tool is None:
        return Called(call, None, None, None, f"unknown tool {call.name!r}; known: {sorted(tools)}")
    try:
        arguments = tool.arguments.model_validate_json(call.arguments or "{}")
    except ValidationError as error:
        return Called(call, tool, None, None, _said(error))
    try:
        return Called(call, tool, arguments, run(call.name, arguments), None)
    except ToolError as error:
        return Called(call, tool, arguments, None, str(error))


def _said(error: ValidationError) -> str:
    faults = []
    for one in error.errors(include_url=False, include_context=False)[:4]:
        where = ".".join(str(part) for part in one["loc"]) or "arguments"
        faults.append(f"{where}: {one['msg']}")
    return "; ".join(faults)
