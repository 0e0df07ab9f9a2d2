"""Keys and tokens in the process that needs them. How they come there is in `keys.py`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Secret:
    """Something that is never shown, and never pickled: what Ray is told stands in its tables, which are on disk."""

    value: str = field(repr=False)

    def __reduce__(self) -> str:
        """Raises `TypeError`."""
        raise TypeError("a secret is no argument of an actor or an application; see serve_apps/wire/keys.py")

    @classmethod
    def of(cls, variable: str) -> Secret | None:
        """What an environment variable holds; None if it is not set, or empty."""
        found = os.environ.get(variable)
        return cls(found) if found else None


@dataclass(frozen=True, slots=True)
class Keys:
    """What the gateway checks clients against; None: nothing is asked for."""

    api: Secret | None = None
    control: Secret | None = None

    @classmethod
    def of(cls, found: Mapping[str, Secret]) -> Keys:
        """Those among all that were handed over, by their variables."""
        return cls(found.get("EDGEBED_API_KEY"), found.get("EDGEBED_TOKEN"))
