"""Numbers and words of our files: what each may be, and its unit. Every number of every file has one of these types.

A type is `Annotated[float, Range(low, high, unit)]`, both ends included; `Annotated[str, Words(...)]` for words. The
same `Range` checks a value, words the message if it is wrong, and stands in the reference pages.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from math import inf
from typing import Annotated, Any, get_args

from pydantic import AfterValidator, BeforeValidator, GetCoreSchemaHandler, ValidationError, WrapValidator

MOST_NODES = 8_192
"""Of a testbed."""
SHOWN = 60
"""Characters of an offending value that a message shows."""


@dataclass(frozen=True, slots=True)
class Range:
    """From `low` to `high`, both included, finite unless `endless`; whole numbers where the type is `int`.

    true and false are no numbers here, though Python counts with them.
    """

    low: float
    high: float
    unit: str = ""
    endless: bool = False
    """Infinity stands for what never ends, and is allowed."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> Any:
        checked = WrapValidator(partial(self._checked, source is int))
        return checked.__get_pydantic_core_schema__(source, handler)

    def _checked(self, whole: bool, value: Any, parse: Callable[[Any], float]) -> float:
        try:
            number = None if isinstance(value, bool) else parse(value)
        except ValidationError:
            number = None
        if number is not None and (self.low <= number <= self.high or (self.endless and number == inf)):
            return number
        kind = "whole number" if whole else "number"
        raise ValueError(f"must be a {kind} from {self.said}, not {shown(value)}")

    @property
    def said(self) -> str:
        """`0 to 1 (unit)`, in a file's own terms."""
        ends = f"{_figure(self.low)} to {_figure(self.high)}"
        return f"{ends}{f' {self.unit}' if self.unit else ''}{', or .inf' if self.endless else ''}"


