"""What the books tell a planner of an epoch."""

from __future__ import annotations

from emulation.domain.cluster import TestbedConfig
from emulation.domain.request import Request
from emulation.ledger import Ledger
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
