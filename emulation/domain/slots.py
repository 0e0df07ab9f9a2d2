"""Slots: the one place where a time becomes the number of a slot, and the other way round.

Slot k begins at `slot_start_s(k)`, one product and never a sum that was carried along. A time is in the last slot that
has begun by then, whatever a division of floats would say: at 0.1 or 0.7 s a slot, quotients fall on the wrong side of
a whole number at every third boundary.
"""

from __future__ import annotations

from math import nextafter

_EXACT = 2.0**52
"""Beyond so many slots floats do not tell the begin of one from that of the next."""


def slot_start_s(slot: int, slot_s: float) -> float:
    """When a slot begins, seconds."""
    return slot * slot_s


def slot_of(t_s: float, slot_s: float) -> int:
    """The slot a time is in: `slot_start_s(slot) <= t_s < slot_start_s(slot + 1)`, exact at every boundary.

    Times before 0 are in slots below 0. Raises `OverflowError` or `ValueError` for a time that is not finite.
    """
    slot = int(t_s / slot_s)
    if abs(slot) < _EXACT:
        while slot_start_s(slot, slot_s) > t_s:
            slot -= 1
        while slot_start_s(slot + 1, slot_s) <= t_s:
            slot += 1
    return slot


def slots_until(t_s: float, slot_s: float) -> int:
    """How many slots have begun before a time, the last one cut short where the time is within it."""
    slot = slot_of(t_s, slot_s)
    return slot if slot_start_s(slot, slot_s) == t_s else slot + 1


def within_slot_s(slot: int, share: float, slot_s: float) -> float:
    """The time when a share in [0, 1) of a slot is over; never that of the next slot, however the sum is rounded."""
    t_s = slot_start_s(slot, slot_s) + share * slot_s
    return min(t_s, nextafter(slot_start_s(slot + 1, slot_s), 0.0))
