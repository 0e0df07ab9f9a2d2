"""Loading of scenario and testbed files: packaged names or paths, and one clear message for every mistake."""

from __future__ import annotations

from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from emulation.domain.cluster import TestbedConfig
from emulation.domain.complaints import complaint
from emulation.domain.mistakes import ConfigError as ConfigError
from emulation.domain.mistakes import did_you_mean as did_you_mean
from emulation.domain.profile import ProfileFile
from emulation.domain.scenario import Scenario
from emulation.yaml_text import YamlError, read_yaml

_Schema = TypeVar("_Schema", bound=BaseModel)

_HERE = Path(__file__).parent


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
    elif not is_file(path):
        if path.suffix in (".yaml", ".yml"):
            raise ConfigError(f"{path}: no such profile file; measure one with `edgebed profile`")
        raise ConfigError(f"unknown profile {str(name_or_path)!r}; {did_you_mean(str(name_or_path), known)}")
    return _validated(ProfileFile, _read(path), path)


def load_settings(schema: type[_Schema], path: Path) -> _Schema:
    """Settings of a kind from a YAML file. Raises `ConfigError`."""
    return _validated(schema, _read(path), path)


def _find(name_or_path: str | Path, kind: str, known: list[str]) -> Path:
    packaged = _HERE / f"{kind}s" / f"{name_or_path}.yaml"
    if str(name_or_path) in known:
        return packaged
    path = Path(name_or_path)
    if is_file(path):
        return path
    if str(name_or_path) and _is_folder(path):
        raise ConfigError(f"{path}: is a folder; give the path of a {kind} file or one of {known}")
    if path.suffix in (".yaml", ".yml") or len(path.parts) > 1:
        raise ConfigError(f"{path}: no such file; give the path of a {kind} file or one of {known}")
    raise ConfigError(f"unknown {kind} {str(name_or_path)!r}; {did_you_mean(str(name_or_path), known)}")


def _beside(path: Path, reference: str) -> str | Path:
    """A path relative to the file that names it, where that exists; else the reference itself."""
    beside = path.parent / reference
    return beside if is_file(beside) else reference


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        return False


def is_file(path: Path) -> bool:
    """Whether there is a file of this name; none of a name that no file can have, or in a folder that is closed."""
    try:
        return path.is_file()
    except OSError:
        return False


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
            raise ConfigError(
                f"{path}: profile[{number}]: unknown key {key!r}; {did_you_mean(str(key), known)}"
            )
    return load_profile(_beside(path, named["profile"])).entry().model_dump() | more


def _read(path: Path) -> dict[str, Any]:
    return deepcopy(_packaged(path)) if path.is_relative_to(_HERE) else _read_anew(path)


@cache
def _packaged(path: Path) -> dict[str, Any]:
    """What a file of this package says: it is always the same, and a testbed of it is read again and again."""
    return _read_anew(path)


def _read_anew(path: Path) -> dict[str, Any]:
    try:
        raw = read_yaml(path)
    except YamlError as error:
        raise ConfigError(f"{path}: {error}") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from None
    if not isinstance(raw, dict):
        kind = "empty" if raw is None else f"a {type(raw).__name__}"
        raise ConfigError(f"{path}: is {kind}; the file must be a mapping of fields to values")
    return raw


def _validated(schema: type[_Schema], raw: dict[str, Any], path: Path) -> _Schema:
    try:
        return schema.model_validate(raw)
    except ValidationError as error:
        raise ConfigError(f"{path}: {complaint(schema, error)}") from None
