"""What every backend is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import ClassVar, Protocol

from emulation.domain.cluster import ModelSpec
from serve_apps.messages import Answer, Delta, Work


@dataclass(frozen=True, slots=True)
class BackendSpec:
    """Which model, on which node."""

    node: str
    model: ModelSpec


class Backend(Protocol):
    """Serves one model on one node, inside a replica."""

    reads_inputs: ClassVar[bool]
    """Whether it needs the prompts themselves; an emulated model only needs their sizes."""

    def __init__(self, spec: BackendSpec) -> None: ...

    async def serve(self, work: Work) -> Answer:
        """One attempt, whole."""

    def stream(self, work: Work) -> AsyncIterator[Delta | Answer]:
        """One attempt, text as it comes, the `Answer` last."""
