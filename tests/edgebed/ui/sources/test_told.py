"""Single lines of a record, and what a page says of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest

from edgebed.runs.layout import Layout
from edgebed.ui.sources import intake, open_run
from edgebed.ui.sources.files import is_held
from edgebed.ui.sources.seats import Seats
from edgebed.ui.views import ExecutorView, Source
from emulation.domain.actions import NodeConfig
from emulation.domain.cluster import TestbedConfig
from emulation.domain.records import EventRecord, LinkRecord, Record
from emulation.executor import NodeState
from emulation.executor.notices import Changed
from emulation.recording import RECORD_FILE, decode, encode
from serve_apps.records.store import RunStore
from tests.build.records import decision, header, request
from tests.build.small import small_scenario

Open = Callable[[Sequence[Record]], Source]


@pytest.fixture
def opened(tmp_path: Path) -> Open:
    """Opens a record of these lines, on the demo testbed."""

    def open_lines(lines: Sequence[Record]) -> Source:
        layout = Layout(tmp_path)
        layout.save_scenario(small_scenario())
        folder = layout.run_folder("e3", 1)
        folder.mkdir(parents=True)
        (folder / RECORD_FILE).write_bytes(b"".join(map(encode, (header(scheme="e3"), *lines))))
        os.utime(folder / RECORD_FILE, (0, 0))
        return open_run(folder)

    return open_lines


def executor(source: Source, name: str, t_s: float) -> ExecutorView:
    """One executor at a moment."""
    return next(e for node in source.frame(t_s).nodes for e in node.executors if e.id == name)


def by_meta(t_s: float, **choice: Any) -> Any:
    """An entry of the meta-controller's trail, with a promise if it acts."""
    promised = "stutter_rate" if choice.get("tool") == "set_device_risky" else None
    return decision(t_s, "meta", choice=choice, promised=promised)


RISKY = {"tool": "set_device_risky", "by": "rule", "arguments": {"device": "arc-b60", "ttl_tasks": 50}}


def test_the_latest_guide_masks_from_when_it_lands(opened: Open) -> None:
    guide = {"table": {}, "masked": ["arc-b60/sd"], "weights": {}}
    source = opened(
        [
            decision(10, "scheduler", choice=guide, landed_s=15.0),
            decision(30, "scheduler", choice={**guide, "masked": []}),
        ]
    )
    assert [executor(source, "arc-b60/sd", t).masked for t in (14.0, 16.0, 31.0)] == [False, True, False]
    assert not executor(source, "arc-b60/gpt2", 16.0).masked


def test_who_is_unfinished_stays_in_the_system_to_the_end(opened: Open) -> None:
    here = {"executor": "arc-b60/sd", "model": "sd"}
    source = opened([request(1, 3, **here), request(2, 8, outcome="unfinished", service_s=None, **here)])
    frame = source.frame(source.span().to_s)
    assert (frame.arrived, frame.done, frame.failed, frame.in_system) == (2, 1, 0, 1)
    assert executor(source, "arc-b60/sd", 10.0).queued == 1


def test_a_risky_node_is_masked_until_it_is_cleared(opened: Open) -> None:
    cleared = {"tool": "clear_device_risky", "by": "rule", "arguments": {"device": "arc-b60"}}
    source = opened([by_meta(10, entry=1, **RISKY), by_meta(20, entry=2, **cleared)])
    assert [executor(source, "arc-b60/sd", t).masked for t in (9.0, 11.0, 21.0)] == [False, True, False]
    assert not executor(source, "thinkedge/sd", 11.0).masked


def test_a_mask_ends_with_the_scheme_that_set_it(opened: Open) -> None:
    to = {"value": 0.0, "scheme": "AL", "before": "e3", "reasoner": "none"}
    source = opened(
        [by_meta(10, entry=1, **RISKY), EventRecord(20, 0, "scheme", "AL", "onset", visible=False, detail=to)]
    )
    assert [executor(source, "arc-b60/sd", t).masked for t in (11.0, 21.0)] == [True, False]
    assert source.name == "e3→AL · seed 1"
    assert [source.decides(t)[0] for t in (19.0, 20.0)] == ["e3", "AL"]
    assert source.decides(20.0)[1] == "none"


def test_a_promise_shows_the_verdict_on_it(opened: Open) -> None:
    verdict = {"entry": 2, "verdict": "confirmed", "of": 1, "tool": "set_device_risky", "reverted": False}
    judged = decision(
        40, "meta", choice=verdict, reason="stutter_rate 0.3 before, 0 after (50)", promised="x"
    )
    source = opened([by_meta(10, entry=1, **RISKY), judged])
    acted = source.decision(source.decisions(11.0)[0].number)
    assert (acted.promised, acted.became) == (
        "stutter_rate", "confirmed: stutter_rate 0.3 before, 0 after (50)",
    )  # fmt: skip


