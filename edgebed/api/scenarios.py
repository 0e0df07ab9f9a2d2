"""What is run: packaged scenarios and testbeds, files, and changes to them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from edgebed.wiring.parts import scheme_names
from emulation import files
from emulation.domain.cluster import TestbedConfig
from emulation.domain.complaints import complaint
from emulation.domain.mistakes import ConfigError
from emulation.domain.scenario import Scenario


def scenarios() -> list[str]:
    """Names of the packaged scenarios."""
    return files.list_scenarios()


def testbeds() -> list[str]:
    """Names of the packaged testbeds."""
    return files.list_testbeds()


def schemes() -> list[str]:
    """Names of the schemes that are shipped, and of those that installed packages offer."""
    return scheme_names()


def load_scenario(name_or_path: str | Path, **changes: Any) -> Scenario:
    """The scenario of a packaged name or a YAML file, with some of its fields changed.

    Fields are those of a scenario file, with its units: `slots=20`, `deadline_s=60`, `events=[]`,
    `workload=[{"kind": "poisson", "rate_per_s": 2.0, "mix": {"gpt2": 1}}]`; `testbed` may be a name, a path, a mapping
    or a testbed. Raises `ConfigError` naming field, value and fix.
    """
    found = files.load_scenario(name_or_path)
    if not changes:
        return found
    fields = {name: getattr(found, name) for name in Scenario.model_fields}
    return _made({**fields, **changes}, f"scenario {found.name}")


def build_scenario(**fields: Any) -> Scenario:
    """A scenario of nothing but these fields, which are those of a scenario file; `testbed` may be a name or a path.

    Raises `ConfigError` naming field, value and fix.
    """
    return _made(fields, "scenario")


def load_testbed(name_or_path: str | Path) -> TestbedConfig:
    """The testbed of a packaged name or a YAML file. Raises `ConfigError`."""
    return files.load_testbed(name_or_path)


def scenario_of(given: Scenario | str | Path) -> Scenario:
    """A scenario as it is, or that of a name or path. Raises `ConfigError`, and for what is none of these."""
    if isinstance(given, Scenario):
        return given
    if isinstance(given, str | Path):
        return files.load_scenario(given)
    raise ConfigError(f"scenario {given!r:.80}: must be a scenario, its packaged name, or the path of a file")


def _made(fields: dict[str, Any], said: str) -> Scenario:
    testbed = fields.get("testbed")
    if isinstance(testbed, str | Path):
        fields["testbed"] = files.load_testbed(testbed)
    try:
        return Scenario.model_validate({name: _plain(value) for name, value in fields.items()})
    except ValidationError as error:
        raise ConfigError(f"{said}: {complaint(Scenario, error)}") from None


def _plain(value: Any) -> Any:
    """Lists of models and mappings, mixed, as pydantic takes them."""
    if isinstance(value, list | tuple):
        return tuple(v.model_dump() if isinstance(v, BaseModel) else v for v in value)
    return value
