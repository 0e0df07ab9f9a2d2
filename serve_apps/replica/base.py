"""What every backend is."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

from emulation.domain.cluster import Mode, ModelSpec
from emulation.files import ConfigError
from serve_apps.engines.loading import LoadFacts
from serve_apps.wire.messages import Answer, Delta, Work


@dataclass(frozen=True, slots=True)
class BackendSpec:
    """Which model, on which node, and what its backend was told."""

    node: str
    model: ModelSpec
    modes: tuple[Mode, ...] = ("cpu",)
    """Modes the model may run in on this node, GPU first."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Of the testbed file; each backend knows its own."""


class Backend(Protocol):
    """Serves one model on one node, inside a replica."""

    reads_inputs: ClassVar[bool]
    """Whether it needs the prompts themselves; an emulated model only needs their sizes."""
    real: ClassVar[bool]
    """Whether its work takes the time it takes, so that the clock cannot be compressed."""

    def __init__(self, spec: BackendSpec) -> None: ...

    @property
    def facts(self) -> LoadFacts | None:
        """What loading its model cost; None if it emulates."""

    @classmethod
    def checked(cls, modality: str, given: dict[str, Any]) -> dict[str, Any]:
        """Settings any process can use, for a model of this kind. Raises `ConfigError`, before anything starts."""

    async def serve(self, work: Work) -> Answer:
        """One attempt, whole."""

    def stream(self, work: Work) -> AsyncIterator[Delta | Answer]:
        """One attempt, text as it comes, the `Answer` last."""


class Synthetic:
    """What backends share that compute nothing: they read no prompts and take no settings."""

    reads_inputs: ClassVar[bool] = False
    real: ClassVar[bool] = False
    facts: LoadFacts | None = None

    def __init__(self, spec: BackendSpec) -> None:
        self._spec = spec

    @classmethod
    def checked(cls, modality: str, given: dict[str, Any]) -> dict[str, Any]:
        """Takes no settings. Raises `ConfigError` naming the first one given."""
        if given:
            raise ConfigError(f"settings.{next(iter(given))}: this backend takes no settings")
        return given
