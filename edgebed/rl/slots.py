"""A run of the virtual engine that stops wherever its routes or its deployment are to be decided, and asks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from greenlet import getcurrent, greenlet

from controller.layer_loops import DeploymentLoop, SchedulerLoop
from controller.schemes import SCHEMES
from edgebed.wiring.controllers import build_controllers, run_header
from emulation.domain.actions import Choice, MacroPolicy, NodeConfig, RouteGuide
from emulation.domain.ports import DeploymentAgent, PromptScheduler
from emulation.domain.records import Record, RequestRecord, RunFooter
from emulation.domain.scenario import Scenario
from emulation.domain.slots import slot_of
from emulation.domain.snapshot import ClusterSnapshot, NodeView
from emulation.engine.control import ControlPlane
from emulation.engine.run import Simulation
from emulation.metrics.fairness import Counted, EpochResult, epoch_result_of
from workloads.generate import generate
from workloads.mismatch import world_truth

SCHEME = SCHEMES["DRL"]
_WITHOUT_LOOPS = replace(SCHEME, scheduler=None, deployer="static")
"""The scheme before anybody was trained: its fast path is built, and its loops are those that ask."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be decided now, and what may be known for it."""

    turn: Literal["routes", "deployment"]
    slot: int
    snapshot: ClusterSnapshot | None = None
    """For routes: the cluster as the slot begins."""
    views: Mapping[str, NodeView] = field(default_factory=dict)
    """For deployment: every node with pods, once the requests that come as the slot begins are dispatched."""


Answer = RouteGuide | Mapping[str, NodeConfig]
"""A guide for the slot, or a pattern for every node with pods."""


class SlotTally:
    """Counts what became of the requests of every slot, by the slot in which they arrived (MA eq. 20)."""

    def __init__(self, scenario: Scenario, arrivals: Sequence[Any]) -> None:
        self._scenario = scenario
        self._open: dict[int, int] = {}
        self._counts: dict[int, dict[str, Counted]] = {}
        self._settled: dict[int, EpochResult] = {}
        self.all = {m.id: Counted(0, 0, 0.0) for m in scenario.testbed.models}
        """Model to what became of the requests that count."""
        for request, _ in arrivals:
            slot = slot_of(request.arrival_s, scenario.slot_s)
            self._open[slot] = self._open.get(slot, 0) + 1
        self.empty = frozenset(range(scenario.slots)) - self._open.keys()
        """Counted slots in which no request arrives."""

    def write(self, record: Record, side: Mapping[str, Any] | None = None) -> None:
        """Port `RecordSink`: ends of requests count, everything else is let go."""
        if not isinstance(record, RequestRecord) or record.outcome == "unfinished":
            return
        slot = slot_of(record.intended_s, self._scenario.slot_s)
        of_slot = self._counts.setdefault(slot, {})
        of_slot[record.model] = _more(of_slot.get(record.model, Counted(0, 0, 0.0)), record)
        if record.counted:
            self.all[record.model] = _more(self.all[record.model], record)
        self._open[slot] -= 1
        if self._open[slot] == 0 and slot < self._scenario.slots:
            self._settled[slot] = self._result(of_slot)

    def take_settled(self) -> dict[int, EpochResult]:
        """Counted slots all of whose requests have ended since this was last asked."""
        settled, self._settled = self._settled, {}
        return settled

    def result(self) -> EpochResult:
        """Of all requests that count and have ended."""
        return self._result(self.all)

    def _result(self, counts: Mapping[str, Counted]) -> EpochResult:
        terms = self._scenario
        scale_s = terms.deadline_s or terms.epoch_slots * terms.slot_s
        return epoch_result_of(counts, scale_s, terms.objective_weight)


def _more(so_far: Counted, record: RequestRecord) -> Counted:
    asked, served, latency_s, prompts = so_far
    if record.outcome == "done":
        served, latency_s = served + 1, latency_s + (record.ended_s - record.intended_s)
        prompts += record.prompts
    return Counted(asked + 1, served, latency_s, prompts)


class SlotRun:
    """One run. `resume` plays on until somebody has to decide, or to the end.

    The engine runs in a greenlet of its own: it calls its deciders as in any run, and they hand the question out.
    """

    def __init__(self, scenario: Scenario, seed: int) -> None:
        """Raises `ConfigError` where the scenario cannot be run."""
        arrivals = generate(scenario, seed).items
        self.tally = SlotTally(scenario, arrivals)
        self.footer: RunFooter | None = None
        """The books, once the run has ended."""
        testbed = scenario.testbed
        built = build_controllers(_WITHOUT_LOOPS, scenario, seed)
        pods = [n.id for n in testbed.nodes if n.hosting == "pods"]
        control = ControlPlane(
            scheduler=SchedulerLoop(testbed, _AskingScheduler(self), seed),
            deployers={n: DeploymentLoop(testbed, n, _AskingDeployer(self, n), seed) for n in pods},
        )
        self._simulation = Simulation(
            scenario, run_header(scenario, SCHEME, seed, "virtual", identify=False), arrivals,
            world_truth(scenario, seed), built.fast_path, control, self.tally,
        )  # fmt: skip
        self._pods, self._slot_s = pods, scenario.slot_s
        self._patterns: tuple[int, Mapping[str, NodeConfig]] = (-1, {})
        self._asker: greenlet | None = None
        self._engine = greenlet(self._play)

    def resume(self, answer: Answer | None = None) -> Asked | None:
        """Give what was asked for last (nothing at first); the next question, None at the end.

        Raises `KeyboardInterrupt` if a Ctrl-C has ended the run.
        """
        self._asker = getcurrent()
        asked: Asked | None = self._engine.switch(answer)
        if asked is None and self.footer is not None and self.footer.interrupted:
            raise KeyboardInterrupt
        return asked

    def close(self) -> None:
        """End it, wherever it is."""
        if self._engine:
            self._engine.throw()

    def _play(self, _: None) -> None:
        self.footer = self._simulation.run()

    def ask(self, asked: Asked) -> Any:
        """From within: hand the question out, and come back with the answer."""
        assert self._asker is not None
        return self._asker.switch(asked)

    def pattern(self, view: NodeView) -> NodeConfig:
        """From within: the pattern of one node; the first that asks in a slot asks for all of them."""
        slot = slot_of(view.taken_at_s, self._slot_s)
        if self._patterns[0] != slot:
            views = {n: self._simulation.nodes[n].view(view.taken_at_s) for n in self._pods}
            self._patterns = slot, self.ask(Asked("deployment", slot, views=views))
        return self._patterns[1][view.id]


class _AskingScheduler(PromptScheduler):
    def __init__(self, run: SlotRun) -> None:
        self._run = run

    def decide(self, snapshot: ClusterSnapshot, policy: MacroPolicy | None) -> Choice[RouteGuide]:
        return Choice(self._run.ask(Asked("routes", snapshot.slot, snapshot)), "asked")


class _AskingDeployer(DeploymentAgent):
    def __init__(self, run: SlotRun, node_id: str) -> None:
        self._run, self._node_id = run, node_id

    def decide(self, view: NodeView) -> Choice[NodeConfig]:
        return Choice(self._run.pattern(view), "asked")