def test_a_promise_without_a_verdict_is_measured(opened: Open) -> None:
    here = {"executor": "arc-b60/gpt2", "model": "gpt2"}
    before = [request(t, 1, stutter=True, **here) for t in (1, 2)]
    after = [request(t, 1, stutter=t == 11, **here) for t in (11, 12, 13, 14)]
    elsewhere = [request(12, 1, stutter=True, executor="thinkedge/gpt2", model="gpt2")]
    source = opened([*before, by_meta(10, entry=1, **RISKY), *after, *elsewhere])
    acted = source.decision(source.decisions(1e9, ("meta",))[0].number)
    assert acted.became == "stutter_rate 1 over the 2 requests before, 0.25 over the 4 after"


def test_questions_stand_with_the_decision_they_led_to(opened: Open) -> None:
    exchange = {
        "agent": "planner",
        "asked": "what now?",
        "text": "that",
        "calls": [["1", "look", "{}"]],
        "tokens": 70,
    }
    asked = {"exchange": exchange, "number": 1, "results": ["{}"]}
    source = opened(
        [
            decision(10, "planner", choice=asked, reasoner="openai", landed_s=None),
            decision(10, "planner", reasoner="openai", thinking_s=4.0),
            decision(50, "planner", reasoner="openai", thinking_s=5.0),
        ]
    )
    assert [d.t_s for d in source.decisions(1e9)] == [50.0, 10.0]
    (told,) = source.decision(source.decisions(20.0)[0].number).exchanges
    assert (told["asked"], told["results"]) == ("what now?", ["{}"])
    (cost,) = source.costs(20.0)
    assert (cost.actor, cost.decisions, cost.thinking_s, cost.tokens, cost.price) == (
        "planner",
        1,
        4.0,
        70,
        None,
    )


def test_candidates_beyond_avoidance_are_masked(opened: Open) -> None:
    candidates = (("arc-b60/sd", 1.5), ("thinkedge/sd", 1e6 + 2.0))
    source = opened([decision(3, "router", choice="arc-b60/sd", candidates=candidates, request_id="r1")])
    (view,) = source.decisions(1e9)
    assert view.said == "r1 to arc-b60/sd, 1.50 s expected"
    assert [masked for _, _, masked in source.decision(view.number).candidates] == [False, True]


def test_the_round_trip_of_a_node_is_the_mean_over_its_gateways(opened: Open) -> None:
    source = opened([LinkRecord(1, "arc-b60", 0, 0.2), LinkRecord(1, "arc-b60", 1, 0.4)])
    rtts = {node.id: node.rtt_s for node in source.frame(2.0).nodes}
    assert rtts.pop("arc-b60") == pytest.approx(0.3)
    assert set(rtts.values()) == {None}


def test_a_record_is_held_as_long_as_its_recorder_lives(tmp_path: Path) -> None:
    store = RunStore(tmp_path)
    assert is_held(tmp_path)
    store.close()
    assert not is_held(tmp_path)


def test_executors_sit_on_the_gpus_that_the_node_itself_gave_them() -> None:
    models = [{"id": m, "modality": "image", "init_s": 1.0, "vram_gb": 6.0} for m in "abc"]
    node = {"id": "n", "cores": 8, "gpus": [{"slices": 1, "vram_gb": 8}, {"slices": 2, "vram_gb": 16}]}
    profile = [{"model": m, "mode": mode, "theta": [1.0]} for m in "abc" for mode in ("gpu", "cpu")]
    testbed = TestbedConfig.model_validate(
        {"name": "two", "models": models, "nodes": [node], "profile": profile}
    )
    state, seats, seen = NodeState(testbed, "n"), Seats(testbed, testbed.node("n")), dict[str, int | None]()
    used = set[int | None]()
    patterns = (
        {"a": "gpu"},
        {"a": "gpu", "b": "gpu", "c": "gpu"},
        {"b": "cpu", "c": "gpu"},
        {"a": "gpu", "b": "gpu"},
    )
    for i, modes in enumerate(patterns):
        state.configure(NodeConfig("n", modes), 10.0 * i)  # type: ignore[arg-type]
        state.advance(10.0 * i + 9)
        for notice in state.take_notices():
            if isinstance(notice, Changed):
                seen[notice.executor] = seats.change(notice.executor, notice.state, notice.mode)
                used.add(seen[notice.executor])
        assert seen == {e.spec.id: e.gpu for e in state._executors if e.spec.id in seen}
    assert used == {0, 1, None}


