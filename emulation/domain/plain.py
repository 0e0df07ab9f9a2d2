"""Commands as plain data: as they stand in a record, and as somebody writes one."""

from __future__ import annotations

from math import inf
from typing import Annotated, Any, Literal

from pydantic import ValidationError

from emulation.domain.actions import Command, MacroPolicy, NodeConfig, RouteGuide
from emulation.domain.complaints import complaint
from emulation.domain.quantities import Range
from emulation.domain.strict import Strict

Share = Annotated[float, Range(0, 1)]
LimitS = Annotated[float, Range(0.001, 1_000_000_000, "s")]


def command_data(command: Command) -> dict[str, Any]:
    """A command as JSON-ready data, keys sorted."""
    if isinstance(command, NodeConfig):
        return {"node": command.node, "modes": {m: v for m, v in sorted(command.modes.items()) if v != "off"}}
    if isinstance(command, RouteGuide):
        guide: dict[str, Any] = {
            "table": {f"{origin}|{model}": node for (origin, model), node in sorted(command.table.items())},
            "masked": sorted(command.masked),
            "weights": {f"{model}|{node}": w for (model, node), w in sorted(command.weights.items())},
        }
        if command.admission_limit_s:
            guide["admission_limit_s"] = dict(sorted(command.admission_limit_s.items()))
        return guide
    policy: dict[str, Any] = {
        "p": {m: {n: w for n, w in sorted(p.items()) if w > 0} for m, p in sorted(command.p.items())},
        "roles": {n: dict(sorted(r.items())) for n, r in sorted(command.roles.items())},
        "admission_limit_s": {m: v for m, v in sorted(command.admission_limit_s.items()) if v != inf},
    }
    if command.limits_from:
        policy["limits_from"] = {m: [[*step] for step in s] for m, s in sorted(command.limits_from.items())}
    return {**policy, "unrefused": sorted(command.unrefused)} if command.unrefused else policy


class PlainNode(Strict):
    """A node's activation pattern, as somebody writes it."""

    node: str
    modes: dict[str, Literal["cpu", "gpu", "off"]]


class PlainGuide(Strict):
    """A slot's guide."""

    table: dict[str, str] = {}
    masked: list[str] = []
    weights: dict[str, Share] = {}
    admission_limit_s: dict[str, LimitS | None] = {}


class PlainPolicy(Strict):
    """An epoch's policy."""

    p: dict[str, dict[str, Share]]
    roles: dict[str, dict[str, Literal["cpu", "gpu", "off"]]]
    admission_limit_s: dict[str, LimitS] = {}
    limits_from: dict[
        str, tuple[tuple[Annotated[float, Range(0, 1_000_000_000, "prompts/s")], LimitS], ...]
    ] = {}
    unrefused: list[str] = []


def command_of(actor: str, data: Any) -> Command:
    """The command of an actor that this data is; the inverse of `command_data`. Raises `ValueError`."""
    kind: type[PlainNode | PlainGuide | PlainPolicy] = (
        PlainPolicy if actor == "planner" else PlainGuide if actor == "scheduler" else PlainNode
    )
    try:
        found = kind.model_validate(data)
    except ValidationError as error:
        raise ValueError(complaint(kind, error, root="command")) from None
    if isinstance(found, PlainNode):
        return NodeConfig(found.node, {m: v for m, v in found.modes.items() if v != "off"})
    if isinstance(found, PlainPolicy):
        return MacroPolicy(
            found.p, found.roles, found.admission_limit_s, found.limits_from, frozenset(found.unrefused)
        )
    return RouteGuide(
        table={_pair(k): v for k, v in found.table.items()},
        masked=frozenset(found.masked),
        weights={_pair(k): w for k, w in found.weights.items()},
        admission_limit_s=found.admission_limit_s,
    )


def _pair(key: str) -> tuple[str, str]:
    left, bar, right = key.partition("|")
    if not bar:
        raise ValueError(f"command: {key!r} must be two names with | between")
    return left, right
