"""Conversations: prompts that grow, turns at their planned times, and what is left out."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulation.domain.request import Request
from emulation.domain.truth import RequestTruth
from tests.build.workloads import scenario
from workloads.generate import generate

SESSIONS: dict[str, Any] = {
    "kind": "sessions",
    "sessions_per_s": 0.05,
    "mix": {"gpt2": 1.0},
    "turns": [3],
    "think_s": 10,
    "think": "fixed",
    "system_tokens": 7,
    "lengths": {"prompt_tokens": [20, 30], "output_tokens": [5, 9]},
}


def drawn(seed: int = 1, **changes: Any) -> list[tuple[Request, RequestTruth]]:
    return list(generate(scenario({**SESSIONS, **changes}), seed).items)


def test_each_prompt_holds_all_turns_before_it() -> None:
    (first, said1), (second, said2), (third, _) = drawn(2, sessions_per_s=4e-3)[:3]
    own = [first.prompt_tokens - 7]
    own.append(second.prompt_tokens - first.prompt_tokens - said1.output_tokens)
    own.append(third.prompt_tokens - second.prompt_tokens - said2.output_tokens)
    assert all(n in (20, 30) for n in own)
    assert [second.arrival_s, third.arrival_s] == pytest.approx([first.arrival_s + 10, first.arrival_s + 20])
    assert first.origin == second.origin == third.origin


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 99), rate=st.sampled_from([0.01, 0.3]), context=st.sampled_from([40, 60, 120, 4096]),
    think=st.sampled_from(["fixed", "exponential"]), think_s=st.sampled_from([1.0, 40.0, 400.0]),
)  # fmt: skip
def test_turns_are_sent_in_order_and_every_planned_turn_is_accounted_for(
    seed: int, rate: float, context: int, think: str, think_s: float
) -> None:
    changes = {"sessions_per_s": rate, "context_tokens": context, "think": think, "think_s": think_s}
    asked = scenario({**SESSIONS, **changes, "turns": [1, 2, 5]})
    found = generate(asked, seed)
    account = found.accounting[0]
    assert account.adds_up
    assert account.dropped.keys() <= {"over_context", "after_end"}
    times = [r.arrival_s for r, _ in found.items]
    assert times == sorted(times)
    assert all(t < asked.end_s for t in times)
    assert all(r.prompt_tokens + t.output_tokens <= context for r, t in found.items)


def test_turns_that_do_not_fit_the_context_or_the_run_are_named() -> None:
    full = generate(scenario({**SESSIONS, "context_tokens": 70}), 1).accounting[0]
    assert full.dropped["over_context"] > 0
    late = generate(scenario({**SESSIONS, "think_s": 500}), 1).accounting[0]
    assert late.dropped["after_end"] > 0


def test_a_session_draws_the_same_whatever_the_length_of_the_run() -> None:
    short = generate(scenario(SESSIONS, slots=10, tail_slots=0), 3).items
    long = [(r, t) for r, t in drawn(3) if r.arrival_s < 200]
    assert len(short) > 5
    assert [(r.arrival_s, r.prompt_tokens, t.output_tokens) for r, t in short] == [
        (r.arrival_s, r.prompt_tokens, t.output_tokens) for r, t in long
    ]


def test_models_that_count_prompts_have_no_turns() -> None:
    with pytest.raises(ValueError, match=r"workload\[0\].mix: 'sd' counts prompts"):
        scenario({**SESSIONS, "mix": {"sd": 1.0}})
