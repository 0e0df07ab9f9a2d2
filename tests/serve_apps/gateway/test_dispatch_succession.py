"""What a gateway hands on: to the one that is started in its place, to another scheme, to whoever scrapes it."""

from __future__ import annotations

import asyncio
import pickle
from dataclasses import replace

import pytest

from emulation.domain.actions import MacroPolicy, RouteGuide
from serve_apps.gateway.flight import Refused
from serve_apps.wire.ask import Ask
from serve_apps.wire.trace import trace_of
from tests.build.gateway import Gateway, Path, ending, hanging, served, story
from tests.build.waiting import in_a_loop, until

pytestmark = pytest.mark.usefixtures("at_once")


# -- a gateway that is restarted -----------------------------------------------


@story
async def test_a_successor_has_what_was_learned_and_forgets_what_was_in_flight(gateway: Gateway) -> None:
    entered = asyncio.Event()
    gateway.replicas.serving["d0"].append(hanging(entered))
    serving = gateway.answer()
    await entered.wait()
    held = gateway.dispatcher.checkpoint()
    kept = pickle.loads(pickle.dumps(held))
    serving.cancel()
    successor = Gateway()
    successor.dispatcher.restore(kept)
    path = successor.dispatcher.fast_path
    assert path.sent == ["d0"], "the very books of its predecessor"  # type: ignore[attr-defined]
    assert path.ends == [("d0", "error")]  # type: ignore[attr-defined]
    assert not successor.dispatcher.flights


@story
async def test_what_is_held_is_not_in_flight_anywhere(gateway: Gateway) -> None:
    gateway.path.plan.extend([None] * 100)
    serving = gateway.answer()
    await until(lambda: gateway.dispatcher.flights)
    assert gateway.dispatcher.checkpoint()[1] == []
    serving.cancel()


@story
async def test_counts_for_whoever_scrapes_are_by_model_and_outcome(gateway: Gateway) -> None:
    gateway.replicas.serving["d0"].extend([served, ending("error")])
    await gateway.answer(1)
    with pytest.raises(Refused):
        await gateway.answer(2)
    assert gateway.dispatcher.counts.ends == {("m", "done"): 1, ("m", "error"): 1}


@story
async def test_a_stream_is_counted_with_its_first_token_and_the_others(gateway: Gateway) -> None:
    await gateway.text(1)
    counted = {s.metric: s.value for s in gateway.dispatcher.counts.samples()}
    for metric in ("vllm:time_to_first_token_seconds", "vllm:request_time_per_output_token_seconds"):
        assert sum(counted[metric].counts) == 1  # type: ignore[union-attr]


@story
async def test_says_since_when_it_follows_a_plan_and_a_guide(gateway: Gateway) -> None:
    assert gateway.dispatcher.heard_s == {}
    gateway.dispatcher.commanded(MacroPolicy({}, {}))
    gateway.dispatcher.commanded(RouteGuide())
    assert set(gateway.dispatcher.heard_s) == {"plan", "guide"}


@story
async def test_the_record_s_side_has_the_trace_that_a_client_told(gateway: Gateway) -> None:
    told = trace_of([b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"])
    await gateway.dispatcher.answer(gateway.request(1), Ask(model="m", trace=told))
    await gateway.answer(2)
    first, second = (side for *_, side in gateway.batch.ends())
    assert (first["trace_id"], first["span_id"]) == (told.trace_id, told.span_id)
    assert "trace_id" not in second


@in_a_loop
async def test_another_scheme_routes_from_its_switch_on_and_hears_how_what_was_in_flight_ended() -> None:
    gateway, entered, other = Gateway(), asyncio.Event(), Path()
    gateway.replicas.serving["d0"].append(hanging(entered))
    waiting = gateway.answer(1)
    await entered.wait()
    gateway.dispatcher.commanded(RouteGuide())
    gateway.dispatcher.switch(replace(gateway.dispatcher.run, scheme="other", switch=1), other)
    assert other.before is gateway.path
    assert gateway.dispatcher.heard_s == {}, "the guide was of the scheme that went out"
    await gateway.answer(2)
    assert (gateway.path.sent, other.sent) == (["d0"], ["d0"])
    waiting.cancel()
    await asyncio.wait({waiting})
    assert other.ends == [("d0", "done"), ("d0", "aborted")]
    counted = {
        (s.labels, s.value)
        for s in gateway.dispatcher.counts.samples()
        if s.metric == "edgebed_requests_total"
    }
    assert counted == {(("m", "done", "other"), 1), (("m", "aborted", "other"), 1)}


@in_a_loop
async def test_a_gateway_that_comes_up_after_a_switch_takes_over_from_what_the_scheme_before_left() -> None:
    gateway, entered, successor = Gateway(), asyncio.Event(), Gateway()
    gateway.replicas.serving["d0"].append(hanging(entered))
    waiting = gateway.answer(1)
    await entered.wait()
    kept = pickle.loads(pickle.dumps(gateway.dispatcher.checkpoint()))
    successor.dispatcher.run = replace(successor.dispatcher.run, switch=1)
    successor.dispatcher.restore(kept)
    assert successor.dispatcher.fast_path is successor.path, "not that of the scheme that went out"
    assert successor.path.before is kept[0]
    assert successor.path.ends == [("d0", "error")]
    waiting.cancel()
