"""Keys and tokens on their way from the environment to the process that needs them.

They travel as arguments: environment variables of an actor's `runtime_env` stand in Ray's own logs.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Secret:
    """Something that is never shown."""

    value: str = field(repr=False)

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
    def of_environment(cls) -> Keys:
        """Those of this process."""
        return cls(Secret.of("EDGEBED_API_KEY"), Secret.of("EDGEBED_TOKEN"))
