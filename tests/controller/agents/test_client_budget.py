"""What questions cost, how a budget ends them, and how long a busy server is left alone."""

from __future__ import annotations

import multiprocessing
import pickle
import tempfile
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from controller.agents.account import Account, Accounts
from controller.agents.client import OpenAiLlm
from controller.agents.config import AgentsConfig
from controller.agents.openai_config import OpenAiConfig
from emulation.domain.complaints import complaint
from tests.build.clients import GOOD, client, once, query, uncounted
from tests.build.server_script import refused, said


def test_a_server_that_is_busy_for_long_holds_back_every_agent_of_the_run() -> None:
    with client(lambda body, before: refused(429, "quota", retry_after="60")) as (llm, server):
        other = OpenAiLlm(llm.config, llm.account)
        stranger = OpenAiLlm(llm.config, Account())
        assert [one.ask(query()).failure for one in (llm, other)] == ["http_429"] * 2
        assert len(server.seen) == 1, "the other agent does not ask before the time is over"
        stranger.ask(query())
        assert len(server.seen) == 2


@pytest.mark.parametrize(
    "budget",
    [{"max_calls": 2}, {"max_tokens": 200}, {"max_price": 0.00015, "input_price": 1.0, "output_price": 0.0}],
)
def test_a_budget_is_of_all_agents_together(budget: dict[str, Any]) -> None:
    with client(lambda body, before: said(GOOD), **budget) as (llm, server):
        other: OpenAiLlm = pickle.loads(pickle.dumps(OpenAiLlm(llm.config, llm.account)))
        replies = [llm.ask(query()), other.ask(query()), llm.ask(query()), other.ask(query())]
    assert [r.failure for r in replies] == [None, None, "budget", "budget"]
    assert len(server.seen) == 2


@pytest.mark.parametrize("kept", [True, False])
def test_an_account_of_a_pools_process_is_there_until_it_ends_and_leaves_no_file(
    kept: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    made = tmp_path / "made"
    process = multiprocessing.get_context("fork").Process(target=_share_an_account, args=(made, kept))
    process.start()
    process.join(60)
    assert process.exitcode == 0
    file = Path(made.read_text())
    assert file.parent == tmp_path
    assert not file.exists()


_KEPT: list[Account] = []


def _share_an_account(said: Path, kept: bool) -> None:
    account = Account()
    copy: Account = pickle.loads(pickle.dumps(account))
    if kept:
        _KEPT.append(account)
    del account
    copy.add(calls=1)
    (file,) = said.parent.glob("edgebed-spent-*.json")
    said.write_text(str(file))


def test_the_price_of_a_question_counts_what_was_lost() -> None:
    prices = {"input_price": 2.0, "output_price": 10.0}
    with client(lambda body, before: said(GOOD), **prices) as (llm, _):
        served = llm.ask(query()).served
    assert served is not None
    assert served.price == pytest.approx((100 * 2.0 + 10 * 10.0) / 1e6)


@pytest.mark.parametrize("given", [{}, {"input_price": 1.0}, {"output_price": 1.0}])
def test_a_price_that_can_never_be_spent_is_refused(given: dict[str, float]) -> None:
    for config in (OpenAiConfig, AgentsConfig):
        openai = {"max_price": 2.0, **given}
        with pytest.raises(ValidationError) as caught:
            config.model_validate(openai if config is OpenAiConfig else {"openai": openai})
        told = complaint(config, caught.value)
        assert "max_price = 2 is never spent without" in told
        assert all((name in told) == (name not in given) for name in ("input_price", "output_price"))
    assert (
        OpenAiConfig.model_validate({"max_price": 2.0, "input_price": 0.0, "output_price": 1.0}).max_price
        == 2.0
    )


def test_tokens_that_a_server_does_not_count_are_estimated_and_spent() -> None:
    prices = {"input_price": 1e6, "output_price": 1e6}
    with client(lambda body, before: uncounted(said(GOOD * 30)), max_tokens=200, **prices) as (llm, server):
        reply = llm.ask(query("word " * 90))
        assert llm.ask(query()).failure == "budget"
    assert len(server.seen) == 1
    served = reply.served
    assert served is not None
    assert served.estimated
    assert (100 < served.prompt_tokens < 300, 50 < served.answer_tokens < 150) == (True, True)
    assert reply.tokens == served.prompt_tokens + served.answer_tokens == served.price


def test_what_a_server_counts_is_not_estimated() -> None:
    with client(lambda body, before: said(GOOD)) as (llm, _):
        served = llm.ask(query()).served
    assert served is not None
    assert (served.prompt_tokens, served.answer_tokens, served.estimated) == (100, 10, False)


def test_what_closes_to_one_agent_closes_to_those_with_a_budget_of_their_own() -> None:
    with client(lambda body, before: refused(429, "quota", retry_after="60"), max_calls=1) as (llm, server):
        accounts: Accounts = pickle.loads(pickle.dumps(Accounts()))
        meta, agent = OpenAiLlm(llm.config, accounts.meta), OpenAiLlm(llm.config, accounts.agents)
        assert [one.ask(query()).failure for one in (meta, agent)] == ["http_429"] * 2
        assert len(server.seen) == 1
        assert [one.ask(query()).failure for one in (meta, agent)] == ["budget"] * 2, "each has its own"


@pytest.mark.parametrize("year", [2000, 2100])
def test_a_date_to_try_again_at_is_understood(year: int) -> None:
    date = format_datetime(datetime(year, 1, 1, tzinfo=UTC), usegmt=True)
    with client(once(refused(429, "quota", retry_after=date))) as (llm, server):
        replies = [llm.ask(query()) for _ in range(2)]
    assert [r.failure for r in replies] == (["http_429"] * 2 if year > 2000 else [None] * 2)
    assert len(server.seen) == (1 if year > 2000 else 3)


NO_YEAR = "Mon, 01 Jan 99999999999999999999 00:00:00 GMT"


NO_ZONE = "Mon, 01 Jan 2001 00:00:00 +99999999999999999"


@pytest.mark.parametrize("said_so", ["soon", "nan", "", "Wed, 99 Foo", NO_YEAR, NO_ZONE])
def test_a_time_to_try_again_that_says_nothing_closes_nothing(said_so: str) -> None:
    with client(once(refused(429, "quota", retry_after=said_so))) as (llm, server):
        assert [llm.ask(query()).failure for _ in range(2)] == [None] * 2
    assert len(server.seen) == 3
