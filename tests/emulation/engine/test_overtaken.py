"""A decision that the end of its run overtakes: what a reasoner was asked for it is in the record, and replays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from controller.agents.reasoner import RULES
from edgebed.runs.virtual import simulate
from edgebed.wiring.reasoners import with_reasoner
from emulation.domain.records import ENDED, SWITCHED, DecisionRecord
from emulation.domain.scenario import Scenario
from emulation.files import load_scenario
from emulation.metrics.view import is_exchange
from emulation.recording import JsonlSink, Run, read_run

AGENTS = Path(__file__).parents[3] / "benchmarks" / "agents" / "scenario.yaml"


def thinking_long() -> Scenario:
    """The small scenario, whose planner thinks for longer than it lasts."""
    scenario = load_scenario(str(AGENTS))
    search = {**scenario.controllers["search"], "thinking_slots": 1000.0}
    return scenario.model_copy(update={"controllers": {**scenario.controllers, "search": search}})


def ran(reasoner: str, folder: Path) -> Run:
    sink = JsonlSink(folder)
    simulate(with_reasoner(thinking_long(), reasoner), "MA", 0, sink)
    sink.close()
    return read_run(folder)


@pytest.mark.slow
def test_the_question_and_the_voided_decision_stand_in_the_record_and_a_replay_asks_the_same(
    tmp_path: Path,
) -> None:
    run = ran("first", tmp_path / "first" / "MA" / "seed-0")
    planner = [d for d in run.decisions if d.actor == "planner"]
    questions, decisions = [d for d in planner if is_exchange(d)], [d for d in planner if not is_exchange(d)]
    assert [(d.outcome, d.landed_s) for d in decisions] == [("applied", 0.0), ("voided", None)]
    assert decisions[-1].violations == (ENDED,)
    assert [q.t_s for q in questions] == [d.t_s for d in decisions]
    again = ran(f"replay:{tmp_path / 'first'}", tmp_path / "again")
    assert [d.choice for d in again.decisions if not is_exchange(d)] == [
        d.choice for d in run.decisions if not is_exchange(d)
    ]


def test_of_rules_that_ask_nobody_nothing_is_added(tmp_path: Path) -> None:
    run = ran(RULES, tmp_path)
    assert [d.outcome for d in run.decisions if d.actor == "planner"] == ["applied"]


def hinted_late(*more: dict[str, Any]) -> Scenario:
    """The small scenario with a second hint shortly before its end, on which the meta-controller thinks for longer than
    the run lasts."""
    scenario = load_scenario(str(AGENTS))
    late = {"kind": "slowdown", "node": "thinkedge", "factor": 2.0, "at_s": 285.0, "until_s": 299.0}
    events = [*scenario.model_dump()["events"], {**late, "visible": "onset", "hint": "video call"}, *more]
    meta = {**scenario.controllers["meta"], "thinking_s": 30.0}
    controllers = {**scenario.controllers, "meta": meta}
    return Scenario.model_validate({**scenario.model_dump(), "events": events, "controllers": controllers})


def meta_of(scenario: Scenario, reasoner: str, folder: Path) -> list[DecisionRecord]:
    """What the meta-controller of `e3` wrote down."""
    sink = JsonlSink(folder)
    simulate(with_reasoner(scenario, reasoner), "e3", 0, sink)
    sink.close()
    return [d for d in read_run(folder).decisions if d.actor == "meta"]


def test_a_question_of_the_meta_controller_that_is_out_at_the_end_stands_in_the_record_and_replays(
    tmp_path: Path,
) -> None:
    asked = meta_of(hinted_late(), RULES, tmp_path / "rules" / "e3" / "seed-0")
    last = [d for d in asked if is_exchange(d)][-1]
    assert (last.cause, last.outcome, last.landed_s) == ("onset:thinkedge", "voided", None)
    assert last.violations == (ENDED,)
    assert last.choice["exchange"]["calls"], "what was answered in vain is there, too"
    again = meta_of(hinted_late(), f"replay:{tmp_path / 'rules'}", tmp_path / "again")
    assert [(d.t_s, d.choice, d.violations) for d in again] == [
        (d.t_s, d.choice, d.violations) for d in asked
    ]


def test_a_question_of_the_meta_controller_that_is_out_when_another_scheme_comes_in_is_voided_for_that(
    tmp_path: Path,
) -> None:
    switched = hinted_late({"kind": "scheme", "to": "sect", "at_s": 290.0})
    asked = meta_of(switched, RULES, tmp_path / "rules" / "e3" / "seed-0")
    last = [d for d in asked if is_exchange(d)][-1]
    assert (last.t_s, last.outcome, last.violations) == (290.0, "voided", (SWITCHED,))
    meta_of(switched, f"replay:{tmp_path / 'rules'}", tmp_path / "again")
