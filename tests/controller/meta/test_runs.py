"""Whole runs in virtual time: no stutter, few questions, a complete trail, and a fast path that no failure touches."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import orjson
import pytest

from controller.agents.replay import ReplayLlm, ReplayMiss
from controller.agents.scripted import ScriptEnd
from controller.meta.audit import counts
from controller.meta.tools import TOOLS
from edgebed.runs.comparison import check
from edgebed.runs.virtual import simulate
from edgebed.wiring.reasoners import with_reasoner
from emulation.domain.events import LlmFailure
from emulation.files import ConfigError
from emulation.metrics.evidence import fault_ledger
from emulation.recording import JsonlSink, Run, encode, read_run
from tests.build.meta import (
    INTERVAL_S,
    NAMES,
    SEMANTIC,
    meta_records,
    pool,
    run,
    stutter_rate,
    window,
)

FAILURES = get_args(LlmFailure)
LATENCY_SLACK = 1.02


def _mean_s(found: Run) -> float:
    return sum(r.ended_s - r.intended_s for r in found.requests) / len(found.requests)


def _outage(failure: str) -> dict[str, Any]:
    return {"kind": "llm_outage", "at_s": 0.0, "until_s": 60 * INTERVAL_S, "failure": failure}


@pytest.mark.parametrize("scheme", ["e3", "e3-nnls"])
def test_no_request_stutters_when_hints_are_visible(scheme: str) -> None:
    found = run(pool(SEMANTIC), scheme)
    assert stutter_rate(found) == 0.0
    assert stutter_rate(run(pool(SEMANTIC), "e3-alone")) > 0.0
    assert {r.outcome for r in found.requests} == {"done"}


def test_a_mask_is_set_at_the_instant_of_the_onset() -> None:
    found = run(pool(SEMANTIC))
    made = [d for d in meta_records(found) if "arguments" in d.choice]
    masks = [d for d in made if d.choice["tool"] == "set_device_risky" and d.choice["by"] == "rule"]
    assert [d.t_s for d in masks] == [e["at_s"] for e in SEMANTIC]


def test_questions_and_tool_calls_stay_below_the_papers() -> None:
    invocations, tool_calls = counts(run(pool(SEMANTIC)).decisions)
    assert invocations == len(SEMANTIC)
    assert tool_calls <= 3 * invocations


def test_thinking_lands_as_much_later_as_it_took() -> None:
    found = run(pool(SEMANTIC[:1], controllers={"meta": {"thinking_s": 3.0}}))
    asked = [d for d in meta_records(found) if "exchange" in d.choice]
    assert [d.t_s for d in asked] == pytest.approx([SEMANTIC[0]["at_s"] + 3.0, SEMANTIC[0]["at_s"] + 6.0])


def test_every_change_is_in_the_trail_with_its_old_and_new_value() -> None:
    events = [
        *SEMANTIC,
        {"kind": "leave", "at_s": 5 * INTERVAL_S, "until_s": 9 * INTERVAL_S, "node": NAMES["SE100"]},
    ]
    for entry in meta_records(run(pool(events))):
        choice = entry.choice
        if entry.outcome == "applied" and (
            choice.get("rule") or (choice.get("tool") in TOOLS and "arguments" in choice)
        ):
            acts = bool(choice.get("rule")) or TOOLS[choice["tool"]].acts
            assert ("old" in choice and "new" in choice) == acts
    entries = [d.choice["entry"] for d in meta_records(run(pool(events)))]
    assert entries == list(range(1, len(entries) + 1)), "nothing is left out"


def test_masks_follow_from_the_trail_alone() -> None:
    """Replaying the trail's own old and new values gives, at every entry, the state the entry found."""
    risky: dict[str, bool] = {}
    for entry in meta_records(run(pool(SEMANTIC))):
        if (
            entry.choice.get("tool") in ("set_device_risky", "clear_device_risky")
            and "result" in entry.choice
        ):
            device = entry.choice["result"]["device"]
            assert (entry.choice["old"] is not None) == risky.get(device, False)
            risky[device] = entry.choice["new"] is not None
    assert risky
    assert not any(risky.values())


def test_runs_are_the_same_to_the_byte() -> None:
    lines = [[encode(d) for d in run(pool(SEMANTIC)).decisions] for _ in range(2)]
    assert lines[0] == lines[1]


@pytest.mark.parametrize("failure", FAILURES)
def test_no_failure_of_the_reasoner_touches_the_fast_path(failure: str) -> None:
    healthy, broken = run(pool(SEMANTIC)), run(pool([*SEMANTIC, _outage(failure)]))
    assert {r.outcome for r in broken.requests} == {"done"}
    assert stutter_rate(broken) == 0.0, "provisional masks need no reasoner"
    assert _mean_s(broken) <= LATENCY_SLACK * _mean_s(healthy)
    asked = [d for d in meta_records(broken) if "exchange" in d.choice]
    assert all(
        d.outcome == "rejected" and d.violations == (failure,)
        for d in asked
        if d.choice["exchange"].get("injected")
    )
    assert sum(bool(d.choice["exchange"].get("injected")) for d in asked) >= 2
    rounds = [d.choice["exchange"]["round"] for d in asked]
    assert max(rounds) < 2, "an endless tool loop ends after two rounds"
    (row,) = [
        r for r in fault_ledger(broken, pool([*SEMANTIC, _outage(failure)]).events) if r.type == "llm_outage"
    ]
    assert row.landed
    assert row.recovered


