"""A recorded run at any moment: nothing appears or vanishes, and at its end it is what the report says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgebed.ui.sources import open_run, open_runs
from edgebed.ui.views import DecisionView, Frame, NodeView, Source
from emulation.domain.records import RequestRecord
from emulation.files import ConfigError
from emulation.metrics.fairness import jain, jain_normalised
from emulation.metrics.summary import summarise
from emulation.metrics.view import in_one_go
from emulation.recording import read_run


def moments(source: Source) -> list[float]:
    """Moments before, within and after a run."""
    return [-1.0, *np.linspace(0.0, source.span().to_s, 97).tolist(), source.span().to_s + 10.0]


def node_at(frame: Frame, name: str) -> NodeView:
    """A node of a frame."""
    return next(node for node in frame.nodes if node.id == name)


@pytest.mark.slow
def test_at_any_moment_whoever_arrived_is_done_failed_or_in_the_system(folder: Path) -> None:
    source = open_run(folder)
    for t_s in moments(source):
        frame = source.frame(t_s)
        assert frame.arrived == frame.done + frame.failed + frame.in_system
        assert frame.in_system >= 0


def test_at_any_moment_the_queues_hold_whoever_was_sent_and_has_not_ended(folder: Path) -> None:
    source, requests = open_run(folder), read_run(folder).requests
    for t_s in moments(source):
        queued = sum(e.queued or 0 for node in source.frame(t_s).nodes for e in node.executors)
        assert queued == sum(_at_an_executor(r, t_s) for r in requests)


def _at_an_executor(record: RequestRecord, t_s: float) -> bool:
    sent = record.executor is not None and record.dispatched_s is not None and record.dispatched_s <= t_s
    return sent and (record.outcome == "unfinished" or t_s < record.ended_s)


def test_the_last_frame_is_what_the_report_says(folder: Path) -> None:
    source, summary = open_run(folder), summarise(read_run(folder))
    frame = source.frame(source.span().to_s)
    books = summary.conservation
    assert (frame.arrived, frame.done + frame.failed, frame.in_system) == (
        books.arrived, books.ended, books.in_system,
    )  # fmt: skip
    assert frame.done == summary.done


def test_the_counts_never_fall(folder: Path) -> None:
    source = open_run(folder)
    frames = [source.frame(t_s) for t_s in moments(source)]
    for one, later in zip(frames, frames[1:], strict=False):
        assert (one.arrived <= later.arrived, one.done <= later.done, one.failed <= later.failed) == (
            True,
        ) * 3


def test_the_series_are_of_what_ended_in_each_bucket(folder: Path) -> None:
    source, run = open_run(folder), read_run(folder)
    series = source.series(source.span().to_s)
    for i, end_s in enumerate(series.t_s):
        begin_s = end_s - series.bucket_s if i else -1.0
        ended = [r for r in run.requests if r.counted and begin_s < r.ended_s <= end_s]
        ratios = []
        for model, lines in series.models.items():
            own = [r for r in ended if r.model == model]
            took = [r.ended_s - r.intended_s for r in own if r.outcome == "done"]
            assert lines.p50_s[i] == (pytest.approx(np.median(took)) if took else None)
            assert lines.success[i] == (pytest.approx(len(took) / len(own)) if own else None)
            ratios += [len(took) / len(own)] if own else []
        assert series.fairness[i] == jain_normalised(jain(ratios), len(ratios))


def test_every_counted_arrival_is_in_a_bucket(folder: Path) -> None:
    source = open_run(folder)
    series = source.series(source.span().to_s)
    arrived = sum(sum(s.arrived_per_s) for s in series.models.values()) * series.bucket_s
    assert round(arrived) == summarise(read_run(folder)).arrived


def test_a_series_up_to_a_moment_is_the_begin_of_the_whole_one(folder: Path) -> None:
    source = open_run(folder)
    whole, part = source.series(1e9), source.series(41.0)
    n = len(part.t_s)
    assert 0 < n < len(whole.t_s)
    assert part.t_s == whole.t_s[:n]
    assert part.t_s[-1] <= 41.0
    assert all(part.models[m].p95_s == whole.models[m].p95_s[:n] for m in whole.models)


def test_predictions_are_held_against_service_in_one_go(folder: Path) -> None:
    source, run = open_run(folder), read_run(folder)
    done = [r for r in run.requests if r.outcome == "done" and r.predicted_s is not None and in_one_go(r)]
    done.sort(key=lambda r: r.ended_s)
    assert [(r.predicted_s, r.service_s, r.model) for r in done[-400:]] == list(source.series(1e9).predicted)


def test_faults_are_on_the_map_as_long_as_they_are_in_force(folder: Path) -> None:
    source = open_run(folder)
    assert [node_at(source.frame(t), "arc-b60").slowdown for t in (5.0, 15.0, 25.0, 35.0, 45.0)] == [
        1.0, 2.5, 5.0, 2.0, 1.0,
    ]  # fmt: skip
    assert node_at(source.frame(30.0), "jetson-thor").faults == ("pause",)
    assert [node_at(source.frame(t), "thinkedge").available for t in (39.0, 50.0, 61.0)] == [
        True,
        False,
        True,
    ]


def test_the_ledger_knows_of_an_event_from_its_onset_on(folder: Path) -> None:
    source = open_run(folder)
    assert [e.number for e in source.events(9.0)] == []
    (first,) = source.events(11.0)
    assert (first.type, first.target, first.onset_s, first.undone_s, first.by_hand) == (
        "slowdown", "arc-b60", 10.0, None, False,
    )  # fmt: skip
    assert source.events(31.0)[0].undone_s == 30.0


def test_shares_of_a_gpu_are_none_without_one_and_at_most_whole(folder: Path) -> None:
    source = open_run(folder)
    for t_s in moments(source):
        for node in source.frame(t_s).nodes:
            for executor in node.executors:
                assert (executor.gpu_share is None) == (executor.mode != "gpu")
                assert executor.gpu_share is None or 0.0 <= executor.gpu_share <= 1.0


def test_costs_are_the_control_calls_of_the_report(folder: Path) -> None:
    source, run = open_run(folder), read_run(folder)
    summary = summarise(run)
    costs = {cost.actor: cost for cost in source.costs(run.header.horizon_s - 1e-6)}
    assert {actor: cost.decisions for actor, cost in costs.items()} == {
        actor: n for actor, n in summary.control_calls.items() if actor in costs
    }  # fmt: skip
    assert sum(cost.thinking_s for cost in costs.values()) == pytest.approx(summary.thinking_s)


def test_the_feed_can_be_turned_back_to_its_begin_and_names_nobody_twice(folder: Path) -> None:
    source = open_run(folder)
    every: list[DecisionView] = []
    before = None
    while page := source.decisions(1e9, before=before, most=7):
        every += page
        before = page[-1].number
    assert [d.t_s for d in every] == sorted((d.t_s for d in every), reverse=True)
    assert len({d.number for d in every}) == len(every)
    assert all(source.decision(d.number).view == d for d in every)


def test_all_decisions_of_an_actor_are_in_the_feed(folder: Path) -> None:
    source, run = open_run(folder), read_run(folder)
    routed = source.decisions(1e9, ("router",), most=10_000)
    assert len(routed) == sum(d.actor == "router" for d in run.decisions)
    deployed = source.decisions(1e9, ("deployer",), most=10_000)
    assert {d.actor for d in deployed} == {d.actor for d in run.decisions if d.actor.startswith("deployer")}


def test_a_routed_request_shows_its_candidates(folder: Path) -> None:
    source = open_run(folder)
    latest = source.decision(source.decisions(1e9, ("router",), most=1)[0].number)
    assert latest.candidates
    assert latest.view.said.startswith("r0")
    with pytest.raises(KeyError):
        source.decision(10**9)


def test_a_comparison_is_opened_whole(root: Path) -> None:
    assert [s.name for s in open_runs(root)] == ["AL · seed 0", "MA · seed 0", "e3 · seed 0"]


def test_a_folder_without_a_record_is_refused_by_name(tmp_path: Path, root: Path) -> None:
    with pytest.raises(ConfigError, match="scenario"):
        open_run(tmp_path)
    with pytest.raises(ConfigError, match="nowhere"):
        open_run(root / "nowhere" / "seed-0")
