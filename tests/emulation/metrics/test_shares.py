"""Only all is 100%, only nothing is 0%."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulation.metrics.shares import share_percent, share_text


@pytest.mark.parametrize(
    ("share", "decimals", "said"),
    [
        (575 / 576, 1, "99.8%"),
        (575 / 576, 0, ">99%"),
        (1.0, 0, "100%"),
        (1 / 5000, 1, "<0.1%"),
        (0.0, 1, "0.0%"),
        (0.1 + 0.2 + 0.7, 1, "100.0%"),
        (0.6, 0, "60%"),
    ],
)
def test_a_share_in_percent(share: float, decimals: int, said: str) -> None:
    assert share_percent(share, decimals) == said


@settings(derandomize=True, database=None)
@given(whole=st.integers(1, 10**6), data=st.data(), decimals=st.integers(0, 4))
def test_all_and_nothing_are_said_of_all_and_nothing_only(
    whole: int, data: st.DataObject, decimals: int
) -> None:
    part = data.draw(st.integers(0, whole))
    text, percent = share_text(part / whole, decimals), share_percent(part / whole, decimals)
    assert (float(text) == 1 if text[0] not in "<>" else False) == (part == whole)
    assert (float(text) == 0 if text[0] not in "<>" else False) == (part == 0)
    assert percent.startswith("100") == (part == whole)
    assert (percent.strip("0.%") == "") == (part == 0)
