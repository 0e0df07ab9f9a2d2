"""`edgebed schema`: what a file may hold, as JSON Schema, for editors that complete and check YAML."""

from __future__ import annotations

from math import isinf
from pathlib import Path
from typing import Annotated, Any, Literal

import orjson
import typer
from pydantic import BaseModel

from edgebed.commands.console import out
from edgebed.commands.options import QuietOption, print_json

Kind = Literal["scenario", "testbed", "profile", "plan"]
_NAMED = {"type": "string", "description": "A packaged name, or the path of a file."}


def schema(
    kind: Annotated[Kind, typer.Argument(help="Which kind of file the schema is of.")],
    file: Annotated[
        Path | None,
        typer.Option(
            "--out", dir_okay=False, help="File to write it to. By default it goes to standard output."
        ),
    ] = None,
    quiet: QuietOption = False,
) -> None:
    """Print the JSON Schema of a scenario, testbed, profile or matrix plan, which editors complete and check by."""
    from emulation.recording import write_whole

    found = file_schema(kind)
    if file is None:
        print_json(found)
        return
    write_whole(file, schema_text(kind).encode())
    out.print(
        f"wrote {file}; begin a {kind} file beside it with this line, and your editor knows it:",
        highlight=False,
    )
    out.print(f"# yaml-language-server: $schema={file.name}", highlight=False)


def schema_text(kind: Kind) -> str:
    """The schema as a file."""
    return orjson.dumps(file_schema(kind), option=orjson.OPT_INDENT_2).decode() + "\n"


def file_schema(kind: Kind) -> dict[str, Any]:
    """What a YAML file of this kind may hold (JSON Schema, draft 2020-12): the data, or the name of it where that may
    stand in its place."""
    from edgebed.matrix.plan import MatrixPlan
    from emulation.domain.cluster import TestbedConfig
    from emulation.domain.profile import ProfileFile
    from emulation.domain.scenario import Scenario

    models: dict[Kind, type[BaseModel]] = {
        "scenario": Scenario,
        "testbed": TestbedConfig,
        "profile": ProfileFile,
        "plan": MatrixPlan,
    }
    found: dict[str, Any] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **_finite(models[kind].model_json_schema()),
    }
    if kind == "scenario":
        found["properties"]["testbed"] = {"anyOf": [_NAMED, found["properties"]["testbed"]]}
        _take_names(found["$defs"]["TestbedConfig"])
    if kind == "plan":
        _take_words(found["properties"])
    if kind == "testbed":
        _take_names(found)
    return found


def _finite(found: Any) -> Any:
    """The same without bounds and defaults that are infinite, for which JSON has no number."""
    if isinstance(found, dict):
        return {k: _finite(v) for k, v in found.items() if not (isinstance(v, float) and isinf(v))}
    return [_finite(v) for v in found] if isinstance(found, list) else found


def _take_words(plan: dict[str, Any]) -> None:
    """A scenario of a plan may be a name alone, and its seeds text as `0-7`."""
    entries = plan["scenarios"]
    entries["items"] = {"anyOf": [_NAMED, entries["items"]]}
    seeds = {
        key: plan["seeds"].pop(key)
        for key in ("type", "items", "minItems", "maxItems")
        if key in plan["seeds"]
    }
    plan["seeds"]["anyOf"] = [{"type": "string", "description": "Seeds as 0-7 or 0,3,5."}, seeds]


def _take_names(testbed: dict[str, Any]) -> None:
    """An item of a testbed's profile may be the name of a profile file, too."""
    item = testbed["properties"]["profile"]["items"]
    renamed = {
        "type": "object",
        "properties": {"profile": _NAMED, "model": {"type": "string"}, "node": {"type": "string"}},
        "required": ["profile"],
        "additionalProperties": False,
    }
    testbed["properties"]["profile"]["items"] = {"anyOf": [_NAMED, renamed, item]}
