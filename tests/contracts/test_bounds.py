"""Every number of every file has finite bounds and every word a shape; a value outside them is one clear message."""

from __future__ import annotations

import copy
import types
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from itertools import islice, product
from math import inf, nan
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from controller.agents.scripted import ScriptLine
from controller.planners.memory import Case
from edgebed.wiring.controllers import REGISTRIES, check_parameters
from emulation.domain.cluster import TestbedConfig
from emulation.domain.complaints import complaint
from emulation.domain.profile import ProfileFile
from emulation.domain.quantities import Range, Words
from emulation.domain.scenario import Scenario
from emulation.files import (
    ConfigError,
    list_profiles,
    list_scenarios,
    list_testbeds,
    load_profile,
    load_scenario,
    load_testbed,
)
from serve_apps.engines.caption import CaptionSettings
from serve_apps.engines.picture import PictureSettings
from serve_apps.engines.prompting import TextSettings
from serve_apps.engines.vllm import VllmSettings
from serve_apps.gateway.server.settings import HttpSettings
from workloads.generate import Arrivals
from workloads.traces import TraceError

PARAMETERS = {getattr(kind, "Config", kind) for registry in REGISTRIES.values() for kind in registry.values()}
ENGINES = (CaptionSettings, PictureSettings, TextSettings, VllmSettings)
FILES = (Scenario, TestbedConfig, ProfileFile, ScriptLine, Case, HttpSettings, *ENGINES)
ROOTS = (*FILES, *sorted(PARAMETERS, key=str))
NAMES_OF_OTHERS = {
    ("ScriptLine", "agent"), ("ScriptLine", "on"), ("ScriptLine", "text"), ("ScriptLine", "failure"),
    ("ScriptCall", "name"), ("ScriptCall", "arguments"), ("Case", "p"), ("Case", "roles"), ("Case", "success"),
    ("Case", "latency_s"), ("Telemetry", "prompts_per_s"), ("Telemetry", "absent"), ("StaticConfig", "plan"),
    ("GivenConfig", "plan"), ("OpenAiConfig", "extra_body"), ("AgentOpenAiConfig", "extra_body"),
}  # fmt: skip
"""Words that are checked where they are used: against the names that exist, or by a library."""


