"""A switch of the scheme in virtual time: who decides from then on, for what cause, and what is kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from controller.schemes import SCHEMES
from edgebed.runs.comparison import check
from edgebed.runs.parity import as_landed, replay_rows
from edgebed.runs.virtual import simulate, simulate_in_memory
from edgebed.wiring.reasoners import with_reasoner
from edgebed.wiring.switching import LiveSchemes
from emulation.domain.records import SWITCHED
from emulation.domain.scenario import Scenario
from emulation.files import ConfigError, load_scenario
from emulation.metrics.evidence import fault_ledger
from emulation.metrics.summary import summarise
from emulation.metrics.view import is_exchange
from emulation.recording import JsonlSink, Run, read_run


def demo(*switches: dict[str, Any], **changes: Any) -> Scenario:
    """The demo without its faults, with these switches."""
    events = [{"kind": "scheme", **switch} for switch in switches]
    world = {**load_scenario("demo").model_dump(), "events": events, "slots": 8, "epoch_slots": 4}
    world["controllers"] = {"search": {"shortlist": 0}}  # what-if worlds have tests of their own
    return Scenario.model_validate(world | changes)


def actors(run: Run, from_s: float, to_s: float) -> set[str]:
    """Kinds of actor, less the router, that decided in a span."""
    found = {d.actor.split(":")[0] for d in run.decisions if from_s <= d.t_s < to_s}
    return found - {"router"}


def test_others_decide_from_the_instant_of_the_switch_and_the_first_ones_again_after_its_undo() -> None:
    run = simulate_in_memory(demo({"to": "MA", "at_s": 37.0, "until_s": 80.0}), "AL", 1)
    assert actors(run, 0.0, 37.0) == {"deployer"}
    assert actors(run, 37.0, 80.0) == {"planner", "scheduler", "deployer"}
    assert actors(run, 80.0, 1e9) == {"deployer"}
    looked = [d for d in run.decisions if d.cause == "switch to MA"]
    assert {d.actor.split(":")[0] for d in looked} == {"planner", "scheduler", "deployer"}
    assert {d.cause for d in run.decisions if d.t_s == 80.0 and d.actor != "router"} == {"switch to AL"}


def test_a_switch_at_the_begin_of_a_slot_is_one_look_not_two() -> None:
    world = demo({"to": "MA", "at_s": 40.0})
    assert 40.0 % world.slot_s == 0.0
    run = simulate_in_memory(world, "AL", 1)
    slot = [d.actor for d in run.decisions if 40.0 <= d.t_s < 40.0 + world.slot_s and d.actor != "router"]
    assert len(slot) == len(set(slot))


@pytest.mark.slow
def test_what_stands_and_what_is_in_flight_stays_at_the_instant_of_the_switch() -> None:
    calm = simulate_in_memory(demo(), "AL", 1)
    to_itself = simulate_in_memory(demo({"to": "AL", "at_s": 37.0}), "AL", 1)
    assert calm.requests == to_itself.requests, "a scheme that is in force already goes on"
    (row,) = fault_ledger(to_itself, demo({"to": "AL", "at_s": 37.0}).events)
    assert row.landed is None
    assert row.note.startswith("not exercised: it was in force already")
    run = simulate_in_memory(demo({"to": "MA", "at_s": 37.0}), "AL", 1)
    before = [r for r in calm.requests if r.ended_s < 37.0]
    assert [r for r in run.requests if r.ended_s < 37.0] == before != []


@pytest.mark.slow
def test_the_record_says_who_went_out_who_came_in_and_what_thinks_in_it() -> None:
    run = simulate_in_memory(demo({"to": "MA", "at_s": 37.0}), "AL", 1)
    (event,) = run.events
    said = {name: event.detail[name] for name in ("before", "scheme", "reasoner")}
    assert said == {"before": "AL", "scheme": "MA", "reasoner": "rules"}
    assert (event.type, event.target, event.phase) == ("scheme", "MA", "onset")
    assert summarise(run).decided_by == "AL→MA"
    (row,) = fault_ledger(run, demo({"to": "MA", "at_s": 37.0}).events)
    assert row.landed is True


def test_a_decision_that_is_still_thought_of_when_another_scheme_comes_in_is_voided() -> None:
    switches = ({"to": "MA", "at_s": 37.0}, {"to": "AL", "at_s": 37.01})
    run = simulate_in_memory(demo(*switches, controllers={"search": {"shortlist": 1}}, slots=3), "AL", 1)
    (planned,) = [d for d in run.decisions if d.actor == "planner"]
    assert planned.thinking_s > 0.01
    assert (planned.outcome, planned.landed_s) == ("voided", None)
    assert planned.violations == (SWITCHED,)


@pytest.mark.parametrize(
    ("to", "live", "words"),
    [
        ("MAA", False, r"events\[0\].to: unknown scheme 'MAA'; did you mean 'MA'"),
        ("oracle", True, r"events\[0\].to: oracle cannot come in while a live run goes on"),
    ],
)
def test_a_scheme_that_cannot_come_in_is_refused_before_anything_runs(
    to: str, live: bool, words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        check(demo({"to": to, "at_s": 1.0}), ["AL"], live)


@pytest.mark.parametrize("to", sorted(SCHEMES))
def test_every_scheme_can_be_switched_to_and_from(to: str) -> None:
    run = simulate_in_memory(demo({"to": to, "at_s": 37.0, "until_s": 70.0}, slots=4), "sect", 1)
    assert run.footer is not None
    assert run.footer.conserved()


def test_a_run_that_was_switched_by_hand_is_replayed_and_its_closed_loop_switches_too() -> None:
    world = demo({"to": "MA", "at_s": 37.0, "until_s": 80.0}, slots=5)
    run = simulate_in_memory(world, "AL", 1)
    planned = world.model_copy(update={"events": ()})
    assert [(e.to, e.at_s, e.until_s) for e in as_landed(planned, run).events] == [("MA", 37.0, 80.0)]  # type: ignore[union-attr]
    assert {row.ok for row in replay_rows(run, planned)} == {True}
    assert {row.scheme for row in replay_rows(run, planned)} == {"AL→MA→AL"}


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 3])
def test_a_switched_run_replays_from_the_folder_of_its_comparison(tmp_path: Path, seed: int) -> None:
    """What the scheme that came in was asked stands in the record of the run, and so under the name of its own."""

    def world(scheduler: str) -> Scenario:
        controllers = {"search": {"shortlist": 0}, "agents": {"scheduler": scheduler}}
        return demo({"to": "MA", "at_s": 37.0, "until_s": 80.0}, slots=5, controllers=controllers)

    sink = JsonlSink(tmp_path / "AL" / f"seed-{seed}")
    simulate(world("first"), "AL", seed, sink)
    sink.close()
    before = read_run(tmp_path / "AL" / f"seed-{seed}")
    assert any(is_exchange(d) for d in before.decisions)
    replayed = world(f"replay:{tmp_path}")
    check(replayed, ["AL"], seeds=[seed])
    again = simulate_in_memory(replayed, "AL", seed)
    assert [(d.t_s, d.choice) for d in again.decisions] == [(d.t_s, d.choice) for d in before.decisions]
    with pytest.raises(ConfigError, match=rf"events\[0\].to: reasoner replay:{tmp_path}"):
        check(replayed, ["AL"], seeds=[seed, seed + 1])
    shadowed = LiveSchemes("AL", with_reasoner(replayed, f"replay:{tmp_path}"), seed).shadow("e3")
    assert shadowed.innermost is shadowed, "without the meta-controller of e3"
