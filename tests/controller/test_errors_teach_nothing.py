"""A request that failed says nothing about how long its executor takes."""

from __future__ import annotations

from math import inf

import pytest

from edgebed.check.worlds import completion
from emulation.domain.ports import PerfKey
from emulation.domain.request import OUTCOMES, Outcome, Request
from tests.build.fakes import device_testbed
from tests.build.fast_path import build_fast_path


@pytest.mark.parametrize("outcome", [o for o in OUTCOMES if o != "done"])
def test_only_served_requests_change_a_prediction(outcome: Outcome) -> None:
    fast = build_fast_path(device_testbed(3.0, nodes=2))
    key = PerfKey("d0", "m", "gpu")
    before = fast.perf.predict(key, (1.0,))
    for number in range(30):
        request = Request(f"r{number}", "m", "d0", float(number), inf)
        decision = fast.route(request, float(number))
        assert decision.executor is not None
        fast.dispatched(request, decision, float(number))
        end = completion(request, decision.executor, number + 0.001, 0.4, 0, outcome)
        fast.completed(end)
    assert fast.perf.predict(key, (1.0,)) == before
    assert not fast.view.beliefs["d0"].backlog.entries, "and none of them is waited for any more"
