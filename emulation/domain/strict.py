"""The base of every format we own, and the check that what a file names is there."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from pydantic import BaseModel, ConfigDict

from emulation.domain.mistakes import did_you_mean
from emulation.domain.quantities import shown


class Strict(BaseModel):
    """Base of every format we own: unknown keys are errors and instances are frozen.

    Infinity is `"Infinity"` in JSON, which has no number for it, and is read again as a number.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="strings")


def is_none(value: object) -> bool:
    """For `exclude_if` of an option that came later: what does not set it has the digest that it always had."""
    return value is None


class NoParams(Strict):
    """Nothing to set."""


def check_known(where: str, names: Iterable[str | None], known: Collection[str], what: str) -> None:
    """Raise `ValueError` for the first name that is not known; None names nothing."""
    for name in names:
        if name is not None and name not in known:
            raise ValueError(
                f"{where} names unknown {what} {shown(name)}; {did_you_mean(name, sorted(known))}"
            )


def check_unique(where: str, names: Iterable[Any], what: str) -> None:
    """Raise `ValueError` for the first name that is there twice."""
    seen: set[Any] = set()
    for name in names:
        if name in seen:
            raise ValueError(f"{where}: {what} {shown(name)} is there twice; remove one")
        seen.add(name)
