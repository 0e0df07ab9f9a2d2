"""Values that compiled code reads and makes without the interpreter: what is made several times per request.

Such a class is a dataclass with an `__init__` of its own, which mypyc compiles: calling it takes a sixth of the time of
the one that `dataclass` writes, and reading a field of it a tenth. Fields that are `Final` the type checker refuses to
assign to, and so does compiled code. Fields stand without defaults; these are in `__init__`, which takes all fields in
order.

Compiled, neither orjson nor pydantic may be given one: they look into objects where these keep nothing. `asdict` makes
plain data of it.
"""

from __future__ import annotations

from typing import Any

from mypy_extensions import mypyc_attr


@mypyc_attr(allow_interpreted_subclasses=True)
class Native:
    """Base of such classes: pickles and copies by being made anew from its fields, in order."""

    __slots__ = ()

    def __reduce__(self) -> tuple[Any, ...]:
        cls: Any = type(self)
        return cls, tuple([getattr(self, name) for name in cls.__dataclass_fields__])
