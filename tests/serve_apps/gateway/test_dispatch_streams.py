"""A stream in the gateway: whatever is lost on the way, nothing is said twice and nothing left out."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from serve_apps.gateway import attempt_calls as module
from serve_apps.gateway.flight import Refused
from serve_apps.wire.messages import Answer, Delta, Work
from tests.build.gateway import GONE, Gateway, said, served, story

pytestmark = pytest.mark.usefixtures("at_once")


# -- streams -----------------------------------------------


@story
async def test_a_second_attempt_of_a_stream_says_nothing_twice_and_leaves_nothing_out(
    gateway: Gateway,
) -> None:
    gateway.replicas.streaming["d0"].append(said("a b", then=GONE))
    gateway.replicas.streaming["d1"].append(said("a b c d"))
    gateway.path.plan.extend(["d0", "d1"])
    assert await gateway.text() == "a b c d"


@story
async def test_a_second_attempt_that_says_less_than_the_client_has_adds_nothing(gateway: Gateway) -> None:
    gateway.replicas.streaming["d0"].extend(
        [said("a b c", then=GONE), said("a b", then=GONE), said("a b c d")]
    )
    assert await gateway.text() == "a b c d"


@story
async def test_what_comes_in_larger_pieces_is_cut_where_the_client_stopped(gateway: Gateway) -> None:
    async def whole(work: Work) -> AsyncIterator[Delta | Answer]:
        yield Delta(choice=0, text="a b c d", tokens=4)
        yield await served(work)

    gateway.replicas.streaming["d0"].extend([said("a b", then=GONE), whole])
    assert await gateway.text() == "a b c d"


@story
async def test_a_stream_that_ends_without_its_answer_is_a_lost_replica(gateway: Gateway) -> None:
    """It was called again at once, as the same attempt, for as long as it went on so."""
    gateway.replicas.streaming["d0"].extend([said("a b", then=None), said("a b c d")])
    assert await gateway.text() == "a b c d"
    assert [w.attempt for w in gateway.replicas.works] == [1, 2]
    assert gateway.path.ends == [("d0", "node_lost"), ("d0", "done")]
    assert gateway.nodes["d0"].cancelled == [("r1", 1)]


@story
async def test_a_stream_that_never_has_an_answer_ends_as_an_error_after_so_many_attempts(
    gateway: Gateway,
) -> None:
    gateway.replicas.streaming["d0"].extend([said("a", then=None)] * 50)
    with pytest.raises(Refused) as refused:
        await gateway.text()
    assert refused.value.outcome == "error"
    assert len(gateway.replicas.works) == module.ATTEMPTS


@story
async def test_a_stream_that_is_given_back_goes_on_elsewhere(gateway: Gateway) -> None:
    gateway.replicas.streaming["d0"].append(said("a", then="returned"))
    gateway.path.plan.extend(["d0", "d1"])
    assert await gateway.text() == "a b c d"
    assert gateway.path.sent == ["d0", "d1"]


@story
async def test_a_stream_that_is_refused_before_its_first_word_raises(gateway: Gateway) -> None:
    gateway.replicas.streaming["d0"].append(said("", then="expired"))
    with pytest.raises(Refused, match="it is expired"):
        await gateway.text()
