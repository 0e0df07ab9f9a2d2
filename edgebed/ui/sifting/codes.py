"""Names as numbers, so that columns of them are cheap to keep and to count."""

from __future__ import annotations

from typing import Any

NO_ONE = -1
"""Code of a name that is not there."""


class Codes(dict[Any, int]):
    """Names as numbers, in the order they first come. Raises `TypeError` for what is no name."""

    def __init__(self) -> None:
        super().__init__({None: NO_ONE})
        self.names: list[str] = []

    def __missing__(self, name: Any) -> int:
        if not isinstance(name, str):
            raise TypeError(f"{name!r} is no name")
        self[name] = code = len(self.names)
        self.names.append(name)
        return code
