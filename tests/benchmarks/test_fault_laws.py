"""The table of faults says what became of every request, and a law that is broken is seen."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from math import inf
from pathlib import Path
from typing import Any

import pytest

from benchmarks.faults import run, table
from benchmarks.faults.bed import SCENARIO
from benchmarks.faults.kinds import KINDS, Kind
from benchmarks.faults.laws import Fate, Repetition, between, broken, fate, not_in_record, recovery_s
from edgebed.ui.steering.client import checked_event
from emulation.domain.scenario import check_event
from emulation.files import load_scenario
from workloads.failures import BROKEN_OFF
from workloads.load import ClientResult

WHOLE = Repetition("recorder-kill", 0, landed=True, answered=100, recovery_s=0.2)


def result(name: str, sent_s: float | None = 1.0, ended_s: float = 1.1, **given: Any) -> ClientResult:
    known = {"status": 200, "outcome": "done", "intended_s": 1.0, "latency_wall_s": 0.1} | given
    return ClientResult(request_id=name, model="m", sent_s=sent_s, ended_s=ended_s, **known)


@pytest.mark.parametrize(
    ("given", "met"),
    [
        ({}, "answered"),
        ({"status": 503, "outcome": "error"}, "refused"),
        ({"status": 200, "outcome": "expired", "error": "deadline passed while held"}, "refused"),
        (
            {"status": None, "outcome": "error", "error": "connection refused: nothing listens there"},
            "dropped",
        ),
        ({"status": None, "outcome": "aborted"}, "unanswered"),
        ({"status": None, "outcome": "error", "error": "no answer in time"}, "unanswered"),
        ({"status": 200, "outcome": "error", "error": "the answer ended early"}, "unanswered"),
        ({"status": 200, "outcome": "error", "error": BROKEN_OFF}, "dropped"),
        ({"sent_s": None, "status": None, "outcome": "aborted"}, "unsent"),
        ({"status": None, "outcome": "aborted", "error": "the run was stopped"}, "unsent"),
    ],
)
def test_every_request_met_one_fate(given: dict[str, Any], met: Fate) -> None:
    assert fate(result("r", **given)) == met


def test_every_request_is_of_the_fault_in_whose_time_it_ended() -> None:
    log = [
        result("before", 1.0, 2.0),
        result("open", 1.5, 9.0),
        result("sent", 6.0, 7.0),
        result("open at the next one", 9.9, 10.1),
        result("after", 20.0, 21.0),
    ]
    assert [r.request_id for r in between(log, 5.0, 10.0)] == ["open", "sent"]
    assert [r.request_id for r in between(log, 10.0, inf)] == ["open at the next one", "after"]


def test_recovered_is_what_answers_for_good() -> None:
    log = [
        result("a", 5.1, 5.2),
        result("b", 5.3, 5.4, status=None, outcome="error"),
        result("c", 6.0, 6.5),
        result("d", 6.2, 6.3),
    ]
    assert recovery_s(log, 5.0) == pytest.approx(1.3)
    assert recovery_s(log[:2], 5.0) is None
    still_open = result("e", 7.0, 7.1, status=None, outcome="aborted", error="the run was stopped")
    assert recovery_s([*log, still_open], 5.0) == pytest.approx(1.3)


def test_an_answer_that_no_record_tells_of_is_lost_and_a_refusal_is_none() -> None:
    log = [result("kept"), result("lost"), result("refused", status=429, outcome="rejected")]
    assert not_in_record(log, Counter({"kept": 1})) == 1


@pytest.mark.parametrize("law", ["unanswered", "lost", "duplicates", "left", "dropped"])
def test_each_law_can_be_broken(law: str) -> None:
    assert broken(WHOLE, ends=False, drops=False) == []
    counts: dict[str, Any] = {law: 2}
    wrong = replace(WHOLE, **counts)
    assert broken(wrong, ends=False, drops=False) == [f"{law} 2"]
    assert broken(replace(wrong, landed=False), ends=False, drops=False) == []


def test_a_testbed_that_ended_must_not_say_that_all_was_well() -> None:
    assert broken(replace(WHOLE, exit_code=0), ends=True, drops=True) == ["ended with exit code 0"]
    assert broken(replace(WHOLE, exit_code=1), ends=True, drops=True) == []
    assert broken(replace(WHOLE, recovery_s=None), ends=False, drops=False) == ["never recovered"]


def test_the_files_are_read_as_they_were_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REPETITIONS", "TABLE", "PAGE"):
        monkeypatch.setattr(table, name, tmp_path / name)
    assert table.read() == {}
    rows = [WHOLE, replace(WHOLE, number=1, landed=False, recovery_s=None, exit_code=0)]
    table.write({"recorder-kill": rows})
    assert table.read() == {"recorder-kill": rows}
    assert "| recorder-kill | 2 | 1 | 100 |" in (tmp_path / "PAGE").read_text()


def test_every_kind_says_what_it_needs() -> None:
    for kind in KINDS.values():
        assert bool(kind.target) == (kind.action in ("kill", "stop"))
        assert bool(kind.event) == (kind.action == "inject")
        assert (kind.hold_s > 0) == (kind.action != "kill")


def test_what_is_injected_is_an_event_of_the_testbed() -> None:
    scenario = load_scenario(str(SCENARIO))
    injected = [checked_event(kind.event, kind.hold_s) for kind in KINDS.values() if kind.event]
    assert {event.kind for event in injected} >= {"leave", "drain", "node_kill", "link_delay", "link_loss"}
    for event in injected:
        check_event(event, scenario.testbed, "event")


@pytest.mark.parametrize(
    "who", ["gateway", "one-of-two-gateways", "owner", "head-raylet", "worker-raylet", "events"]
)
@pytest.mark.parametrize("how", ["kill", "stop"])
def test_whoever_can_die_can_also_stand_still(who: str, how: str) -> None:
    assert KINDS[f"{who}-{how}"].action == how


def test_faults_are_also_struck_while_a_run_ends() -> None:
    at_end = [kind for kind in KINDS.values() if kind.at_end]
    assert {kind.name.partition("-")[0] for kind in at_end} >= {"recorder", "gateway"}
    assert all(kind.last and not kind.ends for kind in at_end), "one that was asked to end may end with 0"


def test_a_fault_that_does_not_land_is_tried_again_and_sooner(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    kind, waits = KINDS["recorder-kill-at-end"], list[float]()

    def ended(kind: Kind, number: int, folder: Path, after_s: float) -> Repetition:
        waits.append(after_s)
        return Repetition(kind.name, number, landed=len(waits) % 3 == 0 and len(waits) < 6)

    monkeypatch.setattr(run, "_ended", ended)
    assert [run._ending(kind, number, tmp_path).landed for number in range(2)] == [True, False]
    assert len(waits) == 2 * run.TRIES
    assert all(run.ENDING_S[0] <= w <= run.ENDING_S[1] / (n % 3 + 1) for n, w in enumerate(waits))
