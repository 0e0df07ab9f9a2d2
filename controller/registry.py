"""What the registries of deciders hold."""

from __future__ import annotations

from typing import Any, Protocol, TypeVar

from emulation.domain.ports import Decider

MadeT_co = TypeVar("MadeT_co", bound=Decider[Any], covariant=True)


class DeciderType(Protocol[MadeT_co]):
    """A class with a `Config`; the package of each registry says what else it is built from."""

    Config: type[Any]

    def __call__(self, *given: Any, **named: Any) -> MadeT_co: ...
