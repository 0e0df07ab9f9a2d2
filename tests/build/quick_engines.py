"""Backends whose engines load no library: one computes next to nothing, the other says what it cannot do."""

from __future__ import annotations

from typing import Any, ClassVar

from emulation.domain.mistakes import ConfigError
from serve_apps.engines.pacer import Pacer
from serve_apps.wire.ask import BadAsk
from serve_apps.wire.messages import Piece


class QuickEngine:
    """Every answer is two tokens of a prompt of eight."""

    def __init__(self, settings: dict[str, Any], modes: tuple[str, ...]) -> None:
        """As engines are made."""

    def check(self, work: Any) -> None:
        """It can do anything."""

    def pacer(self) -> Pacer:
        return Pacer()

    def choices(self, work: Any) -> int:
        return 1

    def run(self, work: Any, index: int, pacer: Pacer, emit: Any) -> Piece:
        pacer.begin()
        for coefficient in (0, 1):
            sum(range(10_000))
            pacer.lap(coefficient)
        return Piece(tokens=2, prompt_tokens=8)


class RefusingEngine:
    """Cannot be loaded of a folder that is not there, and takes no prompt."""

    def __init__(self, settings: dict[str, Any], modes: tuple[str, ...]) -> None:
        if settings["source"] == "no/such/folder":
            raise ConfigError("no/such/folder: cannot be loaded")

    def check(self, work: Any) -> None:
        raise BadAsk("its prompts do not fit", "prompt")


class Quick:
    """The backend of the first."""

    engines: ClassVar[dict[str, Any]] = {"text": (dict, QuickEngine)}

    @classmethod
    def settings_of(cls, modality: str, given: dict[str, Any]) -> dict[str, Any]:
        return given


class Refusing(Quick):
    """The backend of the second."""

    engines: ClassVar[dict[str, Any]] = {"text": (dict, RefusingEngine)}
