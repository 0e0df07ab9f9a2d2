"""Answer lengths: what requests state, what was seen, and how sure that makes a prediction."""

from __future__ import annotations

import pytest

from controller.lengths import OutputLengths
from edgebed.check.worlds import completion, devices
from emulation.domain.request import Request
from emulation.metrics.calibration import calibration
from tests.build.fast_path import build_fast_path


def test_a_stated_truth_stays_exactly_what_it_is() -> None:
    lengths = OutputLengths()
    for tokens in (16, 32, 64, 33):
        lengths.observe("llm", tokens, float(tokens))
    assert lengths.expected_tokens("llm", 48.0) == 48.0
    assert lengths.sd_tokens("llm", 48.0) == 0.0


def test_a_stated_limit_is_scaled_by_the_share_that_answers_took() -> None:
    lengths = OutputLengths()
    assert lengths.expected_tokens("llm", 64.0) == 64.0
    for tokens in (16, 32, 64):
        lengths.observe("llm", tokens, 64.0)
    assert lengths.expected_tokens("llm", 128.0) == pytest.approx(128 * 112 / 192)
    assert lengths.sd_tokens("llm", 64.0) == pytest.approx(24.44, abs=0.01)


def test_nothing_stated_gives_the_mean_of_what_was_seen_and_its_deviation() -> None:
    lengths = OutputLengths(prior_tokens=100.0)
    assert lengths.expected_tokens("llm") == 100.0
    for tokens in (10, 20, 30):
        lengths.observe("llm", tokens)
    assert lengths.expected_tokens("llm") == pytest.approx(20.0)
    assert lengths.sd_tokens("llm") == pytest.approx(10.0)
    assert lengths.expected_tokens("other") == 100.0


def test_an_unknown_length_widens_the_stated_interval() -> None:
    path = build_fast_path(devices(), "explore_risk", None, "bayes")
    for i, tokens in enumerate((16, 64) * 20):
        request = Request(f"r{i}", "llm", "llm0", float(i), float("inf"), 1, 128, None)
        decision = path.route(request, 100.0 * i)
        path.dispatched(request, decision, 100.0 * i)
        took_s = (0.001 * 128 + 0.05 * tokens) * (1 if decision.executor == "llm0" else 2)
        path.completed(completion(request, str(decision.executor), 100.0 * i + took_s, took_s, tokens))
    known = path.route(Request("k", "llm", "llm0", 9e3, float("inf"), 1, 128, 40.0), 9e3)
    unknown = path.route(Request("u", "llm", "llm0", 9e3, float("inf"), 1, 128, None), 9e3)
    assert known.sigma_s is not None
    assert unknown.sigma_s is not None
    assert unknown.sigma_s == pytest.approx(0.05 * 24.3, rel=0.1)
    assert known.sigma_s < 0.2 * unknown.sigma_s


@pytest.mark.parametrize("knowledge", ["exact", "max_tokens", "predicted"])
def test_intervals_hold_whatever_is_known_of_the_length(knowledge: str) -> None:
    from edgebed.runs.virtual import simulate_in_memory
    from workloads.pools import random_pool

    found = [
        calibration(simulate_in_memory(random_pool(s, knowledge=knowledge), "e3-alone", s).requests)  # type: ignore[arg-type]
        for s in range(3)
    ]
    shares = [c.within_80 for c in found if c is not None]
    assert sum(shares) / 3 == pytest.approx(0.8, abs=0.1)
