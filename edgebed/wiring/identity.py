"""What an experiment is, as a digest: two runs belong together where scenario and testbed have the same."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from typing import Any, NamedTuple

from emulation.domain.scenario import Scenario, TraceSource
from workloads.trace_files import told_by_content

_ABSENT = "absent"
_AGENT = "the testbed's own"


class Identity(NamedTuple):
    """Digests (SHA-256, hexadecimal) of the canonical JSON of the validated scenario and of its testbed."""

    scenario: str
    """Of everything but the testbed; a trace file counts by its content, not by its name."""
    testbed: str


def identity_of(scenario: Scenario) -> Identity:
    """The digests of a scenario and of its testbed."""
    plain = plain_scenario(scenario)
    testbed = plain.pop("testbed")
    return Identity(_digest(plain), _digest(testbed))


def plain_scenario(scenario: Scenario) -> dict[str, Any]:
    """A scenario as plain data; the path of a trace file is replaced by its name and the digest of its content.

    Prices and the SLO are left out, and watts unless the scenario weighs energy: where no decision rests on them, runs
    stay of one experiment when they become known.
    """
    plain: dict[str, Any] = json.loads(scenario.model_dump_json())  # infinity as JSON can say it
    plain.pop("slo", None)
    del plain["testbed"]["prices"]
    if not scenario.energy_weight:
        del plain["testbed"]["power"], plain["energy_weight"]
    for source, given in zip(plain["workload"], scenario.workload, strict=True):
        if isinstance(given, TraceSource):
            source["trace"] = told_by_content(given.trace)
    agent = scenario.testbed.agent_llm
    if agent is not None:  # its port is whatever was free
        plain["testbed"]["agent_llm"]["port"] = 0
        for given in plain["controllers"].values():
            openai = given.get("openai")
            if isinstance(openai, dict) and openai.get("base_url") == agent.url:
                openai["base_url"] = _AGENT
    return plain


def differences(old: Any, new: Any, where: str = "") -> Iterator[str]:
    """Every field in which two pieces of plain data differ, as `workload[0].rate_per_s: 2.0, now 3.0`."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in dict.fromkeys((*old, *new)):
            inner = f"{where}.{key}" if where else str(key)
            yield from differences(old.get(key, _ABSENT), new.get(key, _ABSENT), inner)
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for i, (a, b) in enumerate(zip(old, new, strict=True)):
            yield from differences(a, b, f"{where}[{i}]")
    elif isinstance(old, list) and isinstance(new, list):
        yield f"{where}: {len(old)} entries, now {len(new)}"
    elif old != new:
        yield f"{where}: {_short(old)}, now {_short(new)}"


def with_new_options(old: Any, now: Any, told: Any) -> Any:
    """Plain data of an earlier version, with the options that came since and stand at their defaults.

    `now`: the same read by this version; `told`: of that, what is not at its default.
    """
    if isinstance(old, Mapping) and isinstance(now, Mapping):
        said = told if isinstance(told, Mapping) else {}
        grown = {key: with_new_options(value, now.get(key), said.get(key)) for key, value in old.items()}
        return grown | {key: value for key, value in now.items() if key not in old and key not in said}
    if isinstance(old, list) and isinstance(now, list) and len(old) == len(now):
        each = told if isinstance(told, list) and len(told) == len(now) else [None] * len(now)
        return [with_new_options(*three) for three in zip(old, now, each, strict=True)]
    return old


def changes_since(made_of: Mapping[str, Any], scenario: Scenario, backwards: bool = False) -> list[str]:
    """In what a scenario differs from the one a run was made of, whatever options this version has besides; a trace
    file may be gone since. `backwards`: said as in what that one differs from the scenario."""
    now = plain_scenario(scenario)
    told = json.loads(scenario.model_dump_json(exclude_defaults=True))
    before = with_new_options(made_of, now, told)
    apart = differences(now, before) if backwards else differences(before, now)
    return [d for d in apart if ".trace: " not in d]


@cache
def edgebed_version() -> str:
    """The version of this program."""
    try:
        return version("edgebed")
    except PackageNotFoundError:
        return "unknown"


def _digest(plain: Any) -> str:
    return sha256(json.dumps(plain, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _short(value: Any, limit: int = 80) -> str:
    text = value if value == _ABSENT else json.dumps(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"
