"""The limit in force is the one for what is seen to come: none while nothing is, the planner's own where as much is."""

from __future__ import annotations

import pytest

from controller.layer_loops import SchedulerLoop
from controller.limits_in_force import LimitsInForce
from controller.objective import Objective
from controller.schedulers import SCHEDULERS
from emulation.domain.actions import Decision, MacroPolicy, RouteGuide
from emulation.domain.feasibility import guide_violations
from emulation.domain.snapshot import ClusterSnapshot, TypeStats, Window
from emulation.files import load_testbed

SLOT_S = 30.0
OWN = {"sd": 100.0}
POLICY = MacroPolicy(
    p={}, roles={}, admission_limit_s=OWN, limits_from={"sd": ((0.5, 600.0), (0.65, 300.0), (0.8, 100.0))}
)
"""Expected are 0.8 prompts per second: 24 in a slot."""
NONE, ITS_OWN = {"sd": None}, dict[str, float | None]()


def counted(slot: int, requests: int, prompts: int, since_slot: int = 0) -> ClusterSnapshot:
    """What is seen at the begin of a slot."""
    stats = {"sd": TypeStats(requests, prompts)} if requests else {}
    return ClusterSnapshot(slot * SLOT_S, slot, (), Window(since_slot * SLOT_S, stats))


def in_force(policy: MacroPolicy | None, *snapshots: ClusterSnapshot) -> dict[str, float | None]:
    """What is in the place of the policy's own limit after the last of these looks."""
    limits = LimitsInForce()
    return [limits.instead(policy, snapshot) for snapshot in snapshots][-1]


def test_while_nothing_was_counted_there_is_none() -> None:
    assert in_force(POLICY, counted(0, 0, 0)) == NONE
    assert in_force(POLICY, counted(1, 0, 0)) == NONE


@pytest.mark.parametrize("slot", [1, 5, 50])
def test_the_planners_own_where_as_much_comes_as_it_expects(slot: int) -> None:
    assert in_force(POLICY, counted(slot, 5 * slot, 24 * slot)) == ITS_OWN
    assert in_force(POLICY, counted(slot, 10 * slot, 48 * slot)) == ITS_OWN


def test_the_less_comes_the_looser_it_is_and_below_the_first_step_there_is_none() -> None:
    prompts = (1200, 1000, 800, 600)
    assert [in_force(POLICY, counted(50, 250, n)) for n in prompts] == [
        ITS_OWN,
        {"sd": 300.0},
        {"sd": 600.0},
        NONE,
    ]


def test_of_a_handful_of_requests_more_may_be_coming_than_was_counted() -> None:
    assert in_force(POLICY, counted(1, 5, 18)) == ITS_OWN
    assert in_force(POLICY, counted(50, 250, 50 * 18)) == {"sd": 300.0}


def test_what_is_counted_is_that_of_the_epoch() -> None:
    assert in_force(POLICY, counted(60, 50, 240, since_slot=50)) == ITS_OWN
    assert in_force(POLICY, counted(60, 50, 240)) == NONE


def test_what_was_loosened_is_tightened_only_when_as_much_was_counted() -> None:
    """13 prompts in a slot may by chance be 15, which is a step: of 50 slots of them not, of 10 they may be."""
    less = counted(50, 250, 50 * 13)
    assert in_force(POLICY, less) == NONE
    maybe = counted(60, 50, 10 * 13, since_slot=50)
    assert in_force(POLICY, maybe) == {"sd": 600.0}, "of which less is known"
    assert in_force(POLICY, less, maybe) == NONE
    assert in_force(POLICY, less, counted(60, 50, 10 * 20, since_slot=50)) == {"sd": 300.0}


def test_what_came_until_now_is_taken_to_come_as_a_window_begins_anew() -> None:
    as_planned = counted(50, 250, 1200)
    assert in_force(POLICY, as_planned, counted(51, 4, 12, since_slot=50)) == ITS_OWN
    assert in_force(POLICY, as_planned, counted(51, 0, 0, since_slot=50)) == ITS_OWN
    assert in_force(POLICY, as_planned, counted(80, 150, 30 * 12, since_slot=50)) == NONE


def test_a_limit_without_steps_holds_whatever_comes_and_without_a_policy_there_is_nothing() -> None:
    assert in_force(MacroPolicy(p={}, roles={}, admission_limit_s=OWN), counted(0, 0, 0)) == ITS_OWN
    assert in_force(None, counted(0, 0, 0)) == {}


def looked(snapshot: ClusterSnapshot) -> tuple[RouteGuide, Decision]:
    bed = load_testbed("bristol-a")
    kind = SCHEDULERS["weights"]
    loop = SchedulerLoop(bed, kind(bed, kind.Config(), 0, Objective()))
    loop.accept(POLICY)
    decision = loop.observe(snapshot, "slot 1")
    assert isinstance(decision.command, RouteGuide)
    assert guide_violations(bed, decision.command) == []
    return decision.command, decision


def test_the_loop_says_so_of_whatever_guide_was_chosen() -> None:
    guide, decision = looked(counted(50, 250, 1000))
    assert guide.admission_limit_s == {"sd": 300.0}
    assert guide.masked, "the guide is the scheduler's otherwise"
    assert "by what is seen to come: sd 300 s" in decision.reason
    assert "none for sd" in looked(counted(50, 250, 300))[1].reason
    guide, decision = looked(counted(50, 250, 1200))
    assert guide.admission_limit_s == {}
    assert "seen to come" not in decision.reason
