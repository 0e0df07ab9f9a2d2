"""What the report says of questions that a run's end or a switch overtook: they were asked, and nothing was wrong."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from edgebed.report.reasoning import accounts_of
from emulation.domain.records import ENDED, SWITCHED, DecisionRecord
from tests.build.records import decision, run


def asked(t_s: float, invocation: int, failure: str | None = None, **changes: Any) -> DecisionRecord:
    exchange = {"failure": failure, "thinking_s": 1.0, "tokens": 5}
    choice = {"invocation": invocation, "exchange": exchange}
    return decision(t_s, "meta", reasoner="openai", choice=choice, **changes)


def voided(t_s: float, invocation: int, why: str, failure: str | None = None) -> DecisionRecord:
    return asked(t_s, invocation, failure, outcome="voided", violations=(why,), landed_s=None)


@pytest.mark.parametrize("why", [ENDED, SWITCHED])
def test_a_question_that_was_overtaken_is_neither_wrong_nor_a_failure(why: str) -> None:
    lines = [asked(1.0, 1), voided(2.0, 2, why), voided(3.0, 3, why, "unanswered")]
    result: Any = SimpleNamespace(run=run(decisions=lines))
    (account,) = accounts_of([result])
    assert (account.decisions, account.asked) == (3, 2)
    assert (account.answers, account.valid, account.failed, account.fell_back) == (2, 2, 0, 0)


def test_one_that_failed_is_counted_as_that() -> None:
    lines = [
        asked(1.0, 1, "timeout", outcome="rejected", violations=("timeout",), landed_s=None),
        asked(2.0, 2),
    ]
    result: Any = SimpleNamespace(run=run(decisions=lines))
    (account,) = accounts_of([result])
    assert (account.answers, account.valid, account.failed, account.fell_back) == (2, 1, 1, 1)
