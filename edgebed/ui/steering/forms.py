"""Forms for what may be done to a testbed, made from the types of its events: fields, units, defaults and choices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from inspect import getdoc
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from edgebed.ui.steering.client import checked_event
from emulation.domain.cluster import TestbedConfig
from emulation.domain.events import Event, OutsideFault
from emulation.domain.mistakes import ConfigError
from emulation.domain.quantities import limits
from emulation.domain.scenario import check_event

Input = Literal["choice", "flag", "text", "number"]
TIMES = ("kind", "at_s", "until_s")
"""Fields of every event that are no field of a form: what it is, and when."""
LABELS = {"a": "from site", "b": "to site", "visible": "told to controllers"}
SHOWN = {"onset": "that it began", "never": "nothing"}
KINDS: Mapping[str, Any] = {
    t.model_fields["kind"].default: t
    for t in get_args(get_args(Event)[0])
    if "kind" in t.model_fields and t is not OutsideFault
}
"""Every kind but the one that names code: whoever may, gives that on the command line."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a form. Its value is text, as a command line has it, or a truth value."""

    name: str
    label: str
    input: Input
    required: bool
    default: str | bool
    """Empty text: nothing is said, and the event's own default holds."""
    unit: str = ""
    bounds: str = ""
    """What it may be, in words; empty: anything."""
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Form:
    """How an event of one kind is asked for."""

    kind: str
    said: str
    """What it does, in a sentence."""
    fields: tuple[Field, ...]


def forms(testbed: TestbedConfig) -> dict[str, Form]:
    """Kind of event to its form on this testbed; kinds for which the testbed has no target are left out."""
    found = {kind: _form(kind, testbed) for kind in KINDS}
    return {
        kind: form for kind, form in found.items() if all(f.options for f in form.fields if _is_target(f))
    }


def models_of(testbed: TestbedConfig, node: str) -> tuple[str, ...]:
    """Models that a node can host; all of them for a name that is no node."""
    nodes = {n.id for n in testbed.nodes}
    return tuple(testbed.hosted(node)) if node in nodes else tuple(m.id for m in testbed.models)


def event_of(form: Form, values: Mapping[str, str | bool]) -> dict[str, object]:
    """The event that a filled form asks for, without its times; what was left empty is left out."""
    event: dict[str, object] = {"kind": form.kind}
    for field in form.fields:
        value = values.get(field.name, field.default)
        given: object = value.strip() if isinstance(value, str) else value
        if field.name == "factors" and isinstance(given, str):
            given = [part.strip() for part in given.split(",") if part.strip()]
        if given not in ("", []):
            event[field.name] = given
    return event


def mistake_in(event: Mapping[str, object], for_s: float | str, testbed: TestbedConfig) -> str:
    """What is wrong with an event on this testbed, in a sentence; empty: nothing is. `for_s` may be text."""
    try:
        parsed = checked_event(event, for_s)
        check_event(parsed, testbed, str(event["kind"]))
    except (ConfigError, ValueError) as error:
        said = str(error).removeprefix("inject: ")
        return said.replace(f"{event['kind']}.until_s", "how long")
    return ""


def _form(kind: str, testbed: TestbedConfig) -> Form:
    model = KINDS[kind]
    said = " ".join((getdoc(model) or "").replace("`", "").split())
    fields = (_field(name, info, testbed) for name, info in model.model_fields.items() if name not in TIMES)
    first = ("node", "a", "b", "model")
    ordered = sorted(fields, key=lambda f: first.index(f.name) if f.name in first else len(first))
    late = [f for f in ordered if f.name in ("visible", "hint", "seed")]
    return Form(
        kind, said.partition(". ")[0].rstrip(".") + ".", (*[f for f in ordered if f not in late], *late)
    )


def _field(name: str, info: FieldInfo, testbed: TestbedConfig) -> Field:
    label = LABELS.get(name, name.removesuffix("_s").replace("_", " "))
    default = "" if info.is_required() or info.default is None else info.default
    required = info.is_required()
    options = _options(name, info, testbed)
    if options:
        return Field(name, label, "choice", required, str(default), options=options)
    if info.annotation is bool:
        return Field(name, label, "flag", required, bool(default))
    bounds = next(limits(info.annotation, tuple(info.metadata)), None)
    if bounds is None:
        return Field(name, label, "text", required, str(default))
    shown = f"{default:g}" if isinstance(default, float) else str(default)
    several = ", one or two with a comma between" if get_origin(info.annotation) is tuple else ""
    return Field(name, label, "number", required, shown, bounds.unit, bounds.said + several)


def _options(name: str, info: FieldInfo, testbed: TestbedConfig) -> tuple[str, ...]:
    """What a field may be, where that is one of a few."""
    if name == "node":
        return tuple(n.id for n in testbed.nodes)
    if name in ("a", "b"):
        return tuple(dict.fromkeys(n.site for n in testbed.nodes))
    if name == "model":
        return tuple(m.id for m in testbed.models)
    return get_args(info.annotation) if get_origin(info.annotation) is Literal else ()


def _is_target(field: Field) -> bool:
    return field.name in ("node", "a", "b")
