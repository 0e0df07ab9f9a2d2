"""What went wrong with a run, in one line: the kind of error, what it says, and the line of code it comes from."""

from __future__ import annotations

import pickle
import signal
import sysconfig
import traceback
from dataclasses import dataclass
from pathlib import Path

from edgebed.commands.console import Failed
from emulation.domain.mistakes import STRANGE, Mistake, told_of

_MOST = 1_000
"""Characters of what an exception says of itself."""


class WorkError(Failed):
    """Work in another process failed; the message names item, error and place."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why there is no result."""

    said: str
    """One line: `ValueError: no such column (mine.py, line 12, in route)`."""
    trace: str = ""
    """The whole traceback, for whoever mends it."""
    error: Exception | None = None
    """The error itself where it is about what the user gave."""
    refused: bool = False
    """A reasoner will never answer again: the record is kept as far as it came."""

    @classmethod
    def of(cls, error: BaseException) -> Failure:
        """Of an exception."""
        if isinstance(error, Mistake):
            return cls(str(error), "", error if _travels(error) else None)
        trace = "".join(traceback.format_exception(error))
        return cls(said_of(error), trace)

    @classmethod
    def of_death(cls, exitcode: int | None) -> Failure:
        """Of a process that ended without a word."""
        if exitcode is not None and exitcode < 0:
            name = (
                signal.Signals(-exitcode).name if -exitcode in set(signal.Signals) else f"signal {-exitcode}"
            )
            why = "; the machine may be out of memory" if name == "SIGKILL" else ""
            return cls(f"its process was killed by {name}{why}")
        return cls(f"its process ended by itself with exit code {exitcode}")


def said_of(error: BaseException) -> str:
    """An exception in one line, with the innermost line of code that is nobody else's library."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    return f"{told_of(error, _MOST)}{_place(error)}"


def _place(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if not _foreign(f.filename)] or frames
    if not own:
        return ""
    last = own[-1]
    return f" ({Path(last.filename).name}, line {last.lineno}, in {last.name})"


def _foreign(file: str) -> bool:
    paths = sysconfig.get_paths()
    return file.startswith("<") or any(file.startswith(paths[k]) for k in ("stdlib", "purelib", "platlib"))


def _travels(error: Exception) -> bool:
    """Whether it arrives in another process as what it is."""
    try:
        return type(pickle.loads(pickle.dumps(error))) is type(error)
    except STRANGE:
        return False
