"""A switch of the scheme without Ray: one event player, the real recorder, a controller, and who follows them."""

from __future__ import annotations

import pickle
import time
from pathlib import Path
from typing import Any

import pytest

from controller.agents.llm import ReasonerError
from controller.layer_loops import DeploymentLoop
from emulation.domain.actions import Choice, NodeConfig
from emulation.domain.events import SchemeSwitch
from emulation.domain.ports import DeploymentAgent
from emulation.domain.records import SWITCHED
from emulation.domain.snapshot import NodeView
from emulation.recording import RECORD_FILE, Run, read_run
from serve_apps.deciders import switcher as switcher_module
from serve_apps.deciders.cast import deciding_parts
from serve_apps.deciders.events import EventPlayer
from serve_apps.deciders.roles import DeployerHost, PlannerHost, SchedulerHost
from serve_apps.records.recorder import Recorder
from serve_apps.wire.messages import RunPlan
from serve_apps.wire.names import (
    EVENTS,
    GATEWAY_APP,
    PLANNER,
    RECORDER,
    SCHEDULER,
    deployer_name,
    runtime_name,
)
from serve_apps.wire.switching import Cast, Stage
from tests.build.calls import InMemoryCalls
from tests.build.controllers import LET_GO, TESTBED, Node
from tests.build.fakes import header, scenario
from tests.build.waiting import LONG_S, in_a_loop, until

WORLD = scenario(TESTBED, live={"speedup": 50.0}, slot_s=10.0, slot_order="deploy-first")


class Named(DeploymentAgent):
    """Everything off, in the name of a scheme; one called `slow` thinks until it is let go."""

    def __init__(self, scheme: str) -> None:
        self.scheme = scheme

    def decide(self, view: NodeView) -> Choice[NodeConfig]:
        if self.scheme == "slow":
            LET_GO.wait(LONG_S)
        return Choice(NodeConfig(view.id, {}), self.scheme)


class TwoSchemes:
    """Schemes of one deployment agent each; `wrong` is refused, `broken` turns out to be when it is built, the model of
    `refused` refuses its key."""

    def check(self, to: str) -> None:
        if to == "wrong":
            raise ValueError("wrong cannot come in")

    def refusals(self) -> dict[str, str]:
        return {"slow": "", "wrong": "wrong cannot come in"}

    def cast(self, scheme: str) -> Cast:
        if scheme == "broken":
            raise ValueError("it is broken")
        if scheme == "refused":
            raise ReasonerError("401 (the key was revoked)")
        path: Any = scheme
        deployers = {"n": DeploymentLoop(TESTBED, "n", Named(scheme))}
        return Cast(scheme=scheme, reasoner="none", fast_path=path, deployers=deployers)


STAGE = Stage(own="first", schemes=pickle.dumps(TwoSchemes()))