@dataclass(frozen=True, slots=True)
class Words:
    """Text of a file that also becomes a file's name, a line of a table or a piece of a page."""

    what: str
    """What it must be, after `must be `."""
    longest: int
    pattern: str = ""
    """Regular expression of the whole; empty: anything that can be printed."""
    lines: bool = False
    """May have several lines."""
    empty: bool = True
    """May say nothing."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> Any:
        return AfterValidator(self._checked).__get_pydantic_core_schema__(source, handler)

    def _checked(self, value: str) -> str:
        fits = re.fullmatch(self.pattern, value) is not None if self.pattern else self._prints(value)
        if fits and len(value) <= self.longest and (self.empty or value.strip()):
            return value
        raise ValueError(f"must be {self.what}, at most {self.longest} characters, not {shown(value)}")

    def _prints(self, value: str) -> bool:
        parts = value.replace("\t", " ").split("\n") if self.lines else [value]
        return all(part.isprintable() for part in parts)


def shown(value: Any) -> str:
    """A value for a message: without control characters, and not for pages."""
    text = _spelled(value)
    return text if len(text) <= SHOWN else text[:SHOWN] + "..."


def _spelled(value: Any) -> str:
    """A value as a file writes it."""
    if isinstance(value, str):
        return repr(value[: SHOWN + 1])
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int) and abs(value) >= 10**SHOWN:
        return f"a number of {value.bit_length()} bits"
    return repr(value)


def limits(annotation: Any, metadata: tuple[Any, ...] = ()) -> Iterator[Range]:
    """The ranges of every number in an annotation, outermost first."""
    yield from (m for m in metadata if isinstance(m, Range))
    for part in get_args(annotation):
        if isinstance(part, Range):
            yield part
        else:
            yield from limits(part)


def _figure(number: float) -> str:
    """A bound as one would write it."""
    return f"{number:,}" if isinstance(number, int) else f"{number:g}"


# -- time -----------------------------------------------------------------------------------------------------

MOST_S = 1_000_000_000
"""Seconds, some thirty years: what is longer is not meant."""

Instant = Annotated[float, Range(0, MOST_S, "virtual s")]
Until = Annotated[float, Range(0.001, MOST_S, "virtual s", endless=True)]
"""When something is undone; infinite: never."""
Seconds = Annotated[float, Range(0, MOST_S, "s")]
Length = Annotated[float, Range(0.001, MOST_S, "s")]
"""Of something that takes time."""
Tiny = Annotated[float, Range(0.000000001, MOST_S, "s")]
"""A length as it was measured."""
SlotLength = Annotated[float, Range(0.001, 1_000_000, "virtual s")]
Gap = Annotated[float, Range(0.000001, MOST_S, "virtual s")]
"""Between one arrival and the next."""
Patience = Annotated[float, Range(0.001, 86_400, "s of wall time")]
"""How long a program waits for another."""
PerSecond = Annotated[float, Range(0, 100_000, "per virtual s")]
Rate = Annotated[float, Range(0.000000001, 100_000, "per virtual s")]
"""Of something that happens at all."""
Slots = Annotated[int, Range(1, 1_000_000, "slots")]
SlotNumber = Annotated[int, Range(0, 1_000_000, "slots")]

# -- work -----------------------------------------------------------------------------------------------------

Prompts = Annotated[int, Range(1, 10_000, "prompts")]
PromptsOrNone = Annotated[int, Range(0, 10_000, "prompts")]
Tokens = Annotated[int, Range(1, 1_000_000, "tokens")]
TokensOrNone = Annotated[int, Range(0, 1_000_000, "tokens")]
Requests = Annotated[int, Range(1, 1_000_000, "requests")]
Rows = Annotated[int, Range(1, 10_000_000, "rows")]
RowNumber = Annotated[int, Range(0, 10_000_000, "rows")]
Coefficient = Annotated[float, Range(0, 1_000_000, "s per prompt or token")]
"""Of a service law."""
Factor = Annotated[float, Range(0.001, 10_000, "times slower")]
Speed = Annotated[float, Range(0.001, 1_000, "times as fast")]

# -- machines -------------------------------------------------------------------------------------------------

Cores = Annotated[int, Range(1, 4_096, "cores")]
Gigabytes = Annotated[float, Range(0, 1_000_000, "GB")]
SomeGigabytes = Annotated[float, Range(0.001, 1_000_000, "GB")]
Megabytes = Annotated[float, Range(0, 1_000_000_000, "MB")]
Threads = Annotated[int, Range(1, 4_096, "threads")]
Port = Annotated[int, Range(0, 65_535)]

# -- shares, counts, statistics -------------------------------------------------------------------------------

Fraction = Annotated[float, Range(0, 1)]
SomeFraction = Annotated[float, Range(0.000001, 1)]
Weight = Annotated[float, Range(0, 1_000_000)]
"""Counts in proportion to the others beside it; they need not sum to 1."""
Count = Annotated[int, Range(1, 1_000_000)]
CountOrNone = Annotated[int, Range(0, 1_000_000)]
Seed = Annotated[int, Range(0, 2**63 - 1)]
Deviation = Annotated[float, Range(0.0001, 10, "relative")]
"""A standard deviation, relative to the mean or of a logarithm."""
DeviationOrNone = Annotated[float, Range(0, 10, "relative")]
Sigmas = Annotated[float, Range(0, 1_000, "standard deviations")]
Measured = Annotated[float, Range(-1_000_000_000_000, 1_000_000_000_000)]
"""Any figure that somebody measured or published."""


def _as_setting(value: Any) -> Any:
    """An option of a program of others, which checks it: true, false, a finite number or a line of text."""
    if isinstance(value, bool) or (isinstance(value, str) and value.isprintable()):
        return value
    if isinstance(value, int | float) and -_MOST_SETTING <= value <= _MOST_SETTING:
        return value
    raise ValueError(f"must be true, false, a finite number or a line of text, not {shown(value)}")


_MOST_SETTING = 1_000_000_000_000
Setting = Annotated[bool | int | float | str, BeforeValidator(_as_setting)]

# -- words ----------------------------------------------------------------------------------------------------

_SLUG = r"[A-Za-z0-9][A-Za-z0-9_.\-]*"
Name = Annotated[
    str, Words("a name of letters, digits, '.', '_' and '-' that begins with a letter or digit", 100, _SLUG)
]
"""Also the name of a file or folder, and safe in a terminal."""
NodeName = Annotated[
    str,
    Words(
        "a name of letters, digits, '.', '_', '-' and '#' that begins with a letter or digit",
        100,
        r"[A-Za-z0-9][A-Za-z0-9_.\-#]*",
    ),
]
TenantName = Annotated[
    str,
    Words(
        "a tenant's name of letters, digits, '.', '_' and '-' that begins with a letter or digit",
        64,
        _SLUG,
    ),
]
"""Also the value of the header `X-Edge-Tenant`, and a label of metrics."""
SchemeName = Annotated[
    str,
    Words(
        "a scheme's name of letters, digits, '.', '_', '-', '+' and ':' that begins with a letter or digit",
        100,
        r"[A-Za-z0-9][A-Za-z0-9_.\-+:]*",
    ),
]
"""Also the name of a folder."""
Line = Annotated[str, Words("one line without control characters", 2_000)]
ObjectPath = Annotated[
    str,
    Words(
        "the path of a class, package.module:NAME, or the name of an entry point",
        200,
        r"[A-Za-z_][A-Za-z0-9_.-]*(:[A-Za-z_][A-Za-z0-9_.]*)?",
    ),
]
SomeLine = Annotated[str, Words("one line, not empty, without control characters", 2_000, empty=False)]
Note = Annotated[str, Words("text without control characters", 20_000, lines=True)]