def models_of(annotation: Any) -> Iterator[type[BaseModel]]:
    """Every model in an annotation, and those in its fields."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        for info in annotation.model_fields.values():
            yield from models_of(info.annotation)
    for part in get_args(annotation):
        yield from models_of(part)


MODELS = sorted({model for root in ROOTS for model in models_of(root)}, key=str)


def leaves(annotation: Any, metadata: tuple[Any, ...] = ()) -> Iterator[tuple[Any, tuple[Any, ...]]]:
    """The simple types in an annotation, each with what it is annotated with."""
    if get_origin(annotation) is Annotated:
        inner, *more = get_args(annotation)
        yield from leaves(inner, (*metadata, *more))
    elif get_origin(annotation) in (Union, types.UnionType):
        for part in get_args(annotation):
            yield from leaves(part, metadata)
    elif get_origin(annotation) in (tuple, dict):
        for part in get_args(annotation):
            yield from leaves(part)
    elif get_origin(annotation) is not Literal:
        yield annotation, metadata


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.__qualname__)
def test_every_number_of_a_file_has_finite_bounds_and_every_word_a_shape(model: type[BaseModel]) -> None:
    of_fields = (
        (name, *leaf)
        for name, info in model.model_fields.items()
        for leaf in leaves(info.annotation, tuple(info.metadata))
    )
    for name, kind, metadata in of_fields:
        if any(type(m).__name__ == "BeforeValidator" for m in metadata):
            continue  # an option of a program of others: bool, number or word
        if kind in (int, float):
            low, high, endless = bounds(metadata)
            assert -inf < low <= high < inf, f"{model.__qualname__}.{name}"
            assert not endless or name == "until_s", "only what never returns is infinite"
        if kind is str and (model.__qualname__, name) not in NAMES_OF_OTHERS:
            shaped = any(isinstance(m, Words) or "pattern" in repr(m) for m in metadata)
            assert shaped, f"{model.__qualname__}.{name} is any text"


def bounds(metadata: tuple[Any, ...]) -> tuple[float, float, bool]:
    """Lowest and highest value, and whether it may be infinite; infinite bounds where there are none."""
    low, high = -inf, inf
    for m in metadata:
        if isinstance(m, Range):
            return m.low, m.high, m.endless
        if isinstance(m, FieldInfo):
            return bounds(tuple(m.metadata))
        low = next((getattr(m, n) for n in ("ge", "gt") if getattr(m, n, None) is not None), low)
        high = next((getattr(m, n) for n in ("le", "lt") if getattr(m, n, None) is not None), high)
    return low, high, False


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.__qualname__)
def test_every_default_lies_within_its_own_bounds(model: type[BaseModel]) -> None:
    for info in model.model_fields.values():
        if not info.is_required():
            kind: Any = info.annotation
            for more in info.metadata:
                kind = Annotated[kind, more]
            TypeAdapter(kind).validate_python(info.get_default(call_default_factory=True))


# -- every number of every packaged file, replaced ------------------------------------------------------------

VALUES = (
    nan,
    inf,
    -inf,
    -1,
    0,
    -0.0,
    1e-300,
    1e300,
    2**70,
    "x",
    "",
    None,
    [],
    {},
    True,
    "../../x",
    "a\x1b[31mb",
)
KINDS: dict[str, tuple[Any, Any, Any]] = {
    "scenario": (Scenario, list_scenarios, load_scenario),
    "testbed": (TestbedConfig, list_testbeds, load_testbed),
    "profile": (ProfileFile, list_profiles, load_profile),
}


@cache
def packaged(kind: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = KINDS[kind][2](name).model_dump(mode="json")
    return found


def scalars(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where in a file a number or a word stands; of a list only its first item of each shape."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from scalars(inner, (*at, key))
    elif isinstance(value, list):
        shapes: set[str] = set()
        for i, inner in enumerate(value):
            shape = str(sorted(inner)) if isinstance(inner, dict) else type(inner).__name__
            if shape not in shapes:
                shapes.add(shape)
                yield from scalars(inner, (*at, i))
    elif value is not None:
        yield at


@cache
def places() -> dict[tuple[str, str], list[tuple[Any, ...]]]:
    """Every number and word of the packaged files, each key once per kind of file; by kind and file."""
    seen: set[tuple[Any, ...]] = set()
    found: dict[tuple[str, str], list[tuple[Any, ...]]] = {}
    for kind, (_, names, _) in KINDS.items():
        for name in names():
            for at in scalars(packaged(kind, name)):
                key = (kind, *(step for step in at if isinstance(step, str)))
                if key not in seen:
                    seen.add(key)
                    found.setdefault((kind, name), []).append(at)
    return found


def with_value(content: dict[str, Any], at: tuple[Any, ...], value: Any) -> dict[str, Any]:
    changed: Any = copy.deepcopy(content)
    inner = changed
    for step in at[:-1]:
        inner = inner[step]
    inner[at[-1]] = value
    return changed  # type: ignore[no-any-return]


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "name"), places())
def test_any_value_in_a_packaged_file_loads_or_is_told_in_one_line(kind: str, name: str) -> None:
    schema = KINDS[kind][0]
    for at, value in product(places()[kind, name], VALUES):
        try:
            loaded = schema.model_validate(with_value(packaged(kind, name), at, value))
        except ValidationError as error:
            told = complaint(schema, error)
            assert "\n" not in told
            assert told.isprintable()
            assert "pydantic" not in told
            assert len(told) < 2_000
            continue
        free = {"controllers", "settings"} & set(at)
        assert value is not True or free or isinstance(_at(packaged(kind, name), at), bool), (
            "true is no number"
        )
        if isinstance(loaded, Scenario):
            with suppress(ConfigError, TraceError):
                check_parameters(loaded)
                if at[0] != "testbed":
                    times_s = [request.arrival_s for request, _ in islice(Arrivals(loaded, 0), 2_000)]
                    assert times_s == sorted(times_s)
                    assert not times_s or times_s[-1] < loaded.end_s


def _at(content: Any, at: tuple[Any, ...]) -> Any:
    for step in at:
        content = content[step]
    return content
