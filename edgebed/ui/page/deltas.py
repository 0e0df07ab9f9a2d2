"""What a viewer's browser holds, as one flat table, and what has to be sent so that it holds another one.

Pure: `applied(old, delta(old, new)) == new`, and likewise for the points of a plot. Every value is JSON; text in it is
plain text, whoever wrote it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

State = Mapping[str, Any]
"""Key to JSON value. A key's first letters, up to `/`, say what it is: see `state.py`."""
Points = Sequence[Sequence[Any]]


def delta(old: State, new: State) -> dict[str, Any]:
    """What changed: `set`, the values that are new or others than before, and `gone`, keys; parts that are empty are
    left out, so that no change is `{}`."""
    changed = {key: value for key, value in new.items() if key not in old or old[key] != value}
    gone = [key for key in old if key not in new]
    return {**({"set": changed} if changed else {}), **({"gone": gone} if gone else {})}


def applied(state: State, change: Mapping[str, Any]) -> dict[str, Any]:
    """The state after a change, as the browser makes it."""
    gone = set(change.get("gone", ()))
    return {**{k: v for k, v in state.items() if k not in gone}, **change.get("set", {})}


def splice(old: Points, new: Points) -> dict[str, Any] | None:
    """What turns the points a plot shows into others: `drop` so many of the first, `keep` so many of the rest, then add
    `points`. None if they are the same already."""
    if list(old) == list(new):
        return None
    drop = next((i for i, point in enumerate(old) if new and point == new[0]), 0)
    keep = _common(old[drop:], new)
    return {"drop": drop, "keep": keep, "points": list(new[keep:])}


def spliced(old: Points, change: Mapping[str, Any] | None) -> list[Sequence[Any]]:
    """The points after a change, as the browser makes them."""
    if change is None:
        return list(old)
    kept = old[change["drop"] : change["drop"] + change["keep"]]
    return [*kept, *change["points"]]


def _common(one: Points, other: Points) -> int:
    """How many points both begin with."""
    pairs = zip(one, other, strict=False)
    return next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))
