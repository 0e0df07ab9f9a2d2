"""The desk of proposals: numbered, heard once, checked before it is accepted, and gone when nobody waits."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest

from controller.approval import ApprovalConfig
from controller.layer_loops import DeploymentLoop
from controller.loop import LoopConfig
from emulation.domain.actions import Decision
from emulation.executor import NodeState
from serve_apps.deciders.approving import approved
from serve_apps.deciders.proposals import MOST, ProposalDesk
from serve_apps.wire.calls import Unreached
from serve_apps.wire.clock import LiveClock
from serve_apps.wire.names import EVENTS
from serve_apps.wire.steer import Approve, Reject
from tests.build.calls import InMemoryCalls
from tests.build.controllers import TESTBED, Pensive
from tests.build.hierarchy import BED, policy
from tests.build.waiting import in_a_loop, news_arrives, until


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


def test_one_that_waits_is_not_forgotten_however_many_agents_there_are() -> None:
    desk = _desk()
    numbers = [desk.propose(_asked(f"deployer:n{i}")) for i in range(MOST + 50)]
    assert [p.state for p in desk.listed().proposals] == ["waiting"] * (MOST + 50)
    assert asyncio.run(desk.verdict(numbers[0], 0.0)) is None, "it may still come"
    desk.reject(Reject(proposal=numbers[3]))
    assert asyncio.run(desk.verdict(numbers[3], 0.0)) == ("rejected", None, "")
    for number in numbers:
        desk.timed_out(number)
    desk.propose(_asked())
    assert len(desk.listed().proposals) == MOST


def test_one_that_nobody_settled_in_time_says_so() -> None:
    desk = _desk()
    number = desk.propose(_asked())
    desk.timed_out(number)
    assert desk.listed().proposals[0].state == "timed_out"
    assert asyncio.run(desk.verdict(number, 0.0)) is None


class Desk:
    """The desk as the actor `events` has it."""

    def __init__(self) -> None:
        self.desk = _desk()
        self.desk.begin(TESTBED, LiveClock(1.0))

    async def propose(self, asked: dict[str, Any]) -> int:
        return self.desk.propose(asked)

    async def verdict(self, number: int, limit_s: float) -> Any:
        return await self.desk.verdict(number, limit_s)

    async def timed_out(self, number: int) -> Any:
        return self.desk.timed_out(number)

    async def withdraw(self, actor: str) -> None:
        self.desk.withdraw(actor)


def _another(desk: ProposalDesk) -> None:
    desk.propose(_asked("deployer:n"))


def _next_run(desk: ProposalDesk) -> None:
    desk.begin(TESTBED, LiveClock(1.0))


@pytest.mark.parametrize("give_up", [_another, _next_run])
@in_a_loop
async def test_a_proposal_that_is_gone_ends_the_wait_for_it_in_one_call(
    give_up: Callable[[ProposalDesk], None],
) -> None:
    events, clock = Desk(), LiveClock(1.0)
    clock.start(time.time())
    calls = InMemoryCalls({EVENTS: events})
    loop = DeploymentLoop(TESTBED, "n", Pensive(), config=LoopConfig(approval=ApprovalConfig(timeout_s=3600)))
    seen = NodeState(TESTBED, "n").view(0.0)
    held = loop.observe(seen, "slot 1", 0.0, ask=True)
    waiting = asyncio.ensure_future(approved(calls, clock, loop, held, seen))
    await until(lambda: (EVENTS, "verdict") in calls.asked)
    await news_arrives()
    give_up(events.desk)
    done = await waiting
    assert calls.asked.count((EVENTS, "verdict")) == 1
    assert done.proposal is not None
    assert (done.proposal["outcome"], done.proposal["why"]) == ("timed_out", "it was given up")


class LastMoment(Desk):
    """Somebody approves after the last poll, and before the desk hears that nobody waits."""

    async def timed_out(self, number: int) -> Any:
        self.desk.approve(Approve(proposal=number, why="just so"))
        return await super().timed_out(number)


class Busy(InMemoryCalls):
    """Does what it is asked, but answers too late."""

    async def call(self, name: str, method: str, *args: Any, limit_s: float = 1.0) -> Any:
        await super().call(name, method, *args)
        raise Unreached(f"{name}.{method}: no answer in time")


async def _settled(calls: InMemoryCalls) -> tuple[Decision, Decision]:
    """A decision that is held for a moment, and what is made of it."""
    clock = LiveClock(1.0)
    clock.start(time.time())
    loop = DeploymentLoop(TESTBED, "n", Pensive(), config=LoopConfig(approval=ApprovalConfig(timeout_s=0.05)))
    seen = NodeState(TESTBED, "n").view(0.0)
    held = loop.observe(seen, "slot 1", 0.0, ask=True)
    return held, await approved(calls, clock, loop, held, seen)


@in_a_loop
async def test_what_was_approved_at_the_last_moment_is_carried_out() -> None:
    events = LastMoment()
    held, done = await _settled(InMemoryCalls({EVENTS: events}))
    assert events.desk.listed().proposals[0].state == "approved"
    assert done.proposal is not None
    assert (done.proposal["outcome"], done.proposal["why"]) == ("approved", "just so")
    assert (done.command, done.reasoner) == (held.command, held.reasoner)


@in_a_loop
async def test_what_was_decided_without_an_answer_cannot_be_approved_any_more() -> None:
    events = Desk()
    calls = Busy({EVENTS: events})
    _, done = await _settled(calls)
    await until(lambda: (EVENTS, "withdraw") in calls.asked)
    await news_arrives()
    assert done.proposal is not None
    assert done.proposal["why"] == "nobody could be asked"
    with pytest.raises(ValueError, match="does not wait any more: gone"):
        events.desk.approve(Approve(proposal=1))


def test_a_proposal_that_is_not_there_is_gone() -> None:
    assert asyncio.run(_desk().verdict(7, 5.0)) == ("gone", None, "")


@pytest.mark.parametrize(
    ("actor", "command", "told"),
    [
        ("scheduler", {"table": {"VM2|nope": "VM3"}}, "table names unknown model 'nope'"),
        ("scheduler", {"table": {"nope|sd": "VM3"}}, "table names unknown origin 'nope'"),
        ("scheduler", {"table": {"VM2|sd": "nope"}}, "sends sd from VM2 to nope, which cannot host it"),
        ("scheduler", {"weights": {"nope|VM3": 0.5}}, "weights name unknown model 'nope'"),
        ("scheduler", {"weights": {"sd|nope": 0.5}}, "weights name unknown node 'nope'"),
        ("scheduler", {"masked": ["nope"]}, "mask names unknown executor 'nope'"),
        (
            "planner",
            {**policy(), "admission_limit_s": {"nope": 3}},
            "admission_limit_s names unknown model 'nope'",
        ),
    ],
)
def test_an_edited_command_that_names_what_is_not_there_is_refused(
    actor: str, command: dict[str, Any], told: str
) -> None:
    desk, edited = _desk(), {name: part for name, part in command.items() if name != "reason"}
    number = desk.propose(_asked(actor))
    with pytest.raises(ValueError, match="command: ") as caught:
        desk.approve(Approve(proposal=number, command=edited))
    assert told in str(caught.value)
    assert desk.listed().proposals[0].state == "waiting"
