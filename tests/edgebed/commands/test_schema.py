"""The schemas that editors are given take every file that is shipped, and refuse what the program refuses."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import orjson
import pytest

from edgebed.commands.schema import Kind, file_schema
from emulation.yaml_text import read_yaml
from tests.build.command_line import edgebed

ROOT = Path(__file__).parents[3] / "emulation"
SCHEMAS = ROOT / "schemas"
FILES = [
    *(("scenario", path) for path in sorted((ROOT / "scenarios").glob("*.yaml"))),
    *(("testbed", path) for path in sorted((ROOT / "testbeds").glob("*.yaml"))),
    *(("profile", path) for path in sorted((ROOT / "testbeds" / "profiles").glob("*/*.yaml"))),
    *(("plan", path) for path in sorted((ROOT.parent / "edgebed" / "matrix" / "plans").glob("*.yaml"))),
]
KINDS: tuple[Kind, ...] = ("scenario", "testbed", "profile", "plan")


schema_of = cache(file_schema)
"""Made once for all tests."""


def wrong(kind: Any, held: Any) -> list[str]:
    """What the schema says is wrong with the data of a file."""
    return [e.json_path for e in jsonschema.Draft202012Validator(schema_of(kind)).iter_errors(held)]


@pytest.mark.parametrize(("kind", "path"), FILES, ids=[p.name for _, p in FILES])
def test_every_file_that_is_shipped_is_taken(kind: Kind, path: Path) -> None:
    assert wrong(kind, read_yaml(path)) == []


@pytest.mark.parametrize(("kind", "path"), FILES, ids=[p.name for _, p in FILES])
def test_every_file_that_is_shipped_begins_with_the_line_that_leads_an_editor_to_its_schema(
    kind: Kind, path: Path
) -> None:
    first = path.read_text(encoding="utf-8").splitlines()[0]
    head, _, target = first.partition("$schema=")
    assert head == "# yaml-language-server: "
    assert (path.parent / target).resolve() == SCHEMAS / f"{kind}.schema.json"
    assert orjson.loads((path.parent / target).read_bytes()) == schema_of(kind)


@pytest.mark.parametrize("kind", KINDS)
def test_a_key_that_is_no_field_is_refused_wherever_it_stands(kind: Kind) -> None:
    held: Any = read_yaml(next(path for of, path in FILES if of == kind))
    assert wrong(kind, {**held, "surprise": 1}) == ["$"]


def test_a_source_of_no_kind_is_refused_with_its_place() -> None:
    held: Any = read_yaml(ROOT / "scenarios" / "demo.yaml")
    held["workload"][0]["kind"] = "poison"
    assert wrong("scenario", held) == ["$.workload[0]"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_command_prints_or_writes_it_and_says_the_line_for_editors(kind: Kind, tmp_path: Path) -> None:
    printed = orjson.loads(edgebed("schema", kind).stdout)
    assert printed == schema_of(kind)
    file = tmp_path / f"{kind}.schema.json"
    said = edgebed("schema", kind, "--out", str(file))
    assert orjson.loads(file.read_bytes()) == printed
    assert f"# yaml-language-server: $schema={kind}.schema.json" in said.stdout
