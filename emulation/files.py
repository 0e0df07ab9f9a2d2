"""Loading of scenario and testbed files: packaged names or paths, and one clear message for every mistake."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from emulation.domain.cluster import TestbedConfig
from emulation.domain.profile import ProfileFile
from emulation.domain.scenario import Scenario

_Schema = TypeVar("_Schema", bound=BaseModel)

_HERE = Path(__file__).parent
_SHOWN = 60
"""Characters of an offending value that a message shows."""


class ConfigError(ValueError):
    """A file that cannot be used. The message names file, field, value and fix, one line per mistake."""


def list_scenarios() -> list[str]:
    """Names of the packaged scenarios, sorted."""
    return sorted(p.stem for p in (_HERE / "scenarios").glob("*.yaml"))


def list_testbeds() -> list[str]:
    """Names of the packaged testbeds, sorted."""
    return sorted(p.stem for p in (_HERE / "testbeds").glob("*.yaml"))


def list_profiles() -> list[str]:
    """Names of the packaged profile files, `device/model`, sorted."""
    root = _HERE / "testbeds" / "profiles"
    return sorted(p.relative_to(root).with_suffix("").as_posix() for p in root.glob("*/*.yaml"))


def load_scenario(name_or_path: str | Path) -> Scenario:
    """The scenario of a packaged name or a YAML file.

    Its `testbed` may be a packaged name, a path relative to the scenario file, or an inline mapping; a trace
    given as a relative path is looked for beside the scenario file too. Raises `ConfigError`.
    """
    path = _find(name_or_path, "scenario", list_scenarios())
    raw = _read(path)
    testbed = raw.get("testbed")
    if isinstance(testbed, str):
        raw["testbed"] = load_testbed(_beside(path, testbed))
    elif isinstance(testbed, dict):
        _take_profiles(path, testbed)
    _place_traces(path, raw)
    return _validated(Scenario, raw, path)


def load_testbed(name_or_path: str | Path) -> TestbedConfig:
    """The testbed of a packaged name or a YAML file. Raises `ConfigError`.

    An item of its `profile` may be a profile file: a packaged name, or a path, beside the testbed file or from
    here; `{profile: ..., model: ..., node: ...}` where its model or node has another name in the testbed.
    """
    path = _find(name_or_path, "testbed", list_testbeds())
    raw = _read(path)
    _take_profiles(path, raw)
    return _validated(TestbedConfig, raw, path)


def load_profile(name_or_path: str | Path) -> ProfileFile:
    """The profile of a packaged name or of a file that `edgebed profile` wrote. Raises `ConfigError`."""
    known, path = list_profiles(), Path(name_or_path)
    if str(name_or_path) in known:
        path = _HERE / "testbeds" / "profiles" / f"{name_or_path}.yaml"
    elif not path.is_file():
        if path.suffix in (".yaml", ".yml"):
            raise ConfigError(f"{path}: no such profile file; measure one with `edgebed profile`")
        raise ConfigError(f"unknown profile {str(name_or_path)!r}; {did_you_mean(str(name_or_path), known)}")
    return _validated(ProfileFile, _read(path), path)


def load_settings(schema: type[_Schema], path: Path) -> _Schema:
    """Settings of a kind from a YAML file. Raises `ConfigError`."""
    return _validated(schema, _read(path), path)


def did_you_mean(name: str, known: Sequence[str]) -> str:
    """`did you mean 'x'?` where a known name is close, else the list of known names."""
    close = difflib.get_close_matches(name.lower(), [k.lower() for k in known], n=1, cutoff=0.5)
    if close:
        return f"did you mean {next(k for k in known if k.lower() == close[0])!r}? known: {', '.join(known)}"
    return f"known: {', '.join(known)}"


def _find(name_or_path: str | Path, kind: str, known: list[str]) -> Path:
    packaged = _HERE / f"{kind}s" / f"{name_or_path}.yaml"
    if str(name_or_path) in known:
        return packaged
    path = Path(name_or_path)
    if path.is_file():
        return path
    if path.suffix in (".yaml", ".yml") or len(path.parts) > 1:
        raise ConfigError(f"{path}: no such file; give the path of a {kind} file or one of {known}")
    raise ConfigError(f"unknown {kind} {str(name_or_path)!r}; {did_you_mean(str(name_or_path), known)}")


def _beside(path: Path, reference: str) -> str | Path:
    """A path relative to the file that names it, where that exists; else the reference itself."""
    beside = path.parent / reference
    return beside if beside.is_file() else reference


def _place_traces(path: Path, raw: dict[str, Any]) -> None:
    sources = raw.get("workload")
    for source in sources if isinstance(sources, list) else []:
        if isinstance(source, dict) and isinstance(source.get("trace"), str):
            source["trace"] = str(_beside(path, source["trace"]))


def _take_profiles(path: Path, raw: dict[str, Any]) -> None:
    """Put the entries of profile files in the place of their names."""
    entries = raw.get("profile")
    if isinstance(entries, list):
        raw["profile"] = [_taken(path, number, item) for number, item in enumerate(entries)]


def _taken(path: Path, number: int, item: Any) -> Any:
    named = item if isinstance(item, dict) else {"profile": item}
    if not isinstance(named.get("profile"), str):
        return item
    more = {key: value for key, value in named.items() if key != "profile"}
    for key in more:
        if key not in ("model", "node"):
            known = ["profile", "model", "node"]
            raise ConfigError(f"{path}: profile[{number}]: unknown key {key!r}; {did_you_mean(key, known)}")
    return load_profile(_beside(path, named["profile"])).entry().model_dump() | more


class _Loader(yaml.SafeLoader):
    """YAML without two traps: only true and false are booleans (off is a mode); a doubled key is an error."""

    yaml_implicit_resolvers = {
        first: [(tag, regexp) for tag, regexp in rules if tag != "tag:yaml.org,2002:bool" or first in "tTfF"]
        for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        doubled = next((k for i, k in enumerate(keys) if k in keys[:i]), None)
        if doubled is not None:
            raise yaml.constructor.ConstructorError(
                None, None, f"key {doubled!r} appears twice; remove one", node.start_mark
            )
        return super().construct_mapping(node, deep)


def _read(path: Path) -> dict[str, Any]:
    try:
        raw = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506 (a SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = "" if mark is None else f": line {mark.line + 1}, column {mark.column + 1}"
        raise ConfigError(f"{path}{where}: not valid YAML: {error.problem}") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from None
    if not isinstance(raw, dict):
        kind = "empty" if raw is None else f"a {type(raw).__name__}"
        raise ConfigError(f"{path}: is {kind}; the file must be a mapping of fields to values")
    return raw


def _validated(schema: type[_Schema], raw: dict[str, Any], path: Path) -> _Schema:
    try:
        return schema.model_validate(raw)
    except ValidationError as error:
        lines = [f"{path}: {_explain(schema, e)}" for e in _root_causes(error)]
        raise ConfigError("\n".join(dict.fromkeys(lines))) from None


def _root_causes(error: ValidationError) -> list[dict[str, Any]]:
    """Pydantic's errors without those that only follow from another: a list left short by a bad item."""
    errors: list[dict[str, Any]] = [dict(e) for e in error.errors(include_url=False)]

    def follows(e: dict[str, Any]) -> bool:
        inside = [o for o in errors if o["loc"][: len(e["loc"])] == e["loc"] and o is not e]
        return e["type"] == "too_short" and bool(inside)

    return [e for e in errors if not follows(e)]


