"""What the end of a run leaves of a decision that is still thought of, held for approval, or being carried out."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import Any

import pytest

from controller.agents.answers import Asker, NoAnswer
from controller.agents.llm import UNANSWERED, Form, Query, ReasonerError, Reply
from controller.agents.reasoner import ReasonerLabel
from controller.agents.replay import Recorded, ReplayLlm
from controller.approval import ApprovalConfig
from controller.deployers.llm import LlmDeployer
from emulation.domain.actions import Decision, NodeConfig
from emulation.domain.records import ENDED
from serve_apps.deciders import host as host_module
from serve_apps.deciders import last_word
from serve_apps.deciders.roles import DeployerHost
from serve_apps.wire.clock import LiveClock
from serve_apps.wire.messages import Configured
from serve_apps.wire.names import EVENTS, runtime_name
from serve_apps.wire.news import News
from tests.build.controllers import (
    ASKED,
    LET_GO,
    SPEEDUP,
    TESTBED,
    Hesitant,
    Node,
    Pensive,
    Told,
    deployment,
    part,
)
from tests.build.host_world import World
from tests.build.waiting import LONG_S, in_a_loop, news_arrives, until

FAR_S = 1e5


class Watched(LiveClock):
    """Tells when somebody waits for a moment that no run reaches."""

    waited_for = False

    def wall_until_s(self, t_s: float) -> float:
        self.waited_for = self.waited_for or t_s > FAR_S
        return super().wall_until_s(t_s)


async def thinking(world: World) -> DeployerHost:
    """A deployment agent that has asked its reasoner, and thinks."""
    host, clock = world.deployer(), Watched(SPEEDUP)
    await host.begin_run(replace(part(deployment(Pensive())), clock=clock))
    await host.start(time.time())
    await until(lambda: clock.waited_for)
    return host


@in_a_loop
async def test_what_a_reasoner_was_asked_for_a_decision_that_the_end_of_the_run_overtakes_is_recorded() -> (
    None
):
    world = World()
    host = await thinking(world)
    await host.end_run()
    last = [args for how, args in world.books.entries if how == "decide"][-1]
    decision, landed_s, outcome, violations = last[:4]
    assert (decision.reason, landed_s, outcome, violations) == ("at length", None, "voided", (ENDED,))
    assert decision.exchanges[0].said == {"asked": "n"}


@in_a_loop
async def test_the_next_run_hears_nothing_of_what_the_last_one_left_undecided() -> None:
    world = World()
    host = await thinking(world)
    await host.begin_run(part(deployment(Told())))
    await host.end_run()
    assert not any(args[3] == (ENDED,) for how, args in world.books.entries if how == "decide")


class Nobody(News[str | None]):
    """The event player where nobody ever looks at a proposal."""

    def __init__(self) -> None:
        super().__init__()
        self.proposed: list[dict[str, Any]] = []

    async def propose(self, asked: dict[str, Any]) -> int:
        self.proposed.append(asked)
        return len(self.proposed)

    async def verdict(self, number: int, limit_s: float) -> None:
        await asyncio.Event().wait()


class Unending(Node):
    """A node that never says that it was configured."""

    async def configure(self, config: NodeConfig) -> Configured:
        self.told.append(config)
        await asyncio.Event().wait()
        raise AssertionError("unreachable")


async def asked(monkeypatch: pytest.MonkeyPatch) -> tuple[World, DeployerHost]:
    """A deployment agent whose reasoner was asked for its first decision, and has not answered."""
    monkeypatch.setattr(host_module, "FIRST_S", 0.01)
    LET_GO.clear()
    ASKED.clear()
    world = World()
    host = world.deployer()
    await host.begin_run(part(deployment(Hesitant())))
    await host.start(time.time())
    await until(ASKED.is_set)
    return world, host


def voided(world: World) -> Decision:
    """The last decision; it must have been voided by the end of the run."""
    decision, landed_s, outcome, violations = [a for how, a in world.books.entries if how == "decide"][-1][:4]
    assert (decision.reason, landed_s, outcome, violations) == ("at length", None, "voided", (ENDED,))
    assert decision.exchanges[0].said == {"asked": "n"}
    found: Decision = decision
    return found


@in_a_loop
async def test_a_proposal_that_waits_when_the_run_ends_is_voided_and_told() -> None:
    world, player = World(), Nobody()
    player.begin("run")
    world.calls.back(EVENTS, player)
    host = world.deployer()
    await host.begin_run(part(deployment(Pensive(), ApprovalConfig(timeout_s=3600.0))))
    await host.start(time.time())
    await until(lambda: player.proposed)
    await host.end_run()
    proposal = voided(world).proposal
    assert proposal is not None
    assert (proposal["outcome"], proposal["why"]) == ("timed_out", ENDED)
    assert proposal["proposed"] == player.proposed[0]["proposed"]


@in_a_loop
async def test_what_a_reasoner_says_just_after_the_run_ended_is_recorded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world, host = await asked(monkeypatch)
    ending = asyncio.ensure_future(host.end_run())
    await news_arrives()
    assert not ending.done()
    LET_GO.set()
    await ending
    assert voided(world).proposal is None


@in_a_loop
async def test_a_reasoner_that_does_not_answer_when_the_run_ends_is_not_waited_for_without_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(last_word, "LAST_WORD_S", 0.01)
    world, host = await asked(monkeypatch)
    await host.end_run()
    LET_GO.set()
    assert world.books.decisions == [], "nobody knows what it was asked"


class Silent:
    """A reasoner that does not answer until it is let go."""

    label: ReasonerLabel = "openai"

    def form(self, agent: str) -> Form:
        return "free"

    def ask(self, query: Query) -> Reply:
        ASKED.set()
        LET_GO.wait(LONG_S)
        raise ReasonerError("the key was taken back")


async def silent() -> tuple[World, DeployerHost]:
    """A deployment agent whose language model was asked for its first decision, and is silent."""
    LET_GO.clear()
    ASKED.clear()
    world = World()
    host, agent = world.deployer(), LlmDeployer(TESTBED, "n", Asker("deployer:n", Silent()))
    await host.begin_run(part(deployment(agent)))
    await host.start(time.time())
    await until(ASKED.is_set)
    return world, host


@in_a_loop
async def test_what_a_reasoner_never_answered_is_recorded_as_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_module, "FIRST_S", 0.01)
    monkeypatch.setattr(last_word, "LAST_WORD_S", 0.01)
    world, host = await silent()
    assert await host.end_run() == ""
    LET_GO.set()
    (how, (decision, landed_s, outcome, violations, *_)), *_ = world.books.entries
    assert (how, landed_s, outcome, violations) == ("decide", None, "voided", (ENDED,))
    (asked,) = decision.exchanges
    assert (asked.said["failure"], asked.said["agent"]) == (UNANSWERED, "deployer:n")
    assert asked.said["thinking_s"] == decision.thinking_s >= 0.0
    again = ReplayLlm([Recorded.model_validate(asked.said)])
    replayed = LlmDeployer(TESTBED, "n", Asker("deployer:n", again))
    with pytest.raises(NoAnswer, match=UNANSWERED):  # and not `ReplayMiss`, which ends a run
        replayed.decide(await world.node.telemetry())


@in_a_loop
async def test_a_reasoner_that_breaks_just_after_the_run_ended_broke_in_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(host_module, "FIRST_S", 0.01)
    _, host = await silent()
    ending = asyncio.ensure_future(host.end_run())
    await news_arrives()
    LET_GO.set()
    assert await ending == "the key was taken back"


@in_a_loop
async def test_a_decision_that_is_being_carried_out_when_the_run_ends_is_recorded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(host_module, "FIRST_S", 0.01)
    world, node = World(), Unending()
    world.calls.back(runtime_name("n"), node)
    host = world.deployer()
    await host.begin_run(part(deployment(Pensive())))
    await until(lambda: node.told)
    await host.end_run()
    voided(world)
