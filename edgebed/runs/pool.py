"""Work on all cores, and a Ctrl-C that stops it cleanly. What goes wrong with one item stays with that item.

Workers never see the interrupt themselves. The process that owns them hears it, hands out nothing more, and asks what
runs to come to an end; long work looks at `stopping()` now and then. Whoever is impatient presses Ctrl-C again: then
what runs is killed. Work whose owner is gone (terminated, killed) is to come to an end too. An item whose work raises,
or whose worker dies (killed, out of memory), is a `Failure`; the others go on.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.sharedctypes import RawArray, RawValue
from typing import Any, Generic, TypeVar

from edgebed.runs.failure import Failure, WorkError
from emulation.domain.mistakes import STRANGE

In = TypeVar("In")
Out = TypeVar("Out")

_context = get_context("fork")
LOOK_S = 0.1
"""Wall seconds between two looks for a Ctrl-C."""
_stop = RawValue("b", 0)
"""Shared with every worker by inheritance; without a lock, which a worker could die with in its hand."""
_owner: int | None = None
"""In a worker: the process whose worker it is."""


@dataclass(frozen=True, slots=True)
class Ended(Generic[In, Out]):
    """One item, and what its work came to: a result, or why there is none."""

    item: In
    result: Out | None
    failure: Failure | None = None


_tell: Callable[[float], None] | None = None
"""In whoever has an item in hand: takes in how much of it is done."""


def tell(share: float) -> None:
    """Say how much of the item in hand is done, from 0 to 1; nothing where nobody follows."""
    if _tell is not None:
        _tell(min(max(share, 0.0), 1.0))


def _follow(follower: Callable[[float], None] | None) -> None:
    global _tell
    _tell = follower


def stopping() -> bool:
    """Whether the work in hand should come to an end (in a worker): it was asked to, or its owner is gone."""
    return bool(_stop.value) or (_owner is not None and os.getppid() != _owner)


def each(work: Callable[[In], Out], items: Iterable[In], workers: int | None = None) -> Iterator[Out]:
    """`work` of every item, `workers` at a time (default: one per core), in the order in which they end.

    On Ctrl-C what runs is asked to end and its results are still given; then `KeyboardInterrupt` is raised. Raises
    `WorkError`, in one line, for the first item that fails; an error about what the user gave is raised as it is.
    """
    for ended in each_ended(work, items, workers):
        if ended.failure is not None:
            raise ended.failure.error or WorkError(f"{ended.item}: {ended.failure.said}")
        yield ended.result  # type: ignore[misc]  # a work may well return None


def each_ended(
    work: Callable[[In], Out],
    items: Iterable[In],
    workers: int | None = None,
    on_look: Callable[[float], None] = lambda done: None,
) -> Iterator[Ended[In, Out]]:
    """As `each`, but an item that fails is given like the others. One worker, if that is asked for, is this process.

    `on_look` hears now and then how many items are done, parts of items by what their work tells.
    """
    todo = list(items)
    if workers == 1:
        yield from _alone(work, todo, on_look)
    elif todo:
        yield from _Pool(work, todo, min(workers or os.cpu_count() or 1, len(todo)), on_look).run()


def _alone(
    work: Callable[[In], Out], todo: Sequence[In], on_look: Callable[[float], None]
) -> Iterator[Ended[In, Out]]:
    for number, item in enumerate(todo):
        _follow(lambda share, before=number: on_look(before + share))  # type: ignore[misc]
        try:
            ended = _attempt(work, item)
        finally:
            _follow(None)
        yield ended


class _Worker:
    """A process that works on the items whose numbers it is told."""

    def __init__(
        self, work: Callable[[Any], Any], todo: Sequence[Any], others: Sequence[_Worker], shares: Any
    ) -> None:
        self.ours, theirs = _context.Pipe()
        self.number: int | None = None
        """Of the item in hand."""
        inherited = [self.ours, *(other.ours for other in others)]
        self.process = _context.Process(target=_serve, args=(theirs, inherited, work, todo, shares))
        self.process.start()
        theirs.close()

    def take(self, number: int) -> None:
        """Begin with an item."""
        self.number = number
        self.ours.send(number)

    def end(self, impatient: Callable[[], bool] = lambda: False) -> None:
        """Let it go; what it has in hand is waited for, as long as nobody is impatient."""
        self.ours.close()
        while self.process.is_alive():
            if impatient():
                self.process.kill()
            self.process.join(LOOK_S)


class _Pool(Generic[In, Out]):
    """Workers, and who has what in hand. A worker that dies is replaced."""

    def __init__(
        self, work: Callable[[In], Out], todo: Sequence[In], count: int, on_look: Callable[[float], None]
    ) -> None:
        self._work, self._todo, self._count, self._on_look = work, todo, count, on_look
        self._shares: Any = RawArray("d", len(todo))
        """How much of each item is done, as its worker tells."""
        self._waiting = list(range(len(todo)))[::-1]
        self._workers: list[_Worker] = []

    def run(self) -> Iterator[Ended[In, Out]]:
        with _counting() as interrupts:
            try:
                while len(interrupts) < 2:
                    if interrupts:
                        _stop.value = 1
                        self._waiting.clear()
                    self._hand_out()
                    busy = {w.ours: w for w in self._workers if w.number is not None}
                    if not busy:
                        break
                    for ready in wait(list(busy), LOOK_S):
                        if isinstance(ready, Connection):
                            yield self._heard(busy[ready])
                    self._on_look(sum(self._shares))
            finally:
                _stop.value = 1
                for worker in self._workers:
                    worker.end(lambda: len(interrupts) > 1)
                _stop.value = 0
        if interrupts:
            raise KeyboardInterrupt

    def _hand_out(self) -> None:
        idle = [w for w in self._workers if w.number is None]
        while self._waiting and (idle or len(self._workers) < self._count):
            if not idle:
                idle.append(_Worker(self._work, self._todo, self._workers, self._shares))
                self._workers.append(idle[0])
            idle.pop().take(self._waiting.pop())

    def _heard(self, worker: _Worker) -> Ended[In, Out]:
        """What a worker has to say of the item in its hand; one that died says nothing."""
        number, worker.number = worker.number, None
        assert number is not None
        item = self._todo[number]
        self._shares[number] = 1.0
        try:
            result, failure = worker.ours.recv()
        except (EOFError, OSError):
            self._workers.remove(worker)
            worker.end()
            return Ended(item, None, Failure.of_death(worker.process.exitcode))
        return Ended(item, result, failure)


def _serve(
    orders: Connection[Any, Any],
    inherited: Sequence[Connection[Any, Any]],
    work: Callable[[Any], Any],
    todo: Sequence[Any],
    shares: Any,
) -> None:
    """The life of a worker: until its owner is gone, which closes the pipe."""
    global _owner
    _owner = os.getppid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for other in inherited:
        other.close()
    while True:
        try:
            number = orders.recv()
        except (EOFError, OSError):
            return
        _follow(lambda share, at=number: shares.__setitem__(at, share))  # type: ignore[misc]
        try:
            ended = _attempt(work, todo[number])
        except BaseException as error:  # no Ctrl-C comes here: whoever raises one is the work itself
            ended = Ended(todo[number], None, Failure.of(error))
        try:
            orders.send_bytes(_pickled(ended))
        except OSError:
            return


def _pickled(ended: Ended[Any, Any]) -> bytes:
    try:
        return pickle.dumps((ended.result, ended.failure))
    except STRANGE as error:
        return pickle.dumps((None, Failure.of(error)))


def _attempt(work: Callable[[In], Out], item: In) -> Ended[In, Out]:
    try:
        with redirect_stdout(sys.stderr):  # what a class of the user's prints is no part of our answer
            return Ended(item, work(item))
    except STRANGE as error:
        return Ended(item, None, Failure.of(error))


@contextmanager
def _counting() -> Iterator[list[int]]:
    """A list that grows with every Ctrl-C; nothing is raised meanwhile, so that no answer is torn."""
    heard: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield heard
        return
    before = signal.signal(signal.SIGINT, lambda number, _: heard.append(number))
    try:
        yield heard
    finally:
        signal.signal(signal.SIGINT, before)
