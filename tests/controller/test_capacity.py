"""Fluid capacities against what the world really serves."""

from __future__ import annotations

import numpy as np
import pytest

from controller.capacity import full_rate, role_table, unit_rate
from edgebed.check.worlds import batched, pods
from emulation.domain.actions import NodeConfig
from emulation.domain.request import Request
from emulation.domain.truth import RequestTruth
from emulation.executor import Ended, Job, NodeState


def test_a_busy_executor_that_serves_in_batches_serves_what_its_capacity_says() -> None:
    node = NodeState(batched(), "gpu0")
    node.configure(NodeConfig("gpu0", {"gpt2": "gpu"}), 0.0)
    for number in range(400):
        node.submit("gpu0/gpt2", Job(Request(f"r{number}", "gpt2", "gpu0", 0.0, 1e9), RequestTruth()), 0.0)
    node.advance(1e6)
    ended = [n.t_s for n in node.take_notices() if isinstance(n, Ended)]
    assert len(ended) == 400
    measured = 400 / (ended[-1] - 4.0)  # four seconds to start
    table = role_table(batched(), [[{}], [{"gpt2": "gpu"}], [{}], [{}]])
    said = table.capacity(table.first[None, :], np.array([100.0, 0.0]))[0, 1, 0]
    assert said == pytest.approx(full_rate(batched(), "gpu0", "gpt2", "gpu"))
    assert said == pytest.approx(measured, rel=1e-6)


def test_one_request_alone_is_no_faster_for_a_wide_batch() -> None:
    assert unit_rate(batched(), "gpu0", "gpt2", "gpu") == unit_rate(pods(), "gpu0", "gpt2", "gpu")
    assert full_rate(batched(), "gpu0", "gpt2", "gpu") == pytest.approx(4 / 1.75)
    assert full_rate(pods(), "gpu0", "gpt2", "gpu") == unit_rate(pods(), "gpu0", "gpt2", "gpu")
