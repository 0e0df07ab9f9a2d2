"""Requests in the gateway whose node is lost, silent, or far away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from serve_apps.gateway import attempt_calls as module
from serve_apps.gateway.flight import Refused
from serve_apps.wire.ask import Ask
from serve_apps.wire.messages import Answer, Delta, Served, Work
from serve_apps.wire.names import runtime_name
from tests.build.gateway import GONE, Gateway, ending, hanging, items_of, raising, served, story

pytestmark = pytest.mark.usefixtures("at_once")


# -- nodes that are lost -----------------------------------------------


@story
async def test_a_call_to_a_node_that_is_lost_does_not_hang(gateway: Gateway) -> None:
    entered = asyncio.Event()
    gateway.replicas.serving["d0"].append(hanging(entered))
    serving = gateway.answer()
    await entered.wait()
    gateway.calls.lose(runtime_name("d0"))
    gateway.dispatcher.node_lost("d0")
    await serving
    assert gateway.path.sent == ["d0", "d1"]
    assert gateway.path.away == {"d0"}
    assert gateway.followed_anew == ["d0", "d0"], "and the state of its executors is asked for again"


@story
async def test_calls_to_other_nodes_go_on_when_one_is_lost(gateway: Gateway) -> None:
    entered, go = asyncio.Event(), asyncio.Event()

    async def slow(work: Work) -> Answer:
        entered.set()
        await go.wait()
        return await served(work)

    gateway.replicas.serving["d1"].append(slow)
    gateway.path.plan.append("d1")
    serving = gateway.answer()
    await entered.wait()
    gateway.dispatcher.node_lost("d0")
    go.set()
    await serving
    assert gateway.path.sent == ["d1"]


@story
async def test_a_stream_whose_client_reads_slowly_still_hears_that_its_node_is_lost(gateway: Gateway) -> None:
    async def endless(work: Work) -> AsyncIterator[Delta | Answer]:
        yield Delta(choice=0, text="a", tokens=1)
        await asyncio.Event().wait()

    gateway.replicas.streaming["d0"].append(endless)
    gateway.path.plan.extend(["d0", "d1"])
    items = items_of(gateway.dispatcher.stream(gateway.request(), Ask(model="m", stream=True)))
    heard = [await anext(items)]
    gateway.dispatcher.node_lost("d0")  # while the client has the word and asks for no other
    heard += [item async for item in items]
    assert "".join(i.text for i in heard if isinstance(i, Delta)) == "a b c d"


@story
async def test_a_node_that_does_not_say_what_became_of_an_attempt_counts_as_lost(gateway: Gateway) -> None:
    gateway.calls.lose(runtime_name("d0"))
    gateway.replicas.serving["d0"].append(raising(GONE))
    await gateway.answer()
    assert gateway.path.sent == ["d0", "d1"]
    assert gateway.followed_anew == ["d0"]


@story
async def test_a_replica_that_is_silent_beyond_the_deadline_is_lost(gateway: Gateway) -> None:
    gateway.replicas.serving["d0"].append(hanging())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "CALL_MARGIN_S", 0.01)
        with pytest.raises(Refused) as refused:
            await gateway.answer(deadline_s=0.02)
    assert refused.value.outcome == "expired"
    assert gateway.nodes["d0"].cancelled == [("r1", 1)]


# -- nodes on other machines -------------------------------------------------------------------------


class Far:
    """Links to nodes that are a second of virtual time away, each way."""

    def network_s(self, node: str) -> float:
        return 0.25

    def travelled(self, node: str, served: Served) -> Served:
        moved = replace(served.measured, uplink_s=1.0, downlink_s=1.0)
        return replace(served, ended_s=served.ended_s + 1.0, measured=moved)


@story
async def test_the_way_to_another_machine_is_in_feedback_and_record_and_beside_the_overhead(
    gateway: Gateway,
) -> None:
    gateway.dispatcher.links = Far()  # type: ignore[assignment]
    gateway.replicas.serving["d0"].append(ending("done", dispatched_s=0.0, enqueued_s=0.0, started_s=0.0))
    gateway.path.plan.append("d0")
    await gateway.answer()
    ((_, _, measured, _, side),) = gateway.batch.ends()
    assert measured is not None
    assert (measured.uplink_s, measured.downlink_s, side["network_s"]) == (1.0, 1.0, 0.25)
    assert gateway.path.completions[0].measured == measured


@story
async def test_what_a_gateway_says_itself_of_a_lost_attempt_went_no_way(gateway: Gateway) -> None:
    gateway.dispatcher.links = Far()  # type: ignore[assignment]
    gateway.replicas.serving["d0"].append(raising(GONE))
    gateway.path.plan.extend(["d0", "d1"])
    await gateway.answer()
    assert [c.measured.uplink_s for c in gateway.path.completions] == [0.0, 0.0]
