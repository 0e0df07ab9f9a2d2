"""K answers cost what K answers cost: in virtual time, at a live node, and in what a router expects of them."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulation.domain.cluster import ModelSpec, NodeSpec, ProfileEntry, TestbedConfig
from emulation.domain.measured import Measured
from emulation.domain.ports import Completion
from emulation.domain.request import Request
from emulation.domain.sharing import GpuSpec
from emulation.domain.truth import RequestTruth
from serve_apps.replica.base import BackendSpec
from serve_apps.replica.content import text_of
from serve_apps.replica.emulated import Emulated
from serve_apps.wire.ask import Ask, Sampling, first_stop
from serve_apps.wire.messages import Answer, Delta, Work
from tests.build.fakes import scenario, simulate
from tests.build.fast_path import build_fast_path
from tests.build.nodes import NodeWorld
from tests.build.waiting import in_a_loop, news_arrives, until
from tests.build.works import work_of

READ_S, SAY_S = 0.01, 0.1
TESTBED = TestbedConfig(
    name="reader",
    models=(ModelSpec(id="m", modality="text", features="tokens"),),
    nodes=(NodeSpec(id="d0", hosting="device", gpus=(GpuSpec(),)),),
    profile=(ProfileEntry(model="m", mode="gpu", theta=(READ_S, SAY_S)),),
)


def asked(answers: int, words: int, length: int, name: str = "x", **fields: object) -> Work:
    """A request for so many answers of exactly this length to one prompt of so many words."""
    request = Request(name, "m", "d0", 0.0, inf, prompts=answers, prompt_tokens=words * answers)
    limits = {"max_tokens": length, "ignore_eos": True}
    return work_of(request, "d0", prompt_tokens=words, each=answers, **{**limits, **fields})


@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(answers=st.integers(1, 8), words=st.integers(0, 30), length=st.integers(1, 20))
def test_in_both_worlds_k_answers_take_k_times_as_long_as_one(answers: int, words: int, length: int) -> None:
    work = asked(answers, words, length)
    expected_s = answers * (READ_S * words + SAY_S * length)
    truth = RequestTruth.drawn(length * answers, (1.0,) * answers)
    (record,) = simulate(scenario(TESTBED, service_cv=0.0), [(work.request, truth)]).requests
    assert record.ended_s == pytest.approx(expected_s)

    async def live() -> float:
        node = NodeWorld(TESTBED, "d0")
        await node.begin()
        serving = asyncio.ensure_future(node.core.serve(work))
        await news_arrives()
        node.clock.go_to(expected_s + 1.0)
        served = await serving
        assert served.measured.output_tokens == length * answers
        return served.ended_s

    assert asyncio.run(live()) == pytest.approx(expected_s)


def test_what_is_expected_of_eight_answers_is_eight_times_what_is_expected_of_one() -> None:
    path = build_fast_path(TESTBED)
    path.executor_changed("d0", "ready", "gpu", 0.0, 0.0)
    one = asked(1, 10, 5).request
    eight = replace(one, id="y", prompts=8, prompt_tokens=80)
    first, second = path.route(one, 0.0), path.route(eight, 0.0)
    assert first.predicted_s is not None
    assert second.predicted_s == pytest.approx(8 * first.predicted_s)
    path.dispatched(eight, second, 0.0)
    measured = Measured(executor="d0", mode="gpu", output_tokens=40, turn_s=4.8, turn_prompts=8)
    path.completed(Completion(eight, "d0", "done", 4.8, measured))
    assert path.lengths.expected_tokens("m") == 5.0, "the length of one answer is what was learned"


@in_a_loop
async def test_each_answer_is_streamed_under_its_own_number_one_after_the_other() -> None:
    node = NodeWorld(TESTBED, "d0")
    replica = Emulated(BackendSpec("d0", TESTBED.models[0]), node.calls)
    await node.begin()
    heard: list[Delta | Answer] = []

    async def listen() -> None:
        async for item in replica.stream(asked(3, 0, 8)):
            heard.append(item)

    listening = asyncio.ensure_future(listen())
    await news_arrives()
    node.clock.go_to(1.2)  # one answer and a half
    await until(lambda: heard and sum(i.tokens for i in heard if isinstance(i, Delta)) == 12)
    node.clock.go_to(3.0)
    await listening
    *deltas, whole = heard
    assert isinstance(whole, Answer)
    assert (len(whole.texts), whole.completion_tokens, whole.finish) == (3, 24, ("length",) * 3)
    numbers = [d.choice for d in deltas if isinstance(d, Delta)]
    assert numbers == sorted(numbers)
    for index, text in enumerate(whole.texts):
        assert "".join(d.text for d in deltas if isinstance(d, Delta) and d.choice == index) == text


# -- where an answer ends --------------------------------------------------------


@pytest.mark.slow
@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(
    drawn=st.integers(1, 40),
    limit=st.none() | st.integers(1, 40),
    least=st.integers(0, 12),
    stop=st.lists(
        st.sampled_from(("node", "the edge", "ge n", "s", "queues stay", " ", "zebra")), max_size=3
    ),
)
def test_an_emulated_answer_ends_at_the_first_stop_sequence_and_keeps_its_limits(
    drawn: int, limit: int | None, least: int, stop: list[str]
) -> None:
    least = least if limit is None else min(least, limit)
    ask = Ask(model="m", max_tokens=limit, min_tokens=least, sampling=Sampling(stop=tuple(stop)))
    free = replace(ask, sampling=Sampling())

    async def served() -> Answer:
        node = NodeWorld(TESTBED, "d0")
        await node.begin()
        replica = Emulated(BackendSpec("d0", TESTBED.models[0]), node.calls)
        work = replace(asked(1, 0, 1, name=f"x{drawn}"), ask=ask)
        serving = asyncio.ensure_future(replica.serve(work))
        plain = asyncio.ensure_future(replica.serve(replace(asked(1, 0, 1, name=f"x{drawn}~2"), ask=free)))
        await news_arrives()
        node.clock.go_to(1000.0)
        answer, whole = await serving, await plain
        assert len(whole.texts[0].split()) == whole.completion_tokens
        assert whole.completion_tokens <= (limit or inf)
        assert whole.completion_tokens >= least
        exempt = len(" ".join(whole.texts[0].split()[:least]))
        at = first_stop(whole.texts[0], stop, exempt)
        expected = whole.texts[0] if at is None else whole.texts[0][:at]
        assert answer.texts[0].rstrip() == expected.rstrip()
        assert answer.completion_tokens == len(answer.texts[0].split())
        if at is not None:
            assert answer.finish == ("stop",)
        return answer

    asyncio.run(served())


def test_words_that_are_cut_in_two_are_cut_in_two() -> None:
    ask = Ask(model="m", max_tokens=9, sampling=Sampling(stop=("ge no",)))
    assert text_of(ask, 2) == ("the ed", "stop")
    assert text_of(replace(ask, sampling=Sampling()), 9)[1] == "length"
