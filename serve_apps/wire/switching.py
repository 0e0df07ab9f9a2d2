"""What processes say to each other when the scheme of a run is switched while it goes on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from emulation.domain.ports import FastPath


@dataclass(frozen=True, slots=True, kw_only=True)
class Cast:
    """Everything that decides by one scheme."""

    scheme: str
    reasoner: str
    """What thinks in it, for records."""
    fast_path: FastPath
    planner: Any = None
    """Control loops of `controller/loop.py`; None where the scheme has none."""
    scheduler: Any = None
    deployers: Mapping[str, Any] = field(default_factory=dict)


class Schemes(Protocol):
    """The schemes of one run, made by the composition root; picklable."""

    def check(self, to: str) -> None:
        """Raise `ValueError` with the reason if the run cannot be switched to a scheme."""

    def refusals(self) -> dict[str, str]:
        """Every scheme that there is, to why the run cannot be switched to it; empty: it can."""

    def shadow(self, scheme: str) -> FastPath:
        """The fast path of a scheme, to decide in the shadow. Raises `ValueError` with the reason if it cannot."""

    def cast(self, scheme: str) -> Cast:
        """The controllers of a scheme, anew. Raises `ValueError`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What the parts of a run are made of, whatever scheme decides."""

    own: str = ""
    """The scheme that it begins with."""
    schemes: bytes | None = None
    """`Schemes`, pickled: of a root that only a switch needs to import. None: the run is switched to none."""
    cold: bool = False
    backend: str = "emulated"
    """Of models the testbed names none for."""
    endless: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenUp:
    """What became of a switch: who took it up, at which virtual second, and who had not when it was waited for."""

    took_up: Mapping[str, float]
    missing: tuple[str, ...] = ()


def news_id(run_id: str, switch: int) -> str:
    """Under which name commands of a run are published and followed: nobody hears those of a scheme that went out."""
    return run_id if switch == 0 else f"{run_id} after switch {switch}"
