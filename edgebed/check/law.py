"""What a law is: one sentence, and a look at a subject that tells whether it holds."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any, Generic, TypeVar

from edgebed.check.places import place_of
from emulation.domain.mistakes import STRANGE, one_line, told_of

SubjectT = TypeVar("SubjectT")
_MOST_SEEN = 500
"""Characters that are told of what was seen."""
MOST_S = 300.0
"""Seconds of a processor that a look at one subject may take: what decides in microseconds needs a few."""


class Broken(AssertionError):
    """A law does not hold; the message says what was seen."""


@dataclass(frozen=True, slots=True)
class Law(Generic[SubjectT]):
    """One promise of a contract."""

    says: str
    """The promise, as a sentence about the subject."""
    look: Callable[[SubjectT], None]
    """Raises `Broken` if it does not hold; whatever else it raises comes from the subject."""
    first: bool = False
    """Whether the laws after it say nothing where this one is broken."""

    def __repr__(self) -> str:
        return self.look.__name__


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of holding one subject to one law."""

    subject: str
    law: str
    broken: str = ""
    """What was seen; empty: the law holds."""

    def __str__(self) -> str:
        return f"{self.subject} breaks the law that it {self.law}: {self.broken}"


def require(holds: bool, seen: str) -> None:
    """Raise `Broken` with what was seen unless something holds."""
    if not holds:
        raise Broken(seen)


class _Overdue(BaseException):
    """What a look took too long at; no guard of a run holds it back."""


@contextmanager
def _within(most_s: float) -> Iterator[list[int]]:
    """Raise `_Overdue` in what takes longer, in seconds of a processor; gives what was heard of Ctrl-C. Nothing where
    signals do not reach, or where somebody else has set what a Ctrl-C does."""
    heard: list[int] = []

    def struck(number: int, _: FrameType | None) -> None:
        heard.append(number)
        raise KeyboardInterrupt

    def over(_: int, frame: FrameType | None) -> None:
        raise _Overdue(f"it takes longer than {most_s:g} s of a processor{place_of(frame)}")

    if threading.current_thread() is not threading.main_thread():
        yield heard
        return
    before, ctrl_c = signal.signal(signal.SIGVTALRM, over), signal.getsignal(signal.SIGINT)
    if ctrl_c is signal.default_int_handler:
        signal.signal(signal.SIGINT, struck)
    signal.setitimer(signal.ITIMER_VIRTUAL, most_s)
    try:
        yield heard
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0.0)
        signal.signal(signal.SIGVTALRM, before)
        signal.signal(signal.SIGINT, ctrl_c)
    if heard:  # and some guard took it for an answer
        raise KeyboardInterrupt


def broken_by(law: Law[SubjectT], subjects: Sequence[SubjectT], most_s: float = MOST_S) -> str:
    """What the first subject was seen to do that breaks a law; empty: it holds for all of them."""
    for subject in subjects:
        heard: list[int] = []
        try:
            with _within(most_s) as heard:
                law.look(subject)
        except (Broken, _Overdue) as seen:
            return one_line(str(seen), _MOST_SEEN)
        except STRANGE as error:  # a subject may raise anything
            return f"it raised {told_of(error, _MOST_SEEN)}"
        except KeyboardInterrupt as error:
            if heard or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
                raise
            return f"it raised {told_of(error, _MOST_SEEN)}"
    return ""


def held_to(name: str, laws: Sequence[Law[Any]], subjects: Sequence[Any]) -> list[Verdict]:
    """Every law, looked at on all subjects, in order; those behind a broken `first` one are left out."""
    verdicts: list[Verdict] = []
    for law in laws:
        verdicts.append(Verdict(name, law.says, broken_by(law, subjects)))
        if law.first and verdicts[-1].broken:
            break
    return verdicts
