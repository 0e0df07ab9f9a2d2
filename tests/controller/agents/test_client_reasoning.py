"""Models that reason before they answer: they have the room for it, and it is told apart from the answer."""

from __future__ import annotations

from typing import Any

import pytest

from tests.build.clients import GOOD, client, query
from tests.build.server_script import Answered, Behaviour, said


def thinking(needs: int, **told: Any) -> Behaviour:
    """A model that is cut short where it has less room than it needs to think and answer."""

    def behave(body: dict[str, Any], before: int) -> Answered:
        cut = body["max_completion_tokens"] < needs
        answer = said("" if cut else f"so it is one.</think>\n{GOOD}", finish="length" if cut else "stop")
        answer.body["choices"][0]["message"] |= told
        return answer

    return behave


def test_a_model_that_reasons_has_the_room_that_is_configured() -> None:
    with client(thinking(200)) as (llm, server):
        replies = [llm.ask(query(answer_tokens=64)) for _ in range(3)]
    assert [r.failure for r in replies] == [None] * 3
    assert {body["max_completion_tokens"] for body in server.seen} == {1024}


def test_a_model_that_answers_at_once_is_bound_to_its_answer() -> None:
    with client(lambda body, before: said(GOOD)) as (llm, server):
        for _ in range(2):
            llm.ask(query(answer_tokens=64))
    assert [body["max_completion_tokens"] for body in server.seen] == [1024, 64]


@pytest.mark.parametrize("told", [{"reasoning_content": "hm"}, {"reasoning": "hm"}])
def test_reasoning_told_apart_from_the_answer_is_seen(told: dict[str, str]) -> None:
    def behave(body: dict[str, Any], before: int) -> Answered:
        answer = said(GOOD)
        answer.body["choices"][0]["message"] |= told
        return answer

    with client(behave) as (llm, server):
        for _ in range(2):
            llm.ask(query(answer_tokens=64))
    assert [body["max_completion_tokens"] for body in server.seen] == [1024, 1024]


def test_reasoning_that_is_only_counted_is_seen_and_a_bound_that_cut_an_answer_is_lifted() -> None:
    def counts(body: dict[str, Any], before: int) -> Answered:
        answer = said(GOOD)
        answer.body["usage"] = {**answer.body["usage"], "completion_tokens_details": {"reasoning_tokens": 9}}
        return answer

    def later(body: dict[str, Any], before: int) -> Answered:
        return thinking(200)(body, before) if before else said(GOOD)

    bounds = []
    for behave in (counts, later):
        with client(behave) as (llm, server):
            for _ in range(3):
                llm.ask(query(answer_tokens=64))
        bounds.append([body["max_completion_tokens"] for body in server.seen])
    assert bounds == [[1024, 1024, 1024], [1024, 64, 1024]]
