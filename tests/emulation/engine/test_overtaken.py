"""A decision that the end of its run overtakes: what a reasoner was asked for it is in the record, and replays."""

from __future__ import annotations

from pathlib import Path

from controller.agents.reasoner import RULES
from edgebed.runs.virtual import simulate
from edgebed.wiring.reasoners import with_reasoner
from emulation.domain.scenario import Scenario
from emulation.engine.deciding import ENDED
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
