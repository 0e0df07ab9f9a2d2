"""Agents look when every slot begins, from the first one to the end of the run, whatever is left of it by then."""

from __future__ import annotations

import pytest

from controller.schemes import SCHEMES
from edgebed.runs.virtual import simulate_in_memory
from emulation.domain.scenario import Scenario
from emulation.domain.slots import slots_until
from tests.build.small import small_scenario


def looks(world: Scenario, scheme: str = "AL") -> tuple[set[int], float]:
    """The slots for which every deployment agent that was there decided, and when the run ended, s."""
    run = simulate_in_memory(world, SCHEMES[scheme], 0)
    causes = [d.cause for d in run.decisions if d.actor == f"deployer:{world.testbed.nodes[0].id}"]
    assert run.footer is not None
    return {int(cause.removeprefix("slot ")) for cause in causes}, run.footer.t_s


@pytest.mark.parametrize("slow", [1.0, 40.0])
def test_whatever_waits_after_the_last_arrival_is_decided_for(slow: float) -> None:
    """With nodes 40 times slower, requests wait until long after the last one came."""
    world = small_scenario()
    all_slow = [
        {"kind": "slowdown", "node": n.id, "factor": slow, "at_s": 0.0, "until_s": world.horizon_s}
        for n in world.testbed.nodes
    ]
    world = Scenario.model_validate({**world.model_dump(), "events": all_slow, "deadline_s": None})
    seen, end_s = looks(world)
    assert seen == set(range(slots_until(end_s, world.slot_s)))
    assert (end_s > 1.5 * world.end_s) == (slow > 1)


def test_an_event_that_outlasts_all_requests_is_decided_for_until_it_ends() -> None:
    """As live, where a run waits for its events."""
    world = small_scenario()
    until_s = world.end_s + 3.5 * world.slot_s
    event = {
        "kind": "slowdown",
        "node": world.testbed.nodes[-1].id,
        "factor": 1.01,
        "at_s": 1.0,
        "until_s": until_s,
    }
    world = Scenario.model_validate({**world.model_dump(), "events": [event], "deadline_s": 1.0})
    seen, end_s = looks(world)
    assert end_s == until_s
    assert seen == set(range(slots_until(until_s, world.slot_s)))
