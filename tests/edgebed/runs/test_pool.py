"""Work on all cores: everything is done once, and a pool that ended leaves nothing behind that stops the next work."""

from __future__ import annotations

from edgebed.runs.pool import each, stopping


def _square(number: int) -> int:
    return number * number


def test_every_item_is_worked_on_once() -> None:
    assert sorted(each(_square, range(20), workers=3)) == [n * n for n in range(20)]


def test_a_pool_that_ended_asks_nobody_to_stop() -> None:
    for result in each(_square, range(10), workers=2):
        assert result >= 0
        break
    assert not stopping()
    assert list(each(_square, [3], workers=2)) == [9]
    assert not stopping()
