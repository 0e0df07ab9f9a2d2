"""A run changes how often cycles are looked for, and leaves that as it was."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from emulation.engine.collector import RARELY, rarely_collected


@pytest.fixture(autouse=True)
def collector() -> Iterator[None]:
    """The test's own settings; those of the session afterwards."""
    enabled, before = gc.isenabled(), gc.get_threshold()
    gc.enable()
    yield
    gc.set_threshold(*before)
    if not enabled:
        gc.disable()


@pytest.mark.parametrize(
    ("before", "meanwhile"),
    [(700, RARELY), (2 * RARELY, 2 * RARELY), (0, 0)],
    ids=["often", "seldom", "never"],
)
def test_cycles_are_looked_for_seldom_and_then_as_often_as_before(before: int, meanwhile: int) -> None:
    gc.set_threshold(before, 9, 8)
    with rarely_collected():
        assert gc.get_threshold() == (meanwhile, 9, 8)
    assert gc.get_threshold() == (before, 9, 8)


def test_a_run_that_fails_leaves_it_as_it_was() -> None:
    gc.set_threshold(700, 9, 8)
    with pytest.raises(ZeroDivisionError), rarely_collected():
        raise ZeroDivisionError
    assert gc.get_threshold() == (700, 9, 8)