def test_a_recorded_run_replays_without_its_reasoner(tmp_path: Path) -> None:
    scenario = pool(SEMANTIC)
    sink = JsonlSink(tmp_path / "e3" / "seed-3")
    simulate(scenario, "e3", 3, sink)
    sink.close()
    replayed = with_reasoner(scenario, f"replay:{tmp_path}")
    check(replayed, ["e3"], seeds=[3])
    with pytest.raises(ConfigError, match="holds no run of e3 with seed 4"):
        check(replayed, ["e3"], seeds=[3, 4])
    again = run(replayed, seed=3)
    before = read_run(tmp_path / "e3" / "seed-3")
    assert again.header.reasoner == "replay"
    assert [r for r in again.requests] == [r for r in before.requests]
    assert [(d.t_s, orjson.dumps(d.choice)) for d in meta_records(again)] == [
        (d.t_s, orjson.dumps(d.choice)) for d in meta_records(before)
    ]


def test_a_replay_that_is_asked_something_else_is_an_error(tmp_path: Path) -> None:
    sink = JsonlSink(tmp_path)
    simulate(pool(SEMANTIC[:1]), "e3", 0, sink)
    sink.close()
    with pytest.raises(ReplayMiss, match="not in the recording"):
        run(with_reasoner(pool([window(11, 25, "B60", 3.0, hint="video call")]), f"replay:{tmp_path}"))
    with pytest.raises(ValueError, match="no exchange"):
        ReplayLlm.read(_empty(tmp_path))
    with pytest.raises(ConfigError, match="replay"):
        run(with_reasoner(pool(SEMANTIC), f"replay:{tmp_path}/nowhere.jsonl"))


def _empty(folder: Path) -> Path:
    file = folder / "empty.jsonl"
    file.write_text("")
    return file


def test_a_script_drives_the_run_and_its_end_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "script.jsonl"
    look = {"on": "onset", "calls": [{"name": "get_system_status"}], "thinking_s": 1.0}
    act = {
        "on": "onset",
        "calls": [{"name": "set_device_risky", "arguments": {"device": NAMES["B60"], "ttl_tasks": 30}}],
    }
    file.write_bytes(b"\n".join(orjson.dumps(line) for line in (look, act)))
    found = run(with_reasoner(pool(SEMANTIC[:1]), f"scripted:{file}"))
    assert found.header.reasoner == "scripted"
    assert counts(found.decisions) == (1, 2)
    with pytest.raises(ScriptEnd, match="invocation 2"):
        run(with_reasoner(pool(SEMANTIC[:2]), f"scripted:{file}"))


def test_warm_up_points_call_the_reasoner_a_few_times() -> None:
    controllers = {"explore_risk": {"warmup_tasks": 30}}
    found = run(pool((), controllers=controllers))
    assert counts(found.decisions)[0] <= 3
    assert {d.cause for d in meta_records(found) if "exchange" in d.choice} == {"warmup"}


def test_unknown_reasoners_and_missing_models_are_said_before_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    from edgebed.runs.comparison import check

    with pytest.raises(ConfigError, match="choose rules"):
        with_reasoner(pool(), "gpt")
    monkeypatch.delenv("EDGEBED_LLM_MODEL", raising=False)
    with pytest.raises(ConfigError, match="EDGEBED_LLM_MODEL"):
        check(with_reasoner(pool(), "openai"), ["e3"])
    monkeypatch.setenv("EDGEBED_LLM_MODEL", "tiny")
    monkeypatch.setenv("EDGEBED_LLM_BASE_URL", "http://127.0.0.1:9/v1")
    check(with_reasoner(pool(), "openai"), ["e3"])
    check(with_reasoner(pool(), "openai"), ["e3"], live=True)
    fast = pool(live={"speedup": 10.0})
    with pytest.raises(ConfigError, match="speedup 1"):
        check(with_reasoner(fast, "openai"), ["e3"], live=True)


def test_the_report_tells_every_entry_in_words() -> None:
    from edgebed.report.decisions import compact

    said = [compact(d.choice) for d in meta_records(run(pool(SEMANTIC[:1])))]
    assert said[0] == "set_device_risky(device LLM#1, ttl_tasks 50) by rule: None → 50"
    assert "asks for get_system_status, pull_observations" in said
    assert any(s.endswith("set_device_risky of LLM#1: confirmed") for s in said)
