"""One request in the gateway: routed, held, retried, given up and recorded, with no Ray about."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import replace
from typing import Any

import pytest

from emulation.domain.actions import MacroPolicy, RouteGuide
from emulation.domain.measured import Measured
from serve_apps.gateway import dispatch as module
from serve_apps.gateway.flight import Refused
from serve_apps.wire.ask import Ask, Fault
from serve_apps.wire.calls import Unreached
from serve_apps.wire.messages import Answer, Delta, Piece, Served, Work
from serve_apps.wire.names import RECORDER, runtime_name
from serve_apps.wire.trace import trace_of
from tests.build.gateway import Gateway, Path, ending, hanging, raising, said, served
from tests.build.waiting import in_a_loop, until

GONE = Unreached("its process is gone")


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever tries again does so without a pause."""
    monkeypatch.setattr(module, "RETRY_S", 0.0)
    monkeypatch.setattr(module, "AGAIN_LOOK_S", 0.0)


def walk(steps: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(steps, 30.0))


def story(steps: Callable[[Gateway], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    """A test whose steps happen in one event loop, at one gateway."""

    def told() -> None:
        async def begin() -> None:
            await steps(Gateway())

        walk(begin())

    told.__name__ = steps.__name__
    return told


# -- one attempt after the other -----------------------------------------------


@story
async def test_a_request_that_is_done_is_fed_back_and_recorded_once(gateway: Gateway) -> None:
    answer = await gateway.answer()
    assert answer.texts == ("done",)
    assert gateway.path.ends == [("d0", "done")]
    ((request_id, outcome, measured, _, side),) = gateway.batch.ends()
    assert (request_id, outcome) == ("r1", "done")
    assert measured is not None
    assert measured.executor == "d0"
    assert side["heard_s"] == side["answered_s"] >= side["sent_s"]
    assert not gateway.dispatcher.flights


@story
async def test_a_lost_replica_costs_an_attempt_and_its_node_forgets_the_old_one(gateway: Gateway) -> None:
    gateway.replicas.serving["d0"].append(raising(GONE))
    gateway.path.plan.extend(["d0", "d1"])
    await gateway.answer()
    assert [(w.executor, w.attempt) for w in gateway.replicas.works] == [("d0", 1), ("d1", 2)]
    assert gateway.nodes["d0"].cancelled == [("r1", 1)]
    assert gateway.path.ends == [("d0", "node_lost"), ("d1", "done")]
    assert [end[1] for end in gateway.batch.ends()] == ["done"]


@story
async def test_what_the_progress_record_has_is_not_computed_again(gateway: Gateway) -> None:
    gateway.books.finished["r1"] = Measured(prompts_done=3, service_s=4.5)
    gateway.replicas.serving["d0"].append(raising(GONE))
    await gateway.answer()
    again = gateway.replicas.works[1].earlier
    assert (again.prompts_done, again.service_s) == (3, 4.5)


@story
async def test_without_the_recorder_the_next_attempt_starts_from_what_the_gateway_knows(
    gateway: Gateway,
) -> None:
    gateway.calls.lose(RECORDER)
    gateway.replicas.serving["d0"].extend([ending("returned", prompts_done=2), raising(GONE)])
    await gateway.answer()
    assert [w.earlier.prompts_done for w in gateway.replicas.works] == [0, 2, 2]


@story
async def test_a_request_whose_replicas_are_lost_again_and_again_ends_as_an_error(gateway: Gateway) -> None:
    gateway.replicas.serving["d0"].extend([raising(GONE)] * module.ATTEMPTS)
    with pytest.raises(Refused, match="replica lost") as refused:
        await gateway.answer()
    assert refused.value.outcome == "error"
    assert len(gateway.replicas.works) == module.ATTEMPTS
    assert [end[1] for end in gateway.batch.ends()] == ["error"]


@story
async def test_a_node_that_gives_a_request_back_is_heard_of_before_it_is_tried_again(
    gateway: Gateway,
) -> None:
    gateway.replicas.serving["d0"].append(ending("returned", prompts_done=1))
    gateway.path.plan.extend(["d0", "d0", "d1"])  # the fast path has not heard yet that it left
    await gateway.answer()
    assert gateway.path.sent == ["d0", "d1"]


@story
async def test_a_node_that_stays_may_serve_what_it_gave_back(gateway: Gateway) -> None:
    gateway.replicas.serving["d0"].append(ending("returned"))
    await gateway.answer()
    assert gateway.path.sent == ["d0", "d0"]


@story
async def test_an_end_that_is_not_done_is_raised_with_its_reason_and_teaches_nothing(
    gateway: Gateway,
) -> None:
    gateway.replicas.serving["d0"].append(ending("expired", service_s=7.0))
    with pytest.raises(Refused, match="it is expired") as refused:
        await gateway.answer()
    assert refused.value.outcome == "expired"
    assert gateway.path.completions[0].served_work(1) is None


@story
async def test_a_request_no_model_could_serve_is_the_clients_mistake(gateway: Gateway) -> None:
    async def refuse(work: Work) -> Answer:
        return Answer(served=Served(outcome="rejected", ended_s=work.dispatched_s), fault=Fault("size"))

    gateway.replicas.serving["d0"].append(refuse)
    with pytest.raises(Refused) as refused:
        await gateway.answer()
    assert refused.value.fault == Fault("size")


@story
async def test_finished_choices_go_with_the_next_attempt_only_to_models_that_read(gateway: Gateway) -> None:
    piece = Piece(text="first", tokens=1)

    async def half(work: Work) -> Answer:
        return Answer(served=Served(outcome="returned", ended_s=work.dispatched_s), kept=(piece,))

    gateway.replicas.serving["d0"].extend([half, half])
    gateway.dispatcher._readers.add(("d0", "m"))
    asked = Ask(model="m", inputs=("what a real model reads",))
    await gateway.dispatcher.answer(gateway.request(), asked)
    assert [w.kept for w in gateway.replicas.works] == [(), (piece,), (piece,)]
    assert {w.ask.inputs for w in gateway.replicas.works} == {asked.inputs}
    gateway.dispatcher._readers.clear()
    await gateway.dispatcher.answer(gateway.request(2), asked)
    assert gateway.replicas.works[-1].ask.inputs == ()


# -- held -----------------------------------------------


@story
async def test_who_is_held_goes_on_as_soon_as_something_changes(gateway: Gateway) -> None:
    gateway.path.plan.append(None)
    serving = gateway.answer()
    await until(lambda: gateway.dispatcher.flights and not gateway.path.plan)
    assert gateway.path.sent == []
    gateway.changed("d1", "ready")
    await serving
    assert gateway.path.sent == ["d0"]


@story
async def test_an_executor_that_is_away_is_not_sent_to_whatever_the_fast_path_says(gateway: Gateway) -> None:
    gateway.changed("d0", "away")
    gateway.path.plan.extend(["d0", "d0"])
    serving = gateway.answer()
    await until(lambda: len(gateway.path.plan) == 1)
    gateway.changed("d1", "ready")
    await until(lambda: not gateway.path.plan)
    gateway.changed("d0", "ready")
    await serving
    assert gateway.path.sent == ["d0"]


@story
async def test_a_policy_wakes_who_is_held(gateway: Gateway) -> None:
    gateway.path.plan.append(None)
    serving = gateway.answer()
    await until(lambda: gateway.dispatcher.flights and not gateway.path.plan)
    policy = MacroPolicy(p={}, roles={})
    gateway.dispatcher.commanded(policy)
    await serving
    assert gateway.path.commands == [policy]


@story
async def test_a_deadline_ends_a_request_that_is_held(gateway: Gateway) -> None:
    gateway.path.plan.extend([None] * 100)
    with pytest.raises(Refused) as refused:
        await gateway.answer(deadline_s=0.05)
    assert refused.value.outcome == "expired"
    ((_, outcome, measured, reason, _),) = gateway.batch.ends()
    assert (outcome, measured, reason) == ("expired", None, "deadline passed while held")


@pytest.mark.parametrize("how", ["reject", "no_host"])
def test_a_refusal_of_the_fast_path_reaches_the_client_and_no_node(how: str) -> None:
    async def steps() -> None:
        gateway = Gateway()
        gateway.path.plan.append(how)
        with pytest.raises(Refused) as refused:
            await gateway.answer()
        assert refused.value.outcome == {"reject": "rejected"}.get(how, how)
        assert gateway.replicas.works == []

    walk(steps())


# -- the client goes away -----------------------------------------------


@story
async def test_a_client_that_gives_up_while_served_frees_its_executor(gateway: Gateway) -> None:
    entered = asyncio.Event()
    gateway.replicas.serving["d0"].append(hanging(entered))
    serving = gateway.answer()
    await entered.wait()
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving
    await until(lambda: gateway.nodes["d0"].cancelled == [("r1", 1)])
    assert gateway.path.ends == [("d0", "aborted")]
    ((_, outcome, measured, _, _),) = gateway.batch.ends()
    assert outcome == "aborted"
    assert measured is not None
    assert measured.executor == "d0"


@story
async def test_a_client_that_gives_up_while_held_was_nowhere(gateway: Gateway) -> None:
    gateway.path.plan.extend([None] * 100)
    serving = gateway.answer()
    await until(lambda: gateway.dispatcher.flights)
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving
    ((_, outcome, measured, _, _),) = gateway.batch.ends()
    assert (outcome, measured) == ("aborted", None)
    assert gateway.path.ends == []


@story
async def test_a_client_that_gives_up_between_two_attempts_has_one_end(gateway: Gateway) -> None:
    gateway.replicas.serving["d0"].append(ending("returned", prompts_done=1))
    gateway.path.plan.extend(["d0", *[None] * 100])
    serving = gateway.answer()
    await until(lambda: gateway.path.ends)
    await until(lambda: gateway.dispatcher.flights["r1"].work is None)
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving
    ((_, outcome, measured, _, _),) = gateway.batch.ends()
    assert outcome == "aborted"
    assert measured is not None
    assert measured.prompts_done == 1
    assert gateway.path.ends == [("d0", "node_lost")]


@story
async def test_a_client_that_leaves_a_stream_ends_the_work(gateway: Gateway) -> None:
    gateway.replicas.streaming["d0"].append(said("one two three four"))
    items = gateway.dispatcher.stream(gateway.request(), Ask(model="m", stream=True))
    first = await anext(items)
    assert isinstance(first, Delta)
    await items.aclose()  # type: ignore[attr-defined]
    await until(lambda: gateway.nodes["d0"].cancelled == [("r1", 1)])
    assert gateway.path.ends == [("d0", "aborted")]
    assert [end[1] for end in gateway.batch.ends()] == ["aborted"]


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
    items = gateway.dispatcher.stream(gateway.request(), Ask(model="m", stream=True))
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


# -- lifecycle cold -----------------------------------------------


def test_cold_a_replica_is_called_when_it_is_its_turn_and_not_before() -> None:
    async def steps() -> None:
        gateway, turn = Gateway(cold=True), asyncio.Event()

        async def wait(work: Work) -> Served | None:
            await turn.wait()
            return None

        gateway.nodes["d0"].turn = wait  # type: ignore[method-assign]
        serving = gateway.answer()
        await until(lambda: (runtime_name("d0"), "turn") in gateway.calls.asked)
        assert gateway.replicas.works == []
        turn.set()
        await serving
        assert len(gateway.replicas.works) == 1

    walk(steps())


@pytest.mark.parametrize("streams", [False, True])
def test_cold_who_is_detached_attaches_again_as_the_same_attempt(streams: bool) -> None:
    async def steps() -> None:
        gateway = Gateway(cold=True)
        if streams:
            gateway.replicas.streaming["d0"].append(said("a", then="detached"))
            assert await gateway.text() == "a b c d"
        else:
            gateway.replicas.serving["d0"].append(ending("detached"))
            await gateway.answer()
        assert [(w.executor, w.attempt) for w in gateway.replicas.works] == [("d0", 1), ("d0", 1)]
        assert gateway.path.ends == [("d0", "done")]

    walk(steps())


@pytest.mark.parametrize("streams", [False, True])
def test_cold_a_request_that_ends_in_the_queue_calls_no_replica(streams: bool) -> None:
    async def steps() -> None:
        gateway = Gateway(cold=True)
        gateway.nodes["d0"].turns.append(Served(outcome="expired", ended_s=1.0, reason="too late"))
        with pytest.raises(Refused, match="too late"):
            await (gateway.text() if streams else gateway.answer())
        assert gateway.replicas.works == []

    walk(steps())


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
