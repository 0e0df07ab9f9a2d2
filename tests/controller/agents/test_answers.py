"""The bounded answer: strict JSON in, one fault per line back, never more exchanges than the budget allows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.agents.answers import Answer, Asker, NoAnswer, ReasonedDecider, Toolbox, parse
from controller.agents.llm import Query, ReasonerError, Reply, ToolCall
from controller.agents.scripted import ScriptedLlm, ScriptEnd, ScriptLine
from controller.agents.tools import Arguments, Result, Tool, ToolError
from emulation.domain.actions import RouteGuide


class Number(Answer):
    value: int


class Wanted(Arguments):
    value: int


class Twice(Result):
    value: int


TWICE = Tool("twice", "Doubles.", Wanted)


def _run(name: str, arguments: Any) -> Result:
    if arguments.value > 100:
        raise ToolError("too large")
    return Twice(value=2 * arguments.value)


BOX = Toolbox({"twice": TWICE}, _run)


class Says:
    """Replies in order; remembers what it was asked."""

    label = "scripted"

    def __init__(self, *replies: Reply | str) -> None:
        self.replies = [Reply(text=r, thinking_s=1.0) if isinstance(r, str) else r for r in replies]
        self.asked: list[Query] = []

    def ask(self, query: Query) -> Reply:
        self.asked.append(query)
        return self.replies.pop(0)


def _calls(*values: object) -> Reply:
    made = (
        ToolCall(f"c{i}", "twice", v if isinstance(v, str) else json.dumps({"value": v}))
        for i, v in enumerate(values)
    )
    return Reply(tuple(made), thinking_s=1.0)


def _even(answer: Number) -> list[str]:
    return [] if answer.value % 2 == 0 else [f"{answer.value} is odd"]


def _ask(llm: Any, repairs: int = 2, rounds: int = 2, box: Toolbox | None = None) -> tuple[Asker, Number]:
    asker = Asker("test", llm, repairs, rounds)
    asker.begin("slot 7")
    return asker, asker.ask("system", "user", Number, _even, box)


def _outcomes(asker: Asker) -> list[Sequence[str]]:
    return [e.violations for e in asker.exchanges]


@pytest.mark.parametrize(
    "text",
    [
        '{"value": 4}', '  {"value": 4}\n', '```json\n{"value": 4}\n```', '```json  \n{"value":4}```\n',
        '```\n{"value": 4}\n```', '<think>4 is {even}.</think>\n{"value": 4}',
        '<think>\nso\n</think>\n\n```json\n{"value": 4}\n```',
        '4 is {even}.</think>\n{"value": 4}', 'so\n</thinking>```json\n{"value": 4}\n```',
    ],
)  # fmt: skip
def test_one_json_object_alone_or_in_a_json_block_is_an_answer(text: str) -> None:
    assert parse(text, Number).value == 4


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('Here: {"value": 4}', "nothing else"), ('{"value": 4} {"value": 4}', "Extra data"),
        ('<think>4 is even. {"value": 4}', "nothing else"), ('{"value": 4}<think>is it?</think>', "nothing else"),
        ('{"value": 4}</think>', "nothing else"), ('\n {"value": 4, "reason": "</think>"', "nothing else"),
        ('```json\n{"value": 4}\n```\nDone.', "nothing else"),
        ('{"value": 4.5}', "value: Input should be a valid integer"), ('{"value": "4"}', "value: "),
        ('{"value": true}', "value: "), ('{"value": null}', "value: "), ("{}", "value: Field required"),
        ('{"value": 4, "extra": 1}', "extra: unknown key"), ('{"value": 4, "value": 6}', "'value' appears twice"),
        ('{"value": Infinity}', "Infinity is not a JSON number"), ("null", "object"), ("[4]", "object"),
        ("{" * 200_000, "at most"), ('{"value": ' + "9" * 5000 + "}", ""), ("\x00", "nothing else"),
    ],
)  # fmt: skip
def test_anything_else_is_not(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=".") as found:
        parse(text, Number)
    assert said in str(found.value)


@pytest.mark.slow
@given(st.text(max_size=200) | st.binary(max_size=200).map(lambda b: b.decode("latin-1")))
def test_whatever_is_written_is_an_answer_or_a_list_of_faults(text: str) -> None:
    asker = Asker("test", Says(text), 0, 0)  # type: ignore[arg-type]
    asker.begin("slot 1")
    with suppress(NoAnswer):
        assert asker.ask("system", "user", Number, _even).value % 2 == 0
    (only,) = asker.exchanges
    assert only.said["text"] == text


def test_a_wrong_answer_is_repaired_with_what_was_wrong_in_sight() -> None:
    llm = Says("nonsense", '{"value": 3}', '{"value": 4, "reason": "  even\\n now "}')
    asker, found = _ask(llm)
    choice = ReasonedDecider[RouteGuide](asker).chosen(RouteGuide(), found)
    assert (found.value, choice.reason) == (4, "even now")
    assert (choice.thinking_s, choice.exchanges) == (3.0, asker.exchanges)
    wrong, odd, fine = _outcomes(asker)
    assert wrong[0].startswith("not one JSON object")
    assert (list(odd), list(fine)) == (["3 is odd"], [])
    roles = [m.role for m in llm.asked[2].messages]
    assert roles == ["system", "user", "assistant", "user", "assistant", "user"]
    assert "- 3 is odd" in llm.asked[2].messages[-1].content


def test_the_budget_of_repairs_ends_it() -> None:
    llm = Says(*['{"value": 3}'] * 9)
    with pytest.raises(NoAnswer, match="3 is odd"):
        _ask(llm, repairs=2)
    assert len(llm.asked) == 3


def test_a_failure_ends_it_at_once() -> None:
    llm = Says(Reply(failure="timeout", thinking_s=20.0))
    asker = Asker("test", llm, 5, 5)  # type: ignore[arg-type]
    asker.begin("slot 1")
    with pytest.raises(NoAnswer, match="timeout") as failed:
        asker.ask("system", "user", Number, _even)
    assert (failed.value.thinking_s, failed.value.exchanges) == (20.0, asker.exchanges)
    assert _outcomes(asker) == [("timeout",)]


def test_what_was_said_before_a_client_broke_is_kept() -> None:
    asker = Asker("test", Says("nonsense"))  # type: ignore[arg-type]
    asker.begin("slot 1")
    with pytest.raises(NoAnswer, match="test raised IndexError: pop from empty list") as failed:
        asker.ask("system", "user", Number, _even)
    assert [e.said["text"] for e in failed.value.exchanges] == ["nonsense"]


def test_tool_rounds_are_bounded_and_calls_beyond_them_count_as_wrong_answers() -> None:
    llm = Says(_calls(1), _calls(2, 500), _calls(3), '{"value": 4}')
    asker, found = _ask(llm, repairs=1, rounds=2, box=BOX)
    assert found.value == 4
    assert asker.exchanges[0].results == ('{"value":2}',)
    assert asker.exchanges[1].results == ('{"value":4}', '{"error": "too large"}')
    assert _outcomes(asker)[1:] == [
        ("too large",),
        ("tool calls instead of an answer, and none are left",),
        (),
    ]
    answered = [m.call_id for m in llm.asked[3].messages if m.role == "tool"]
    assert answered == ["c0", "c0", "c1", "c0"], "every call is answered, as the protocol wants it"
    with pytest.raises(NoAnswer):
        _ask(Says(*[_calls(1)] * 9), repairs=1, rounds=2, box=BOX)
    with pytest.raises(NoAnswer):
        _ask(Says(_calls(1)), repairs=0)


def test_the_end_of_a_script_is_no_wrong_answer() -> None:
    lines = [ScriptLine(agent="other", text='{"value": 4}'), ScriptLine(agent="te", on="slot 8", text="{}")]
    with pytest.raises(ScriptEnd, match=r"test: no line is left for invocation 1, round 0 \(slot 7\)"):
        _ask(ScriptedLlm(lines))
    assert issubclass(ScriptEnd, ReasonerError)


def test_a_line_of_a_script_may_be_said_several_times() -> None:
    llm = ScriptedLlm([ScriptLine(text='{"value": 3}', times=2), ScriptLine(text='{"value": 4}')])
    asker, found = _ask(llm)
    assert (found.value, len(asker.exchanges)) == (4, 3)


def test_an_outage_fails_every_question_and_is_marked_in_the_exchange() -> None:
    asker = Asker("test", Says('{"value": 4}'))  # type: ignore[arg-type]
    asker.outage = "malformed_json"
    asker.begin("slot 1")
    with pytest.raises(NoAnswer, match="not one JSON object"):
        asker.ask("system", "user", Number, _even)
    assert [e.said["injected"] for e in asker.exchanges] == ["malformed_json"] * 3
    asker.outage = None
    asker.begin("slot 2")
    assert asker.ask("system", "user", Number, _even).value == 4
    assert "injected" not in asker.exchanges[0].said
