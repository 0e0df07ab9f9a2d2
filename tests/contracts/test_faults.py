"""What every fault must do, whatever it is: steps in order, an undo that undoes, hints only while visible."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from pydantic import TypeAdapter

from emulation.domain.events import Event
from emulation.executor import NodeState
from emulation.faults import FAULTS, Step, apply
from tests.build.fakes import scenario
from tests.build.faulted import AT_S, FIELDS, KINDS, OF_CONTROL, UNTIL_S, event, one_pod, ready, served, steps

HINTED = ("slowdown", "ramp", "pause", "error", "outside")
ONCE = ("replica_crash", "replica_kill", "leave", "drain", "node_kill")
"""Act on executors, and so on everything there."""
_EVENT: TypeAdapter[Any] = TypeAdapter(Event)


def play(node: NodeState, found: list[Step], *phases: str, twice: bool = False) -> None:
    for step in found:
        if step.phase in phases and "n" in step.nodes:
            for _ in range(1 + twice):
                apply(step, node, step.at_s)


def test_every_kind_of_event_has_a_fault_and_every_fault_a_kind() -> None:
    assert set(FAULTS) == set(KINDS) == set(FIELDS)


@pytest.mark.parametrize("kind", FAULTS)
def test_steps_begin_with_the_onset_and_end_with_the_undo_at_its_time(kind: str) -> None:
    found = steps(kind)
    assert [s.phase for s in (found[0], found[-1])] == ["onset", "undo"]
    assert [s.phase for s in found].count("onset") == [s.phase for s in found].count("undo") == 1
    assert (found[0].at_s, found[-1].at_s) == (AT_S, UNTIL_S)
    assert [s.at_s for s in found] == sorted(s.at_s for s in found)
    assert {s.event for s in found} == {7}


@pytest.mark.parametrize("kind", FAULTS)
def test_an_event_survives_the_way_through_a_scenario_file(kind: str) -> None:
    world = scenario(one_pod(), events=(event(kind),))
    again = type(world).model_validate_json(world.model_dump_json())
    assert again.events == (event(kind),)
    assert again.events[0].target in ("n", "n/a", "x-y", "control", "MA")


@pytest.mark.parametrize("kind", FAULTS)
def test_work_is_served_after_the_undo_as_it_was_before_the_onset(kind: str) -> None:
    node, found = ready(), steps(kind)
    before = served(node, 1, 10.0)
    assert before == ("done", pytest.approx(2.0), False)
    play(node, found, "onset", "step")
    disturbed = served(node, 2, 24.0)
    play(node, found, "undo")
    assert served(node, 3, 60.0) == before
    assert (disturbed == before) == (kind in OF_CONTROL), "in between it is felt"


@pytest.mark.parametrize("kind", FAULTS)
def test_an_undo_by_hand_before_its_time_is_as_good_as_one_in_time(kind: str) -> None:
    node, long = ready(), steps(kind, until_s=5_000.0)
    before = served(node, 1, 10.0)
    play(node, [step for step in long if step.at_s < 26.0], "onset", "step")
    early = replace(long[-1], at_s=26.0, by_hand=True)
    play(node, [early], "undo")
    assert served(node, 2, 40.0) == before


@pytest.mark.parametrize("kind", [k for k in FAULTS if k not in (*ONCE, *OF_CONTROL)])
def test_a_step_that_is_played_twice_after_a_restart_changes_nothing_more(kind: str) -> None:
    once, twice = ready(), ready()
    play(once, steps(kind), "onset", "step")
    play(twice, steps(kind), "onset", "step", twice=True)
    assert served(once, 1, 35.0) == served(twice, 1, 35.0)
    play(twice, steps(kind), "undo", twice=True)
    assert served(twice, 2, 60.0) == ("done", pytest.approx(2.0), False)


@pytest.mark.parametrize("kind", HINTED)
def test_a_hint_is_exposed_while_it_lasts_and_only_where_it_is_visible(kind: str) -> None:
    for visible in ("onset", "never"):
        node, found = ready(), steps(kind, visible=visible, hint="odd")
        play(node, found, "onset", "step")
        assert node.view(30.0).hints == (("odd",) if visible == "onset" else ())
        play(node, found, "undo")
        assert node.view(50.0).hints == ()


@pytest.mark.parametrize("kind", [k for k in FAULTS if "node" in FIELDS[k] and k not in ONCE])
def test_a_fault_of_another_model_is_not_felt(kind: str) -> None:
    node = ready()
    play(node, steps(kind, model="b"), "onset", "step")
    assert served(node, 1, 35.0) == ("done", pytest.approx(2.0), False)


@pytest.mark.parametrize("kind", FAULTS)
def test_an_event_can_be_given_in_words_as_inject_does(kind: str) -> None:
    fields = event(kind).model_dump()
    words = {name: v if isinstance(v, tuple | dict | None) else str(v) for name, v in fields.items()}
    assert _EVENT.validate_python(words) == event(kind)


@pytest.mark.parametrize("kind", [k for k in FAULTS if FAULTS[k].kills])
def test_what_kills_is_played_once_and_says_whose_processes(kind: str) -> None:
    """Live, the onset ends processes: no step between it and the undo may do so again."""
    assert [s.phase for s in steps(kind)] == ["onset", "undo"]
    assert len(steps(kind)[0].nodes) == 1
