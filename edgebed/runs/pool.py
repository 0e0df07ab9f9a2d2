"""Work on all cores, and a Ctrl-C that stops it cleanly.

Workers never see the interrupt themselves: one that dies with a queue's lock in its hand would leave everybody
waiting for ever. The process that owns the pool hears it, cancels what has not begun, and asks what runs to come to
an end; long work looks at `stopping()` now and then.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from multiprocessing import get_context
from typing import TypeVar

In = TypeVar("In")
Out = TypeVar("Out")

_context = get_context("fork")
_stop = _context.Event()
"""Shared with every worker by inheritance."""


def stopping() -> bool:
    """Whether the work in hand should come to an end (in a worker)."""
    return _stop.is_set()


def each(work: Callable[[In], Out], items: Iterable[In], workers: int | None = None) -> Iterator[Out]:
    """`work` of every item, `workers` at a time (default: one per core), in the order in which they end.

    On Ctrl-C what runs is asked to end and its results are still given; then `KeyboardInterrupt` is raised.
    """
    todo = list(items)
    count = min(workers or os.cpu_count() or 1, len(todo))
    if count <= 1:
        yield from map(work, todo)
        return
    with _deaf():
        pool = ProcessPoolExecutor(count, mp_context=_context)
        waiting: set[Future[Out]] = {pool.submit(work, item) for item in todo}
    interrupt: KeyboardInterrupt | None = None
    try:
        while waiting:
            try:
                ended, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            except KeyboardInterrupt as heard:
                interrupt = heard
                _stop.set()
                waiting = {future for future in waiting if not future.cancel()}
                continue
            for future in ended:
                yield future.result()
    finally:
        _stop.set()
        pool.shutdown(cancel_futures=True)
        _stop.clear()
    if interrupt is not None:
        raise interrupt


@contextmanager
def _deaf() -> Iterator[None]:
    """Processes forked meanwhile ignore SIGINT for good; this one only for the moment."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