def _explain(schema: type[BaseModel], error: dict[str, Any]) -> str:
    """One pydantic error as `field: what is wrong (got value); fix`."""
    where = _field_path(error["loc"])
    kind, value, context = error["type"], error["input"], error.get("ctx", {})
    if kind == "extra_forbidden":
        key = str(error["loc"][-1])
        return f"{where}: unknown key {key!r}; {did_you_mean(key, _known_keys(schema, error['loc'][:-1]))}"
    if kind == "missing":
        return f"{where}: is missing; add it"
    if kind == "union_tag_not_found":
        return f"{where}: has no kind; add one"
    if kind == "union_tag_invalid":
        tags = [t.strip().strip("'") for t in context["expected_tags"].split(",")]
        return f"{where}: unknown kind {context['tag']!r}; {did_you_mean(context['tag'], tags)}"
    if kind == "value_error":
        text = str(context["error"])
        return f"{where}: {text}" if where else text
    shown = repr(value) if len(repr(value)) <= _SHOWN else repr(value)[:_SHOWN] + "..."
    message = str(error["msg"])
    return f"{where}: {message[:1].lower()}{message[1:]} (got {shown})"


# -- where in a file a pydantic error is, in the file's own terms, and which keys are known there

Location = Sequence[int | str]
"""A pydantic error location: field names, list indices and the tags of discriminated unions."""

_TAGGED = ("workload", "events")
"""List fields whose members are discriminated unions: the part after the index is a tag, not a key."""


def _field_path(location: Location) -> str:
    """A location as `workload[0].rate_per_s`: indices in brackets, union tags left out."""
    path = ""
    for i, part in enumerate(location):
        if isinstance(part, int):
            path += f"[{part}]"
        elif not _is_tag(location, i):
            path += f".{part}" if path else part
    return path


def _known_keys(schema: type[BaseModel], location: Location) -> list[str]:
    """Field names of the model at `location`, in the order of the schema; empty where there is none."""
    at: Any = schema
    for i, part in enumerate(location):
        if isinstance(part, int):
            at = next((a for a in get_args(at) if a is not Ellipsis), None)
        elif _is_tag(location, i):
            at = next((m for m in _models(at) if _tag(m) == part), None)
        else:
            field = next((m.model_fields[part] for m in _models(at) if part in m.model_fields), None)
            at = None if field is None else field.annotation
    return [name for m in _models(at) for name in m.model_fields]


def _is_tag(location: Location, index: int) -> bool:
    return index >= 2 and isinstance(location[index - 1], int) and location[index - 2] in _TAGGED


def _tag(model: type[BaseModel]) -> Any:
    return model.model_fields["kind"].default if "kind" in model.model_fields else None


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """Model classes an annotation allows."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif get_origin(annotation) in (Union, UnionType, Annotated):
        for argument in get_args(annotation):
            yield from _models(argument)
