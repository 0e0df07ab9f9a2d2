"""The client's log, and whom of several workers a request belongs to."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.build.workloads import POISSON, scenario
from workloads.generate import generate
from workloads.load import ClientResult, client_log, worker_log
from workloads.open_loop import Pace, Timeline, request_timeout_s, share


def result(
    request_id: str, outcome: str = "done", sent: bool = True, status: int | None = 200
) -> ClientResult:
    facts = {"intended_s": 1.0, "sent_s": 1.1 if sent else None, "ended_s": 2.0, "latency_wall_s": 1.0}
    return ClientResult.model_validate(
        {"request_id": request_id, "model": "m", "outcome": outcome, "status": status, **facts}
    )


def test_logs_of_all_workers_are_read_as_one(tmp_path: Path) -> None:
    for index, ids in enumerate((("a", "c"), ("b",))):
        path = worker_log(tmp_path / "client.jsonl", index, 2)
        path.write_text("".join(result(i).model_dump_json() + "\n" for i in ids))
    assert [r.request_id for r in client_log(tmp_path / "client.jsonl")] == ["a", "b", "c"]


def test_a_killed_writers_last_line_is_left_out_but_a_garbled_one_is_told(tmp_path: Path) -> None:
    path = tmp_path / "client.jsonl"
    line = result("a").model_dump_json()
    path.write_text(f"{line}\n{line[:30]}")
    assert len(client_log(path)) == 1
    path.write_text(f"{line}\n{line[:30]}\n{line}\n")
    with pytest.raises(ValueError, match="line 2: .*not a client result"):
        client_log(path)
    with pytest.raises(FileNotFoundError):
        client_log(tmp_path / "none.jsonl")


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_workers_shares_are_a_partition(count: int) -> None:
    workload = generate(scenario(POISSON), 1)
    shares = [[r.id for r in share(workload, i, count)] for i in range(count)]
    assert sorted(i for ids in shares for i in ids) == [r.id for r, _ in workload.items]
    with pytest.raises(ValueError, match="worker index"):
        share(workload, count, count)


def test_timeline_is_its_own_inverse_and_timeouts_follow_the_deadline() -> None:
    timeline = Timeline(1000.0, 10.0)
    assert timeline.wall_s(50.0) == 1005.0
    assert timeline.virtual_s(timeline.wall_s(12.5)) == pytest.approx(12.5)
    assert request_timeout_s(scenario(POISSON, deadline_s=100), 10.0, 600.0, 20.0) == 30.0
    assert request_timeout_s(scenario(POISSON, deadline_s=None), 10.0, 600.0, 20.0) == 600.0


RATES = st.floats(0.01, 100.0)
CHANGES = st.lists(st.tuples(st.floats(0.0, 50.0), RATES), max_size=6)
"""(virtual seconds after the change before, rate from then on)."""


@given(CHANGES, st.floats(0.0, 10_000.0), RATES)
def test_as_much_of_a_scenario_is_due_as_its_rate_says_however_often_that_changes(
    changes: list[tuple[float, float]], beyond_s: float, first: float
) -> None:
    """Of its seconds, the sum of rate times length of every stretch is gone through: none twice, and none left out."""
    timeline = Timeline(1000.0, 10.0)
    pace = Pace(timeline, first)
    now_s, reached_s, rate = 0.0, 0.0, first
    for length_s, new in changes:
        now_s, reached_s = now_s + length_s, reached_s + length_s * rate
        pace.change(new, timeline.wall_s(now_s))
        rate = new
    assert pace.due_s(reached_s) == pytest.approx(now_s, abs=1e-4)
    assert pace.due_s(reached_s + beyond_s) == pytest.approx(now_s + beyond_s / rate, abs=1e-4)


@given(st.floats(0.0, 1e6))
def test_nothing_is_another_time_than_the_scenario_s_where_nobody_steers(arrival_s: float) -> None:
    assert Pace(Timeline(1000.0, 10.0)).due_s(arrival_s) == arrival_s