class Stand:
    """A recorder with an open run of scheme `first`, and everybody who decides in it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.recorder, self.node = folder, Recorder(lambda: folder / "own"), Node()
        (folder / "own").mkdir()
        self.calls = InMemoryCalls({RECORDER: self.recorder, runtime_name("n"): self.node})
        self.player = EventPlayer(self.calls, None)  # type: ignore[arg-type]
        self.deployer = DeployerHost(deployer_name("n"), self.calls, dict, "n")
        self.hosts = {
            PLANNER: PlannerHost(PLANNER, self.calls, dict),
            SCHEDULER: SchedulerHost(SCHEDULER, self.calls, dict),
            deployer_name("n"): self.deployer,
        }
        self.calls.actors |= {EVENTS: self.player, **self.hosts}

    async def begin(self, scheme: str = "first") -> None:
        nobody: Any = None
        plan = RunPlan(
            run_id="run", scenario=WORLD, seed=0, header=header(WORLD), truth=nobody, fast_path=nobody,
            folder=str(self.folder / "run"),
        )  # fmt: skip
        parts = deciding_parts("run", WORLD, TwoSchemes().cast(scheme), STAGE)
        await self.recorder.open(plan, {**parts, EVENTS: ("run", WORLD, STAGE)})
        await self.player.begin_run("run", WORLD, STAGE)
        for name, host in self.hosts.items():
            if scheme == "slow":
                host._take(parts[name])
            else:
                await host.begin_run(parts[name])
        t0_wall = time.time()
        for each in (self.recorder, self.player, *self.hosts.values()):
            await each.start(t0_wall)

    async def end(self) -> list[Any]:
        """What the deployment agent decided, as it stands in the record."""
        for host in self.hosts.values():
            await host.end_run()
        await self.player.flush()
        await self.recorder.close()
        return [d for d in self.run().decisions if d.actor == "deployer:n"]

    def run(self) -> Run:
        """Its record."""
        return read_run(self.folder / "run")


@in_a_loop
async def test_all_who_decide_take_up_a_switch_and_the_answer_says_from_when_on(tmp_path: Path) -> None:
    stand = Stand(tmp_path)
    await stand.begin()
    said = await stand.player.switch("second")
    assert (said.event, said.scheme, said.before, said.missing) == (0, "second", "first", ())
    assert (await stand.recorder.part(GATEWAY_APP))[0].scheme == "second"  # type: ignore[index]
    await until(lambda: len(stand.node.told) >= 2)
    decisions = await stand.end()
    assert [d.reason for d in decisions[:2]] == ["first", "second"]
    assert decisions[1].cause == "switch to second"
    (event,) = stand.run().events
    assert event.t_s == said.in_force_s
    assert set(event.detail["took_up"]) == set(stand.hosts)


@in_a_loop
async def test_a_decision_that_is_out_when_the_scheme_is_switched_is_voided(tmp_path: Path) -> None:
    LET_GO.clear()
    stand = Stand(tmp_path)
    await stand.begin("slow")
    stand.deployer._slot_0_open = True
    await until(lambda: (runtime_name("n"), "telemetry") in stand.calls.asked)
    await stand.player.switch("second")
    LET_GO.set()
    await until(lambda: b'"voided"' in (tmp_path / "run" / RECORD_FILE).read_bytes())
    decisions = await stand.end()
    slow = [d for d in decisions if d.reason == "slow"]
    assert [(d.outcome, d.landed_s, d.violations) for d in slow] == [("voided", None, (SWITCHED,))]
    assert all(d.outcome == "applied" for d in decisions if d.reason == "second")


@in_a_loop
async def test_who_is_restarted_after_a_switch_comes_up_with_the_scheme_that_is_in_force(
    tmp_path: Path,
) -> None:
    stand = Stand(tmp_path)
    await stand.begin()
    await stand.player.switch("second")
    stand.recorder._books.abandon()  # type: ignore[union-attr]
    stand.calls.actors[RECORDER] = again = Recorder(lambda: tmp_path / "own")
    assert (await again.part(deployer_name("n")))[0].scheme == "second"  # type: ignore[index]
    player = EventPlayer(stand.calls, None)  # type: ignore[arg-type]
    await player.resume()
    assert (await player.schemes()).scheme == "second"
    assert (await player.switch("third")).before == "second"
    stand.recorder = again
    stand.player = player
    await stand.end()


@in_a_loop
async def test_an_undo_brings_the_scheme_before_back(tmp_path: Path) -> None:
    stand = Stand(tmp_path)
    await stand.begin()
    number = (await stand.player.switch("second")).event
    await stand.player.undo(number)
    await until(lambda: stand.player._present().entries[number].undone_s is not None)
    assert (await stand.player.schemes()).scheme == "first"
    await stand.end()
    assert [e.detail["scheme"] for e in stand.run().events] == ["second", "first"]


@pytest.mark.parametrize(
    ("to", "words"),
    [
        ("first", "first is in force already"), ("wrong", "wrong cannot come in"), ("broken", "it is broken"),
        ("refused", "401"),
    ],
)  # fmt: skip
@in_a_loop
async def test_a_switch_that_cannot_be_is_refused_with_a_sentence_and_changes_nothing(
    tmp_path: Path, to: str, words: str
) -> None:
    stand = Stand(tmp_path)
    await stand.begin()
    with pytest.raises(ValueError, match=words):
        await stand.player.switch(to)
    if to == "wrong":
        with pytest.raises(ValueError, match=words):
            await stand.player.inject(SchemeSwitch(at_s=900.0, to=to))
    assert (await stand.player.schemes()).scheme == "first"
    await stand.end()
    assert stand.run().events == ()


@in_a_loop
async def test_a_process_that_does_not_answer_is_named_and_takes_it_up_when_it_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(switcher_module, "TAKEN_UP_S", 0.05)
    stand = Stand(tmp_path)
    await stand.begin()
    for task in stand.deployer._tasks:
        task.cancel()
    said = await stand.player.switch("second")
    assert said.missing == (deployer_name("n"),)
    await stand.deployer.start(time.time())
    await until(lambda: len(stand.node.told) > 1)
    decisions = await stand.end()
    assert decisions[-1].reason == "second"
