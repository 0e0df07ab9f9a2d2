"""What the books tell a planner of an epoch."""

from __future__ import annotations

from math import inf

from emulation.domain.cluster import TestbedConfig
from emulation.domain.request import Request
from emulation.ledger import Ledger
from emulation.metrics.fairness import Counted
from tests.build.records import header
from tests.build.workloads import TESTBED


def test_a_request_that_was_heard_of_after_the_boundary_it_came_before_is_the_first_of_its_window() -> None:
    """Live, news of it takes a moment; the window it is counted in has no time before its begin."""
    ledger = Ledger(header(models=("gpt2",)), None, TestbedConfig.model_validate(TESTBED))
    ledger.window(160.0, reset=True)
    ledger.arrive(Request("late", "gpt2", "n1", 158.0, 280.0, 1, 10, 5.0))
    ledger.arrive(Request("next", "gpt2", "n1", 161.0, 281.0, 1, 10, 5.0))
    window = ledger.window(320.0, reset=True)
    assert window.stats["gpt2"].arrived == 2
    assert [a.t_s for a in window.arrivals] == [0.0, 1.0]


def test_what_became_of_the_requests_of_the_horizon_is_counted_with_what_never_ended() -> None:
    head = header(models=("gpt2",))
    ledger = Ledger(head, None, TestbedConfig.model_validate(TESTBED))
    late_s = head.horizon_s + 1.0
    came = [
        Request(f"r{i}", "gpt2", "n1", t_s, inf, 3, 10, 5.0) for i, t_s in enumerate((0.0, 1.0, 2.0, late_s))
    ]
    for request in came:
        ledger.arrive(request)
    ledger.end(came[0], "done", 7.0)
    ledger.end(came[1], "expired", 9.0)
    ledger.end(came[3], "done", late_s + 1.0)
    ledger.close(late_s + 2.0, [(came[2], None, None)])
    assert ledger.counted() == {"gpt2": Counted(asked=3, served=1, latency_s=7.0, prompts=3)}
