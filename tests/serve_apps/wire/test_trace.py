"""W3C's `traceparent`: what is taken over, and that what is malformed begins a new trace."""

from __future__ import annotations

import re

import pytest

from serve_apps.wire.trace import trace_of

ID, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
GOOD = f"00-{ID}-{SPAN}-01"


def test_a_trace_goes_on_under_a_span_of_our_own() -> None:
    trace = trace_of([GOOD.encode()])
    assert (trace.trace_id, trace.parent_id, trace.sampled) == (ID, SPAN, True)
    assert re.fullmatch(f"00-{ID}-[0-9a-f]{{16}}-01", trace.header().decode())
    assert trace.span_id != SPAN


@pytest.mark.parametrize("flags", ["00", "02", "fe"])
def test_only_the_first_flag_is_known_and_said_again(flags: str) -> None:
    assert trace_of([f"00-{ID}-{SPAN}-{flags}".encode()]).header().endswith(b"-00")


@pytest.mark.parametrize("later", [f"01-{ID}-{SPAN}-01", f"cc-{ID}-{SPAN}-01-what-the-future-brings"])
def test_a_later_version_is_read_as_far_as_it_is_known(later: str) -> None:
    trace = trace_of([later.encode()])
    assert (trace.trace_id, trace.parent_id) == (ID, SPAN)
    assert trace.header().startswith(b"00-")


@pytest.mark.parametrize(
    "given",
    [
        [], [GOOD, GOOD], [""], ["nonsense"], [GOOD.upper()], [f"{GOOD}-more"], [f"ff-{ID}-{SPAN}-01"],
        [f"00-{'0' * 32}-{SPAN}-01"], [f"00-{ID}-{'0' * 16}-01"], [f"00-{ID[:-1]}-{SPAN}-01"], [f"00-{ID}-{SPAN}-1"],
        [f"00-{ID}-{SPAN}"], [f"cc-{ID}-{SPAN}-01.x"], [f"00-{ID}-{SPAN}-01\r\nx: y"], [f"00-{ID}-{SPAN}-zz"],
    ],
)  # fmt: skip
def test_what_is_none_begins_a_new_trace(given: list[str]) -> None:
    one, other = (trace_of([value.encode() for value in given]) for _ in range(2))
    assert one.parent_id == ""
    assert one.trace_id != ID
    assert one.trace_id != other.trace_id
    assert re.fullmatch("00-[0-9a-f]{32}-[0-9a-f]{16}-00", one.header().decode())
