"""More or less of the same demand: a scenario whose sources ask for `load` times as much, over the same time.

What is scaled is the rate at which work arrives; kinds, sizes, mixes, origins, events and deadlines stay. By source:

- `poisson`, `burst`, `sessions`: their rates.
- `trace`: `rate_per_s`, and with it `rows` where they are given, so that the same time is covered. A trace that plays
  in its own time has no rate to scale, and is refused.
- `periodic`: `load` times as many requests, each `interval_s / load` after the one before.
- `slotted`: the bounds of K, prompts per slot, origin and model, whose mean is scaled. K is a whole number, so only
  loads that give whole bounds are taken; and a model with feature `tokens`, of which a slot brings one request whatever
  K is, is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import ceil, floor, inf
from typing import Any

from pydantic import ValidationError

from emulation.domain.complaints import complaint
from emulation.domain.mistakes import ConfigError
from emulation.domain.scenario import (
    BurstSource,
    PeriodicSource,
    PoissonSource,
    Scenario,
    SessionSource,
    SlottedSource,
    Source,
    TraceSource,
)

_EXACT = 1e-9
"""Relative rounding that a load such as 0.1 x 30 may leave."""


def scaled(scenario: Scenario, load: float) -> Scenario:
    """The scenario with `load` times the demand; the same object for 1.

    Raises `ConfigError`, naming the source and what can be done, where a source cannot be scaled by that, for a
    load that is not above 0 or not finite, and where the whole would be more than a run may do.
    """
    if not 0 < load < inf:
        raise ConfigError(f"load {load:g}: must be a number above 0, and finite")
    if load == 1:
        return scenario
    sources = [_source(f"workload[{i}]", s, scenario, load) for i, s in enumerate(scenario.workload)]
    try:
        return Scenario.model_validate({**dict(scenario), "workload": tuple(sources)})
    except ValidationError as error:
        raise ConfigError(f"load {load:g}: {complaint(Scenario, error)}") from None


def _source(where: str, source: Source, scenario: Scenario, load: float) -> Source:
    found = next((change for kind, change in _CHANGES.items() if isinstance(source, kind)), None)
    if found is None:
        kind = getattr(source, "kind", type(source).__name__)
        raise ConfigError(f"{where}: a source of kind {kind} has no load to scale; override its own fields")
    try:
        changed = found(source, scenario, load)
        return type(source).model_validate({**source.model_dump(), **changed})
    except ValidationError as error:
        raise ConfigError(f"{where}: load {load:g}: {complaint(type(source), error)}") from None
    except OverflowError:
        raise ConfigError(f"{where}: load {load:g}: is more than can be counted; lower it") from None
    except ValueError as error:
        raise ConfigError(f"{where}: load {load:g}: {error}") from None


def _poisson(source: PoissonSource, _: Scenario, load: float) -> dict[str, Any]:
    return {"rate_per_s": source.rate_per_s * load}


def _burst(source: BurstSource, _: Scenario, load: float) -> dict[str, Any]:
    rates = ("base_rate_per_s", "burst_rate_per_s")
    return {name: getattr(source, name) * load for name in rates}


def _sessions(source: SessionSource, _: Scenario, load: float) -> dict[str, Any]:
    return {"sessions_per_s": source.sessions_per_s * load}


def _trace(source: TraceSource, _: Scenario, load: float) -> dict[str, Any]:
    if source.rate_per_s is None:
        raise ValueError("the trace plays in its own time; give the source a rate_per_s, which can be scaled")
    rows = None if source.rows is None else max(1, round(source.rows * load))
    return {"rate_per_s": source.rate_per_s * load, "rows": rows}


def _periodic(source: PeriodicSource, _: Scenario, load: float) -> dict[str, Any]:
    return {"interval_s": source.interval_s / load, "count": max(1, round(source.count * load))}


def _slotted(source: SlottedSource, scenario: Scenario, load: float) -> dict[str, Any]:
    named = source.models or tuple(m.id for m in scenario.testbed.models)
    single = [m for m in named if scenario.testbed.model(m).features == "tokens"]
    if single:
        raise ValueError(
            f"a slot brings one request of {single[0]!r} whatever K is; use a source of another kind"
        )
    total = (source.k_min + source.k_max) * load
    if abs(total - round(total)) > _EXACT * total or round(total) < 1:
        whole = source.k_min + source.k_max
        near = sorted({max(1, floor(total)) / whole, ceil(total) / whole})
        raise ValueError(
            f"K from {source.k_min} to {source.k_max} cannot be scaled so; give {' or '.join(f'{n:g}' for n in near)}"
        )
    least = min(round(source.k_min * load), round(total) // 2)
    return {"k_min": least, "k_max": round(total) - least}


_CHANGES: Mapping[type[Source], Callable[[Any, Scenario, float], dict[str, Any]]] = {
    PoissonSource: _poisson,
    BurstSource: _burst,
    SessionSource: _sessions,
    TraceSource: _trace,
    PeriodicSource: _periodic,
    SlottedSource: _slotted,
}
