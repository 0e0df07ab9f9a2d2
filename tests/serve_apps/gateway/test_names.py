"""What requests are called: a client's word is kept, and never stands for two requests."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulation.domain.request_id import client_id_of, gateway_of, may_be_given, of_load, scenario_id_of
from serve_apps.gateway import names as module
from serve_apps.gateway.names import Names, NameTaken, Seen


@pytest.mark.slow
@settings(max_examples=200, derandomize=True, database=None)
@given(
    steps=st.lists(st.tuples(st.integers(0, 3), st.sampled_from(("a", "b", "c/1")), st.booleans())),
    bits=st.sampled_from((8, 16, 1024)),
)
def test_no_two_requests_have_one_id_whichever_gateway_names_them(
    steps: list[tuple[int, str, bool]], bits: int
) -> None:
    """Gateways that follow each other know nothing of what the ones before them said."""
    given_out: list[str] = []
    flying: dict[tuple[int, str], ExitStack] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "SEEN_BITS", bits)
        gateways = [Names(number) for number in range(4)]
        for gateway, client_id, lands in steps:
            stack = ExitStack()
            try:
                request_id = stack.enter_context(gateways[gateway].claimed(client_id))
            except NameTaken:
                assert (gateway, client_id) in flying
            else:
                assert (gateway, client_id) not in flying
                assert (client_id_of(request_id), gateway_of(request_id)) == (client_id, gateway)
                given_out.append(request_id)
                flying[gateway, client_id] = stack
            if lands:
                flying.pop((gateway, client_id)).close()
    assert len(given_out) == len(set(given_out))


def test_the_first_request_of_a_name_is_called_just_so() -> None:
    names = Names()
    with names.claimed("r000001") as first:
        assert first == "r000001"


def test_names_are_remembered_in_memory_that_does_not_grow_and_a_new_one_is_seldom_taken_for_an_old_one() -> (
    None
):
    seen = Seen(1 << 16)
    held = sys.getsizeof(seen._array)
    mistaken = sum(seen.add(f"r{number:06d}") for number in range(4_000))
    assert mistaken < 40
    assert all(seen.add(f"r{number:06d}") for number in range(4_000))
    assert sys.getsizeof(seen._array) == held


@pytest.mark.parametrize("good", ["a", "_", ".x", "-", "a" * 128, "a/b:c.d-e_f"])
def test_every_documented_name_may_be_given(good: str) -> None:
    assert may_be_given(good)


@pytest.mark.parametrize("bad", ["", "a\n", "a b", "a~2", "é", "a" * 129, "a\0", "a,b"])
def test_no_other_may(bad: str) -> None:
    assert not may_be_given(bad)


def test_a_loads_name_comes_off_again() -> None:
    numbers = count()
    for load in ("", "4f2a91c0"):
        request_id = of_load(load, f"r{next(numbers):06d}")
        assert may_be_given(request_id)
        assert scenario_id_of(request_id) == scenario_id_of(f"{request_id}~1.2") == request_id[-7:]
