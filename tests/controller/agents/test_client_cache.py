"""Answers that are kept: found again by their question, and never in the way of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from controller.agents.client import OpenAiLlm
from controller.agents.llm import ReasonerError, Reply
from controller.agents.survey import doubts
from tests.build.clients import GOOD, client, query
from tests.build.server_script import Answered, refused, said


def test_an_answer_is_kept_and_found_again_by_its_question(tmp_path: Path) -> None:
    with client(lambda body, before: said(GOOD), cache=str(tmp_path / "answers")) as (llm, server):
        first, again, other = llm.ask(query()), llm.ask(query()), llm.ask(query("And now?"))
        warmer = OpenAiLlm(llm.config.model_copy(update={"temperature": 1.0})).ask(query())
    assert len(server.seen) == 3
    assert (again.text, again.thinking_s, again.tokens) == (first.text, first.thinking_s, 0)
    assert again.served is not None
    assert again.served.cached
    assert not any(r.served.cached for r in (first, other, warmer) if r.served is not None)


def test_a_broken_file_of_the_cache_counts_as_none(tmp_path: Path) -> None:
    with client(lambda body, before: said(GOOD), cache=str(tmp_path)) as (llm, server):
        llm.ask(query())
        (kept,) = tmp_path.iterdir()
        kept.write_text("{")
        reply: Reply = llm.ask(query())
    assert (reply.text, len(server.seen)) == (GOOD, 2)


@pytest.mark.parametrize("folder", ["file/answers", "file"])
def test_an_answer_that_cannot_be_kept_is_an_answer(
    folder: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("no folder")
    with client(lambda body, before: said(GOOD), cache=str(tmp_path / folder)) as (llm, server):
        replies = [llm.ask(query()) for _ in range(2)]
    assert [r.text for r in replies] == [GOOD] * 2
    assert llm.account.spent.calls == len(server.seen) == 2
    assert [r.message.split(" in ")[0] for r in caplog.records] == ["answers are not kept"]


def test_a_look_at_a_server_is_never_answered_from_the_cache(tmp_path: Path) -> None:
    """A key that was taken back since, or a schema that is not held to any more, is seen."""

    def behave(body: dict[str, Any], before: int) -> Answered:
        return refused(401, "no such key") if before else said('{"answer": "ready"}')

    with client(behave, cache=str(tmp_path)) as (llm, _):
        assert doubts(llm) == []
        with pytest.raises(ReasonerError, match="401"):
            doubts(llm)
