"""One request in the gateway: routed, held, retried, given up and recorded, with no Ray about."""

from __future__ import annotations

import asyncio

import pytest

from emulation.domain.actions import MacroPolicy
from emulation.domain.measured import Measured
from serve_apps.gateway import attempt_calls as module
from serve_apps.gateway.flight import Refused
from serve_apps.gateway.openai.form import refusal
from serve_apps.wire.ask import Ask, Fault
from serve_apps.wire.messages import Answer, Delta, Piece, Served, Work
from serve_apps.wire.names import RECORDER, runtime_name
from tests.build.gateway import GONE, Gateway, ending, hanging, raising, said, story, walk
from tests.build.waiting import until

pytestmark = pytest.mark.usefixtures("at_once")


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
async def test_a_held_request_is_told_of_once_per_reason_and_of_its_dispatch_whatever_was_told(
    gateway: Gateway,
) -> None:
    gateway.changed("d0", "away")
    gateway.path.plan.extend([*[None] * 20, *["d0"] * 20, *[None] * 20])
    serving = gateway.answer()
    for left in range(59, -1, -1):
        await until(lambda left=left: len(gateway.path.plan) == left)  # type: ignore[misc]
        gateway.changed("d0", "ready" if left == 0 else "away")
    await serving
    assert gateway.batch.routed() == [("r1", "hold"), ("r1", "route"), ("r1", "route")]


@story
async def test_what_is_held_again_after_an_attempt_is_told_of_again(gateway: Gateway) -> None:
    gateway.replicas.serving["d0"].append(ending("returned"))
    gateway.path.plan.extend([None, "d0", None, "d1"])
    serving = gateway.answer()
    for left in (3, 1):
        await until(lambda left=left: len(gateway.path.plan) == left)  # type: ignore[misc]
        gateway.dispatcher.wake()
    await serving
    assert [action for _, action in gateway.batch.routed()] == ["hold", "route", "hold", "route"]


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


@pytest.mark.parametrize(
    ("how", "again_s", "headers"),
    [
        ("reject", 90.0, {b"retry-after": b"9"}),
        ("reject", None, {b"x-should-retry": b"false"}),
        ("no_host", None, {b"retry-after": b"1"}),
    ],
)
def test_a_refusal_says_when_to_come_again_in_the_clients_own_seconds_or_not_to(
    how: str, again_s: float | None, headers: dict[bytes, bytes]
) -> None:
    async def steps() -> None:
        gateway = Gateway(speedup=10.0)
        gateway.path.plan.append(how)
        gateway.path.again_s = again_s
        with pytest.raises(Refused) as refused:
            await gateway.answer()
        assert dict(refusal(refused.value).headers) == headers

    walk(steps())


@story
async def test_a_request_that_is_held_is_looked_at_again_when_its_moment_is_predicted(
    gateway: Gateway,
) -> None:
    gateway.path.again_s = 0.01
    gateway.path.plan.extend([None] * 3)
    answer = await gateway.answer()
    assert answer.served.outcome == "done"
    assert not gateway.path.plan, "nothing was heard meanwhile: it was looked at for the moment alone"


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
    batches = gateway.dispatcher.stream(gateway.request(), Ask(model="m", stream=True))
    assert [type(item) for item in await anext(batches)] == [Delta]
    await batches.aclose()
    await until(lambda: gateway.nodes["d0"].cancelled == [("r1", 1)])
    assert gateway.path.ends == [("d0", "aborted")]
    assert [end[1] for end in gateway.batch.ends()] == ["aborted"]


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
