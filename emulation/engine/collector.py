"""Python's collector of cycles, told that a run makes hardly any."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

RARELY = 50_000
"""New objects after which it looks for cycles; Python's own 700 are what arrives and waits within a few slots."""


@contextmanager
def rarely_collected() -> Iterator[None]:
    """Meanwhile cycles are looked for seldom: what a run makes it keeps, or drops when it is done with it.

    Nothing changes where the collector is off, or is called as seldom already.
    """
    before = gc.get_threshold()
    if gc.isenabled() and 0 < before[0] < RARELY:
        gc.set_threshold(RARELY, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
