"""How a value of a plan changes a scenario: a field by its dotted key, so many times it, or the load as a whole."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from emulation.domain.complaints import complaint
from emulation.domain.mistakes import ConfigError, did_you_mean
from emulation.domain.quantities import shown
from emulation.domain.scenario import Scenario
from workloads.scaling import scaled

LOAD = "load"
"""The parameter that is no field of a scenario."""
_MOST_LOAD = 1_000_000
"""Times what a scenario asks for."""
_TIMES = re.compile(r"[x×](\d+(?:\.\d+)?)")
_FREE = ("controllers", "plan")
"""Fields under which a key may be new."""


def changed(scenario: Scenario, settings: Mapping[str, Any]) -> Scenario:
    """The scenario with every setting, in their order; `load` last, whatever its place.

    Raises `ConfigError` naming key, value and what is there for a key that leads nowhere or a value that does not fit.
    """
    fields = {key: value for key, value in settings.items() if key != LOAD}
    if fields:
        raw = json.loads(scenario.model_dump_json())
        for key, value in fields.items():
            _set(raw, key, value)
        try:
            scenario = Scenario.model_validate(raw)
        except ValidationError as error:
            said = ", ".join(f"{key}: {shown(value)}" for key, value in fields.items())
            raise ConfigError(f"with {said}: {complaint(Scenario, error)}") from None
    return scaled(scenario, _load(settings[LOAD])) if LOAD in settings else scenario


def said_value(value: Any) -> str:
    """A value of a parameter as tables show it."""
    if isinstance(value, float) and value.is_integer():
        return f"{value:g}"
    return value if isinstance(value, str) else json.dumps(value)


def _load(value: Any) -> float:
    times = _TIMES.fullmatch(value) if isinstance(value, str) else None
    number = float(times[1]) if times else value
    if isinstance(number, bool) or not isinstance(number, int | float) or not 0 < number <= _MOST_LOAD:
        raise ConfigError(f"load: must be a number above 0, at most {_MOST_LOAD:,}, not {shown(value)}")
    return float(number)


def _set(raw: dict[str, Any], key: str, value: Any) -> None:
    *way, last = key.split(".")
    holders: list[tuple[Any, str]] = [(raw, "")]
    for word in way:
        holders = [found for holder, where in holders for found in _below(holder, where, word, key)]
    for holder, where in holders:
        for place in _places(holder, where, last, key):
            before = holder[place] if not isinstance(holder, dict) else holder.get(place)
            holder[place] = _new(before, value, key)


def _below(holder: Any, where: str, word: str, key: str) -> Iterator[tuple[Any, str]]:
    for place in _places(holder, where, word, key):
        inner = f"{where}.{place}".lstrip(".")
        if isinstance(holder, dict) and holder.get(place) is None:
            holder[place] = {}
        yield holder[place], inner


def _places(holder: Any, where: str, word: str, key: str) -> list[Any]:
    """The keys or indices that one word of a dotted key names. Raises `ConfigError` where it names none."""
    said = where or "the scenario"
    if isinstance(holder, list):
        if word == "*" and holder:
            return list(range(len(holder)))
        if word.isdecimal() and int(word) < len(holder):
            return [int(word)]
        ends = f"0 to {len(holder) - 1}, or *" if holder else "none, it is empty"
        raise ConfigError(f"{key}: {said} has no entry {word!r}; there are {ends}")
    if not isinstance(holder, dict):
        raise ConfigError(f"{key}: {said} is {shown(holder)}, which has no fields")
    if word == "*" and holder:
        return list(holder)
    if word not in holder and where.split(".")[0] not in _FREE:
        raise ConfigError(f"{key}: {said} has no field {word!r}; {did_you_mean(word, [LOAD, *holder])}")
    return [word]


def _new(before: Any, value: Any, key: str) -> Any:
    times = _TIMES.fullmatch(value) if isinstance(value, str) else None
    if times is None:
        return value
    if isinstance(before, list) and before and all(_is_number(b) for b in before):
        return [b * float(times[1]) for b in before]
    if not _is_number(before):
        raise ConfigError(
            f"{key}: is {shown(before)} in this scenario, so there is no {value} of it; give a value"
        )
    found = before * float(times[1])
    return round(found) if isinstance(before, int) and found == round(found) else found


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
