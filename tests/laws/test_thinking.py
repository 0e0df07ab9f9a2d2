"""Thinking takes time: what is in force stays in force meanwhile, and no decision is lost or doubled."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest

from controller.layer_loops import SchedulerLoop
from controller.loop import LoopConfig
from emulation.domain.actions import Choice, Decision, MacroPolicy, RouteGuide
from emulation.domain.ports import PromptScheduler
from emulation.domain.request import Request
from emulation.domain.scenario import Scenario, SlottedSource
from emulation.domain.snapshot import ClusterSnapshot, NodeView
from emulation.domain.truth import RequestTruth
from emulation.engine.control import ControlPlane
from emulation.recording import Run
from tests.build.fakes import FixedRoute, pod_testbed, request, scenario, simulate

SLOT_S = 10.0
BED = pod_testbed()


class Told(FixedRoute):
    """A fast path that notes when it was told which guide."""

    def __init__(self) -> None:
        super().__init__("n/a")
        self.guides: list[RouteGuide] = []

    def guide(self, guide: RouteGuide) -> None:
        self.guides.append(guide)


class Numbered(PromptScheduler):
    """A scheduler whose guides can be told apart: the n-th gives the only host the weight 1 / n."""

    def __init__(self) -> None:
        self.asked: list[float] = []

    def decide(self, snapshot: ClusterSnapshot, policy: MacroPolicy | None) -> Choice[RouteGuide]:
        self.asked.append(snapshot.t_s)
        return Choice(RouteGuide(weights={("a", "n"): 1.0 / len(self.asked)}), "numbered")


def _world(slots: int = 20) -> Scenario:
    return scenario(
        BED,
        horizon_s=SLOT_S * slots,
        slots=slots,
        slot_s=SLOT_S,
        workload=(SlottedSource(),),
        deadline_s=60.0,
    )


def _arrivals() -> list[tuple[Request, RequestTruth]]:
    return [(request(i, 5.0 + 10.0 * i, "a", origin="n"), RequestTruth(noise=(1.0,))) for i in range(20)]


def _run(thinking_s: float, told: Told, scheduler: Numbered) -> Run:
    loop = SchedulerLoop(BED, scheduler, 0, LoopConfig(thinking_s=thinking_s))
    return simulate(_world(), _arrivals(), told, ControlPlane(scheduler=loop))


@pytest.mark.parametrize("thinking_s", [0.0, 4.0, 9.999, 10.0, 12.0, 25.0, 40.0])
def test_a_guide_that_takes_longer_than_a_slot_leaves_the_one_before_in_force(thinking_s: float) -> None:
    told, scheduler = Told(), Numbered()
    run = _run(thinking_s, told, scheduler)
    decided = [d for d in run.decisions if d.actor == "scheduler"]
    assert [d.t_s for d in decided] == scheduler.asked[: len(decided)]
    assert decided[0].landed_s == 0.0, "before a run begins there is time to think"
    assert all(d.landed_s == pytest.approx(d.t_s + thinking_s) for d in decided[1:])
    for before, after in pairwise(decided):
        assert before.landed_s is not None
        assert after.t_s >= before.landed_s, "nobody is asked while an answer is out"
        assert after.t_s - before.landed_s <= SLOT_S + 1e-9, "and everybody again at the next boundary"
    weights = [d.choice["weights"]["a|n"] for d in decided]
    assert weights == [g.weights["a", "n"] for g in told.guides]
    assert max(Counter(weights).values()) == 1, "each decision lands once"
    assert 0 <= len(scheduler.asked) - len(decided) <= 1, "all but the last one may still be out"


class Slow:
    """A planner or deployment agent that thinks for ever longer than the run's slots."""

    def __init__(self, thinking_s: float, command: object) -> None:
        self.thinking_s, self.command = thinking_s, command
        self.asked: list[float] = []
        self.accepted: list[MacroPolicy] = []

    def observe(self, seen: ClusterSnapshot | NodeView, cause: str) -> Decision:
        t_s = seen.t_s if isinstance(seen, ClusterSnapshot) else seen.taken_at_s
        self.asked.append(t_s)
        command = self.command
        return Decision("planner", cause, t_s, 0.0, command, "", "none", self.thinking_s)  # type: ignore[arg-type]

    def accept(self, policy: MacroPolicy) -> None:
        self.accepted.append(policy)

    def outage(self, failure: str | None) -> None:
        """Not felt."""


def test_a_planner_that_overruns_its_epoch_holds_up_nobody_below() -> None:
    policy = MacroPolicy(p={"a": {"n": 1.0}, "b": {"n": 1.0}}, roles={"n": {"a": "gpu"}})
    planner, scheduler = Slow(25.0, policy), Numbered()
    lower = SchedulerLoop(BED, scheduler, 0)
    world = _world().model_copy(update={"epoch_slots": 2})
    run = simulate(world, _arrivals(), Told(), ControlPlane(planner=planner, scheduler=lower))
    assert planner.asked[:4] == [0.0, 20.0, 60.0, 100.0], (
        "every second epoch, while the answer of the first is out"
    )
    landed = [d.landed_s for d in run.decisions if d.actor == "planner"]
    assert landed[:4] == [0.0, 45.0, 85.0, 125.0]
    slots = {round(t_s // SLOT_S) for t_s in scheduler.asked}
    assert slots >= set(range(20)), "the layer below decides in every slot"
