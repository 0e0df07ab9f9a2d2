"""Answers of `/v1/responses` are what OpenAI's own types say they are, whole and streamed."""

from __future__ import annotations

from typing import Any

import pytest
from openai.types import Completion
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from serve_apps.wire.messages import Answer, Delta
from tests.build.asgi import CHAT, DELTAS, DONE, PICTURE, SAID, MadeUpRun, asked

EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
CUT = Answer(served=DONE, texts=("two words",), completion_tokens=2, finish=("length",))
ASKED: dict[str, Any] = {
    "model": "gpt2",
    "input": "hi there",
    "instructions": "be short",
    "temperature": 0.5,
    "top_p": 0.9,
    "max_output_tokens": 2,
    "metadata": {"a": "b"},
    "parallel_tool_calls": False,
    "truncation": "auto",
    "user": "me",
    "safety_identifier": "s",
    "prompt_cache_key": "k",
    "reasoning": {"effort": "low"},
    "text": {"format": {"type": "text"}, "verbosity": "low"},
    "tools": [
        {
            "type": "function",
            "name": "f",
            "parameters": {"type": "object"},
            "strict": True,
            "description": "d",
        }
    ],
    "tool_choice": "none",
}
SAID_AGAIN = [name for name in ASKED if name != "input"]


def test_what_was_asked_is_said_again() -> None:
    body = asked("/v1/responses", ASKED, MadeUpRun(SAID)).json()
    for name in SAID_AGAIN:
        told = body[name]
        if isinstance(told, dict) and name not in ("text", "metadata"):
            told = {k: v for k, v in told.items() if v is not None}
        assert told == ASKED[name], name


@pytest.mark.parametrize("given", [{"model": "gpt2", "input": "hi"}, ASKED])
@pytest.mark.parametrize(("answer", "status"), [(SAID, "completed"), (CUT, "incomplete")])
def test_a_response_is_one_to_openais_own_type(given: dict[str, Any], answer: Answer, status: str) -> None:
    body = asked("/v1/responses", {**given, "max_output_tokens": 9}, MadeUpRun(answer)).json()
    found = Response.model_validate(body)
    assert found.status == status == found.output[0].status  # type: ignore[union-attr]
    assert found.output_text == "two words"
    reason = found.incomplete_details and found.incomplete_details.reason
    assert reason == ("max_output_tokens" if status == "incomplete" else None)
    assert found.error is None


@pytest.mark.parametrize(("answer", "status"), [(SAID, "completed"), (CUT, "incomplete")])
def test_every_event_of_a_stream_is_one_to_openais_own_type(answer: Answer, status: str) -> None:
    reply = asked(
        "/v1/responses",
        {**ASKED, "max_output_tokens": 9, "stream": True},
        MadeUpRun(*DELTAS, answer),
    )
    events = [EVENT.validate_python(e) for e in reply.events()]
    assert [e.sequence_number for e in events] == list(range(len(events)))
    assert (events[0].type, events[-1].type) == ("response.created", f"response.{status}")
    assert events[-1].response.status == events[-2].item.status == status
    assert events[-1].response.output_text == "two words"
    assert events[-1].response.instructions == "be short"


def test_an_answer_without_a_limit_of_its_client_that_ends_by_itself_is_complete() -> None:
    body = asked("/v1/responses", {"model": "gpt2", "input": "hi"}, MadeUpRun()).json()
    assert (body["status"], body["incomplete_details"]) == ("completed", None)


TURNS: list[dict[str, Any]] = [
    {"role": "user", "content": "one two"},
    {"type": "message", "role": "assistant", "id": "msg-1", "status": "completed",
     "content": [{"type": "output_text", "text": "three", "annotations": []}]},
    {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "four"}]},
    {"type": "function_call", "call_id": "c1", "name": "five", "arguments": "{}", "id": "fc_1"},
    {"type": "function_call_output", "call_id": "c1", "output": "six seven"},
    {"type": "function_call_output", "call_id": "c2", "output": [{"type": "input_text", "text": "eight"}]},
    {"type": "custom_tool_call", "call_id": "c3", "name": "nine", "input": "x"},
    {"type": "message", "role": "assistant", "content": [{"type": "refusal", "refusal": "ten"}]},
]  # fmt: skip


