"""What a source yields before requests get their ids, and the account of what it read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from emulation.domain.scenario import Scenario, Source


@dataclass(frozen=True, slots=True)
class Draft:
    """One request without id, deadline or noise. Holds the true output length: never leaves this package."""

    arrival_s: float
    model: str
    origin: str
    prompts: int = 1
    prompt_tokens: int = 0
    output_tokens: int = 0
    max_tokens: int | None = None
    """Output limit the client states; None for models without output tokens."""


@dataclass(frozen=True, slots=True)
class Accounting:
    """What became of everything a source read: read = emitted + sum of dropped."""

    source: str
    kind: str
    read: int
    emitted: int
    dropped: Mapping[str, int] = field(default_factory=dict)
    """Reason to count."""


def origins_of(source: Source, scenario: Scenario) -> tuple[str, ...]:
    """Nodes at which the source's requests enter; every node of the testbed unless it names some."""
    return source.origins or tuple(n.id for n in scenario.testbed.nodes)
