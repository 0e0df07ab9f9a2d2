"""The desk of proposals: numbered, heard once, checked before it is accepted, and gone when nobody waits."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from serve_apps.deciders.proposals import MOST, ProposalDesk
from serve_apps.wire.clock import LiveClock
from serve_apps.wire.steer import Approve, Reject
from tests.build.hierarchy import BED


def _desk() -> ProposalDesk:
    desk = ProposalDesk()
    desk.begin(BED, LiveClock(1.0))
    return desk


def _asked(actor: str = "deployer:VM3", **fields: Any) -> dict[str, Any]:
    given = {
        "actor": actor, "cause": "slot 1", "t_s": 30.0, "until_s": 1e9, "reason": "so", "reasoner": "openai",
        "present": None, "proposed": {"node": "VM3", "modes": {"sd": "gpu"}},
    }  # fmt: skip
    return {**given, **fields}


def test_whoever_proposed_hears_what_became_of_it() -> None:
    async def told() -> Any:
        desk = _desk()
        number = desk.propose(_asked())
        waiting = asyncio.ensure_future(desk.verdict(number, 5.0))
        await asyncio.sleep(0)
        desk.approve(Approve(proposal=number, why="fine"))
        return await waiting

    assert asyncio.run(told()) == ("approved", None, "fine")


def test_a_proposal_is_settled_once() -> None:
    desk = _desk()
    number = desk.propose(_asked())
    assert desk.reject(Reject(proposal=number)).state == "rejected"
    with pytest.raises(ValueError, match="does not wait any more: rejected"):
        desk.approve(Approve(proposal=number))
    with pytest.raises(ValueError, match="there is no proposal 7"):
        desk.reject(Reject(proposal=7))


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ({"node": "VM4", "modes": {}}, "is for node 'VM4', not 'VM3'"),
        ({"node": "VM3", "modes": {"gpt5": "cpu"}}, "unknown model 'gpt5'"),
        ({"node": "VM3"}, "command.modes"),
    ],
)
def test_an_edited_command_is_checked_and_the_proposal_goes_on_waiting(command: Any, told: str) -> None:
    desk = _desk()
    number = desk.propose(_asked())
    with pytest.raises(ValueError, match="command") as caught:
        desk.approve(Approve(proposal=number, command=command))
    assert told in str(caught.value)
    assert desk.listed().proposals[0].state == "waiting"


def test_an_edited_command_reaches_who_proposed() -> None:
    desk = _desk()
    number = desk.propose(_asked())
    assert (
        desk.approve(Approve(proposal=number, command={"node": "VM3", "modes": {"gpt2": "cpu"}})).state
        == "edited"
    )
    found = asyncio.run(desk.verdict(number, 0.0))
    assert found is not None
    assert (found[0], found[1].modes) == ("edited", {"gpt2": "cpu"})  # type: ignore[union-attr]


def test_an_agent_has_one_proposal_and_old_ones_are_forgotten() -> None:
    desk = _desk()
    for _ in range(MOST + 5):
        desk.propose(_asked())
    states = [p.state for p in desk.listed().proposals]
    assert len(states) == MOST
    assert states == ["gone"] * (MOST - 1) + ["waiting"]


def test_one_that_nobody_settled_in_time_says_so() -> None:
    desk = _desk()
    number = desk.propose(_asked())
    desk.timed_out(number)
    assert desk.listed().proposals[0].state == "timed_out"
    assert asyncio.run(desk.verdict(number, 0.0)) is None