def test_what_flows_is_counted_from_each_origin_to_each_node_whatever_the_model(opened: Open) -> None:
    arc, edge = ({"executor": f"{node}/sd", "model": "sd"} for node in ("arc-b60", "thinkedge"))
    other = {"executor": "arc-b60/gpt2", "model": "gpt2"}
    lost = request(6.0, 1, **{**arc, "executor": None, "dispatched_s": None, "outcome": "no_host"})
    source = opened(
        [
            request(6.0, 1, **arc), request(6.0, 1, **other), request(6.0, 1, **edge), lost,
            request(6.0, 1, **{**other, "origin": "arc-b60"}),
        ]
    )  # fmt: skip
    frame = source.frame(6.0)
    sent = {(f.origin, f.node): round(f.per_s * source.series(6.0).bucket_s) for f in frame.flows}
    assert sent == {("n1", "arc-b60"): 2, ("n1", "thinkedge"): 1, ("arc-b60", "arc-b60"): 1}


def test_what_the_feed_shows_already_is_not_read_again(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    source = opened([decision(t, "planner", landed_s=t) for t in (1.0, 2.0, 3.0)])
    read: list[bytes] = []

    def counted(line: bytes) -> Record:
        read.append(line)
        return decode(line)

    monkeypatch.setattr(intake, "decode", counted)
    assert len(source.decisions(2.5)) == 2
    assert len(source.decisions(9.0)) == 3
    assert source.decisions(9.0) == source.decisions(9.0)
    assert len(read) == 3


def test_a_decision_of_the_router_is_not_parsed_however_many_digits_its_moment_has(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed: list[bytes] = []
    monkeypatch.setattr(intake, "decode", lambda line: parsed.append(line) or decode(line))
    moments = [1.0, 3986.420535271673, 12345678.123456789, 1.2345678901234567e-300]
    source = opened([decision(t, "router", cause="request", choice="arc-b60/gpt2") for t in moments])
    assert not any(b'"router"' in line for line in parsed)
    monkeypatch.undo()
    assert [d.t_s for d in source.decisions(1e9, ("router",))] == sorted(moments, reverse=True)


PLAN = {"p": {"gpt2": {"arc-b60": 1.0}}, "roles": {"arc-b60": {"gpt2": "gpu"}}}


def test_a_plan_says_its_j_and_what_it_came_to_until_the_next_one(opened: Open) -> None:
    first = decision(
        10, "planner", choice=PLAN, reason="best of 3 emulated; J 0.125 estimated; success gpt2 1.00"
    )
    second = decision(60, "planner", choice=PLAN, reason="kept")
    served = [request(t, 2, "gpt2") for t in (1, 15, 20, 70)]
    lost = request(40, 5, "gpt2", outcome="expired", service_s=None)
    source = opened([*served, lost, first, second])
    told = source.decision(source.decisions(10.0, ("planner",))[0].number)
    assert told.promised == "J 0.125"
    # What is shared by one model only is shared fairly, so J is half of 2 s over the deadline of 100 s.
    assert told.became == (
        "J 0.010 over the 50 s it was in force (3 requests that ended); 0.010 over as long before (1 requests)"
    )
    kept = source.decision(source.decisions(60.0, ("planner",))[0].number)
    assert kept.promised is None
    assert "(1 requests that ended)" in str(kept.became)


@pytest.mark.parametrize(
    ("asked", "promised"),
    [
        ([["1", "what_if", orjson.dumps(PLAN).decode()]], "J 0.420"),
        ([["1", "what_if", orjson.dumps(PLAN | {"p": {}}).decode()]], None),
        ([["1", "look", orjson.dumps(PLAN).decode()]], None),
        ([["1", "what_if", "{"], 7, ["?"]], None),
        (5, None),
    ],
    ids=str,
)
def test_a_plan_of_a_model_promises_what_its_emulation_said(
    opened: Open, asked: Any, promised: str | None
) -> None:
    exchange = {"agent": "planner", "asked": "?", "text": "", "calls": asked}
    question = {"exchange": exchange, "number": 1, "results": ['{"objective": 0.42}', "{}", 3]}
    source = opened(
        [
            decision(10, "planner", choice=question, reasoner="openai", landed_s=None),
            decision(10, "planner", choice=PLAN, reason="it balances", reasoner="openai"),
        ]
    )
    assert source.decision(source.decisions(10.0)[0].number).promised == promised
