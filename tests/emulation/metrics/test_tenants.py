"""Fairness over tenants: what each received of what it demanded, whoever waited longest, and models served alike."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgebed.runs.virtual import simulate_in_memory
from emulation.domain.records import RequestRecord
from emulation.files import load_scenario
from emulation.metrics.summary import summarise
from emulation.metrics.tenants import tenant_figures, wait_s
from tests.build.records import request, run

ROWS = st.lists(
    st.tuples(
        st.sampled_from(["t1", "t2", "t3"]), st.sampled_from("ab"), st.sampled_from(["done", "expired", "rejected"]),
        st.floats(0.1, 50), st.floats(0.01, 9),
    ),
    min_size=1, max_size=40,
)  # fmt: skip


def records(rows: list[tuple[str, str, str, float, float]]) -> list[RequestRecord]:
    return [
        request(1.0, wait + service, model, tenant=tenant, outcome=outcome,
                service_s=service if outcome == "done" else None)
        for tenant, model, outcome, wait, service in rows
    ]  # fmt: skip


@pytest.mark.slow
@given(ROWS)
def test_shares_sum_to_one_and_ratios_are_shares(rows: list[Any]) -> None:
    found = tenant_figures(records(rows))
    assert found is not None
    tenants = found.tenants.values()
    assert sum(t.demand_share or 0 for t in tenants) == pytest.approx(1)
    assert sum(t.arrived for t in tenants) == len(rows)
    assert all(0 <= (t.received_ratio or 0) <= 1 + 1e-9 for t in tenants)
    if any(t.done for t in tenants):
        assert sum(t.received_share or 0 for t in tenants) == pytest.approx(1)
    assert found.worst_wait_s == max(t.wait_mean_s or 0 for t in tenants)
    if found.worst is not None:
        assert found.tenants[found.worst].wait_mean_s == found.worst_wait_s


@pytest.mark.slow
@given(ROWS, st.integers(2, 4))
def test_a_tenant_that_asks_for_more_of_the_same_and_gets_it_is_treated_alike(
    rows: list[Any], times: int
) -> None:
    """Unequal demands are no unfairness: t1's requests, and so many times the same for t2."""
    own = [(("t1", *row[1:])) for row in rows]
    found = tenant_figures(records(own + [("t2", *row[1:]) for row in own] * times))
    assert found is not None
    if any(t.done for t in found.tenants.values()):
        assert found.fairness_norm == pytest.approx(1.0)


def test_one_who_gets_nothing_is_the_worst_there_is() -> None:
    rows = [("t1", "a", "done", 1.0, 2.0)] * 5 + [("t2", "a", "expired", 1.0, 2.0)] * 5
    found = tenant_figures(records(rows))
    assert found is not None
    assert found.fairness_norm == 0.0
    assert found.tenants["t2"].received_ratio == 0.0


def test_work_counts_by_what_its_model_usually_takes() -> None:
    rows = [("t1", "a", "done", 0.1, 1.0), ("t1", "b", "expired", 0.1, 9.0), ("t2", "b", "done", 0.1, 9.0)]
    found = tenant_figures(records(rows))
    assert found is not None
    assert found.tenants["t1"].received_ratio == pytest.approx(0.1), "1 s of 1 + 9"


def test_service_is_counted_in_seconds_and_in_weighted_tokens() -> None:
    served = request(0, 5, tenant="t", prompt_tokens=100, output_tokens=20, service_s=3.0)
    lost = request(0, 5, tenant="t", prompt_tokens=100, output_tokens=0, outcome="expired")
    found = tenant_figures([served, lost])
    assert found is not None
    assert (found.tenants["t"].service_s, found.tenants["t"].weighted_tokens) == (3.0, 140.0)
    assert found.tenants["t"].wait_max_s == 5.0, "what was never served waited, too"


@pytest.mark.parametrize(
    ("line", "waited_s"),
    [
        ({"outcome": "unfinished", "started_s": 10.0, "service_s": None}, 0.0),
        ({"outcome": "unfinished", "started_s": 25.0, "service_s": None}, 15.0),
        ({"outcome": "unfinished", "started_s": None, "service_s": None}, 50.0),
        ({"outcome": "expired", "started_s": 20.0, "service_s": 40.0}, 10.0),
        ({"outcome": "expired", "started_s": 20.0, "service_s": 40.0, "enqueued_s": 13.0, "transfer_s": 6.0}, 7.0),
        ({"outcome": "expired", "started_s": None, "enqueued_s": 13.0, "transfer_s": 6.0}, 47.0),
        ({"outcome": "unfinished", "started_s": None, "dispatched_s": 58.0, "enqueued_s": None,
          "transfer_s": 6.0}, 48.0),
        ({"outcome": "expired", "started_s": None, "enqueued_s": None, "transfer_s": 6.0}, 44.0),
        ({"outcome": "rejected", "started_s": None, "dispatched_s": None, "enqueued_s": None}, 50.0),
        ({"outcome": "unfinished", "started_s": 14.0, "service_s": None, "dispatched_s": 30.0, "attempt": 2,
          "enqueued_s": 31.0, "transfer_s": 2.0}, 4.0),
        ({"outcome": "done", "started_s": 30.0, "service_s": 27.0, "transfer_s": 6.0}, 17.0),
    ],
)  # fmt: skip
def test_a_wait_is_neither_service_nor_transfer_whatever_became_of_it(
    line: dict[str, Any], waited_s: float
) -> None:
    """It arrives at 10 and is over at 60."""
    assert wait_s(request(10.0, 50.0, **line)) == pytest.approx(waited_s)


def test_who_says_nothing_is_nobody() -> None:
    assert tenant_figures([request(0, 1)]) is None
    assert summarise(run([request(0, 1)])).tenant_fairness is None
    found = tenant_figures([request(0, 1), request(0, 1, tenant="t")])
    assert found is not None
    assert set(found.tenants) == {"t"}
    assert found.fairness_norm is None, "one tenant alone is treated like everybody"


def test_a_scheme_that_is_fair_to_models_and_not_to_tenants_shows_it() -> None:
    world = load_scenario("tenants")
    for scheme in ("round-robin", "sect"):
        found = summarise(simulate_in_memory(world, scheme, 0), world.testbed)
        assert found.fairness_norm is not None
        assert found.tenant_fairness is not None
        assert found.fairness_norm > 0.97
        assert found.tenant_fairness < 0.9
        assert found.tenants is not None
        bulk, steady = (found.tenants.tenants[t] for t in ("bulk", "steady"))
        assert (bulk.success_ratio or 0) < 0.6 < (steady.success_ratio or 0)
