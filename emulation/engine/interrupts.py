"""A Ctrl-C ends a run between two events: one that was raised in the middle of an event would leave its books torn."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from emulation.engine.kernel import Kernel


@contextmanager
def stopped_by_ctrl_c(kernel: Kernel) -> Iterator[list[int]]:
    """Meanwhile a Ctrl-C stops the kernel after the event in hand; a list of those heard.

    A second one is raised at once, for whoever is impatient. Nothing changes in a thread, which hears no signals, or
    where somebody else has set what a Ctrl-C does.
    """
    heard: list[int] = []
    in_thread = threading.current_thread() is not threading.main_thread()
    if in_thread or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield heard
        return

    def hear(number: int, frame: object) -> None:
        heard.append(number)
        kernel.stop()
        if len(heard) > 1:
            raise KeyboardInterrupt

    signal.signal(signal.SIGINT, hear)
    try:
        yield heard
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