def test_items_of_earlier_turns_are_read() -> None:
    run = MadeUpRun()
    assert asked("/v1/responses", {"model": "gpt2", "input": TURNS}, run).status == 200
    assert run.asked[0][1].turns == (
        ("user", "one two"), ("assistant", "three"), ("assistant", "four"), ("assistant", "five {}"),
        ("tool", "six seven"), ("tool", "eight"), ("assistant", "nine x"), ("assistant", "ten"),
    )  # fmt: skip
    assert run.asked[0][1].prompt_tokens == 12


def test_an_item_that_is_only_referred_to_is_asked_for() -> None:
    body = {"model": "gpt2", "input": [TURNS[0], {"type": "item_reference", "id": "msg-1"}]}
    error = asked("/v1/responses", body, MadeUpRun()).error()
    assert error["param"] == "input.1"
    assert "send the item itself" in error["message"]


def test_a_tool_may_give_back_a_picture() -> None:
    output = [{"type": "input_image", "image_url": PICTURE, "detail": "auto"}]
    item = {"type": "function_call_output", "call_id": "c", "output": output}
    run = MadeUpRun()
    assert asked("/v1/responses", {"model": "blip", "input": [item]}, run).status == 200
    assert run.asked[0][1].pictures == (PICTURE,)


# -- chats and completions ------------------------------------------------------


def test_three_choices_of_a_chat_are_three_to_openais_own_type() -> None:
    answer = Answer(served=DONE, texts=("a b", "c d", "e f"), completion_tokens=6, finish=("stop",) * 3)
    run = MadeUpRun(answer)
    found = ChatCompletion.model_validate(asked("/v1/chat/completions", {**CHAT, "n": 3}, run).json())
    assert [(c.index, c.message.content) for c in found.choices] == [(0, "a b"), (1, "c d"), (2, "e f")]
    assert found.usage is not None
    assert (found.usage.prompt_tokens, found.usage.completion_tokens) == (2, 6)
    request, ask = run.asked[0]
    assert (request.prompts, request.prompt_tokens, ask.each) == (3, 6, 3)


def test_every_choice_of_a_stream_begins_and_ends_even_if_it_says_nothing() -> None:
    deltas = (Delta(choice=0, text="a", tokens=1), Delta(choice=2, text="c", tokens=1))
    answer = Answer(served=DONE, texts=("a", "", "c"), completion_tokens=2, finish=("stop",) * 3)
    reply = asked("/v1/chat/completions", {**CHAT, "n": 3, "stream": True}, MadeUpRun(*deltas, answer))
    chunks = [ChatCompletionChunk.model_validate(e) for e in reply.events()]
    for index in range(3):
        choices = [c.choices[0] for c in chunks if c.choices[0].index == index]
        assert choices[0].delta.role == "assistant"
        assert [c.finish_reason for c in choices].count("stop") == 1
        assert "".join(c.delta.content or "" for c in choices) == ("a", "", "c")[index]


def test_completions_of_several_prompts_are_one_to_openais_own_type() -> None:
    answer = Answer(served=DONE, texts=("a",) * 4, completion_tokens=4, finish=("length",) * 4)
    body = {"model": "gpt2", "prompt": ["x y", "z"], "n": 2, "max_tokens": 1}
    found = Completion.model_validate(asked("/v1/completions", body, MadeUpRun(answer)).json())
    assert [c.index for c in found.choices] == [0, 1, 2, 3]
    assert {c.finish_reason for c in found.choices} == {"length"}
    assert found.usage is not None
    assert (found.usage.prompt_tokens, found.usage.completion_tokens) == (3, 4)
