"""What deciders are handed of a run: for how long they decide."""

from __future__ import annotations

from math import inf

import pytest

from controller.schemes import SCHEMES
from edgebed.wiring.controllers import build_controllers
from emulation.domain.scenario import Scenario
from serve_apps.deciders.cast import deciding_parts
from serve_apps.wire.names import PLANNER, SCHEDULER, deployer_name
from serve_apps.wire.switching import Cast, Stage
from tests.build.small import small_scenario


def ends_s(world: Scenario, endless: bool = False) -> dict[str, float]:
    """Controller to the virtual second from which it decides nothing more."""
    made = build_controllers(SCHEMES["MA"], world, 0)
    cast = Cast(
        scheme="MA", reasoner="rules", fast_path=made.fast_path, planner=made.planner, scheduler=made.scheduler,
        deployers=made.deployers,
    )  # fmt: skip
    parts = deciding_parts("run", world, cast, Stage(own="MA", schemes=b"", endless=endless))
    who = (PLANNER, SCHEDULER, *(deployer_name(n.id) for n in world.testbed.nodes))
    return {name: parts[name].end_s for name in who}


@pytest.mark.parametrize("deadline_s", [None, 5.0, 500.0])
def test_controllers_decide_for_as_long_as_requests_may_wait(deadline_s: float | None) -> None:
    """Live they stopped when the last request had come: whatever still waited was left to the modes of that instant,
    while in virtual time agents answered it (a mean that differed by 2% in every demo)."""
    world = small_scenario().model_copy(update={"deadline_s": deadline_s})
    assert world.give_up_s > world.end_s
    assert set(ends_s(world).values()) == {world.give_up_s}


def test_those_of_a_testbed_that_stays_decide_for_ever() -> None:
    assert set(ends_s(small_scenario(), endless=True).values()) == {inf}
