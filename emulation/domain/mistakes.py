"""What a user can put right: errors whose message is all that he is shown, and help with names."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence

_MOST_NAMES = 60
"""Names that a message lists."""
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
"""Where in memory something is: another place in each process."""
STRANGE = (Exception, SystemExit)
"""What code of another package may raise where we call it: it ends no command by leaving either. A Ctrl-C does."""
STRANGE_IN_A_RUN = (*STRANGE, KeyboardInterrupt)
"""The same while something runs, where a Ctrl-C is heard between two events and raised by nobody but that code."""


class Mistake(Exception):
    """Something given that cannot be used: the message names it, its value and the fix; the exit code is 2."""

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


class ConfigError(Mistake, ValueError):
    """A file or an option that cannot be used: file, field, value and fix of the first mistake."""


def printable(text: str) -> str:
    """A message as a terminal may be sent it: what does not print, line ends aside, as Python escapes it."""
    return "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in text)


def told_of(error: BaseException, most: int = 200) -> str:
    """`KeyError: 'lost'`: what code of another package raised, in one line that a terminal and a record can hold."""
    try:
        text = str(error)
    except STRANGE:
        text = "cannot say what it is"
    text = _ADDRESS.sub("", text)
    return one_line(f"{type(error).__name__}: {text}" if text else type(error).__name__, most)


def told_value(value: object, most: int = 60) -> str:
    """A value of another package's in one line, the same in every process. Raises what its `repr` raises."""
    return one_line(_ADDRESS.sub("", repr(value)), most)


def one_line(text: str, most: int = 200) -> str:
    """A text of somebody else's in one line of at most so many characters, all of which print."""
    if len(text) <= most and text.isprintable():
        return str.__str__(text)
    line = printable(" ".join(text[: 4 * most].split()))
    return line if len(line) <= most else f"{line[: most - 1]}…"


def did_you_mean(name: str, known: Sequence[str]) -> str:
    """`did you mean 'x'?` where a known name is close, and the known names."""
    names = ", ".join(known[:_MOST_NAMES]) + (", ..." if len(known) > _MOST_NAMES else "")
    close = difflib.get_close_matches(name[:200].lower(), [k.lower() for k in known], n=1, cutoff=0.5)
    if close:
        return f"did you mean {next(k for k in known if k.lower() == close[0])!r}? known: {names}"
    return f"known: {names}"
