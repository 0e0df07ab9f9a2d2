"""The base of every format we own, and the check that what a file names is there."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from pydantic import BaseModel, ConfigDict


class Strict(BaseModel):
    """Base of every format we own: unknown keys are errors and instances are frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class NoParams(Strict):
    """Nothing to set."""


def check_known(where: str, names: Iterable[str | None], known: Collection[str], what: str) -> None:
    """Raise `ValueError` for the first name that is not known; None names nothing."""
    for name in names:
        if name is not None and name not in known:
            raise ValueError(f"{where} names unknown {what} {name!r}; known: {sorted(known)}")
