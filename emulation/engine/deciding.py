"""One decision in virtual time: snapshot → control loop → `Decision` → (thinking time) → landing where it applies."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import inf
from typing import Any

from emulation.domain.actions import Decision, MacroPolicy, NodeConfig, RouteGuide
from emulation.domain.ports import FastPath
from emulation.domain.scenario import PLANNER_GRACE_SHARE, Scenario
from emulation.domain.snapshot import ClusterSnapshot
from emulation.engine.control import ControlPlane
from emulation.engine.kernel import DELIVERY, DISPATCHED, LANDING, Kernel
from emulation.executor import NodeState
from emulation.ledger import Ledger

PLANNER, SCHEDULER = "planner", "scheduler"


@dataclass(frozen=True, slots=True)
class _Settled:
    """A decision of a deployment agent that changed nothing, at a node where nothing will happen by itself."""

    version: int
    """Of the node, after it landed."""
    decision: Decision
    refused: tuple[str, ...]

    @property
    def outcome(self) -> str:
        return "voided" if self.refused else "applied"


class Deciding:
    """The control loops of one run: when they look, and when what they decided lands."""

    def __init__(
        self,
        scenario: Scenario,
        control: ControlPlane,
        kernel: Kernel,
        nodes: Mapping[str, NodeState],
        ledger: Ledger,
        fast_path: FastPath,
        settle: Callable[[NodeState], None],
    ) -> None:
        """`settle` hears what a node has to say after it was configured."""
        self._scenario, self._control, self._kernel = scenario, control, kernel
        self._nodes, self._ledger, self._fast_path, self._settle = nodes, ledger, fast_path, settle
        self._out: dict[str, float] = {}
        """Actor whose decision is still out to when it lands; until then it is not asked again."""
        self._settled: dict[str, _Settled] = {}
        """Node to what its deployment agent decided last, where that left everything as it was."""

    def tell(self, hear: Callable[[Any], None], news: Any, whom: str = "gateway") -> None:
        """Somebody hears or looks now, or as late as in a live run (jittered runs)."""
        if self._control.delay_s is None:
            hear(news)
        else:
            delay_s = self._control.delay_s(whom, self._kernel.now_s)
            self._kernel.at(self._kernel.now_s + delay_s, DELIVERY, hear, news)

    def slot(self, slot: int) -> None:
        """A slot begins: the planner looks at an epoch boundary, then the loops below it."""
        now_s, scenario, planner = self._kernel.now_s, self._scenario, self._control.planner
        if planner is None or slot % scenario.epoch_slots:
            self._lower(slot)
            return
        if PLANNER not in self._out:
            cause = f"epoch {slot // scenario.epoch_slots}"
            self._decided(PLANNER, planner.observe(self._snapshot(slot, reset=True), cause))
        late_s = self._out.get(PLANNER, now_s) - now_s
        grace_s = min(late_s, PLANNER_GRACE_SHARE * scenario.slot_s)
        if grace_s > 0:
            self._kernel.at(now_s + grace_s, LANDING, self._lower, slot)
        else:
            self._lower(slot)

    def _lower(self, slot: int) -> None:
        """Scheduler and deployment agents; at an epoch boundary after the planner, if it is not too late."""
        if self._control.scheduler is not None:
            self.tell(self._schedule, slot, "look:scheduler")
        if self._scenario.slot_order == "dispatch-first":
            self._kernel.at(self._kernel.now_s, DISPATCHED, self._deployers, slot)
        else:
            self._deployers(slot)

    def _deployers(self, slot: int) -> None:
        for node_id in self._control.deployers:
            self.tell(self._deploy, (node_id, slot), f"look:deployer:{node_id}")

    def _schedule(self, slot: int) -> None:
        scheduler = self._control.scheduler
        assert scheduler is not None
        if SCHEDULER not in self._out:
            self._decided(SCHEDULER, scheduler.observe(self._snapshot(slot, reset=False), f"slot {slot}"))

    def _deploy(self, of: tuple[str, int]) -> None:
        node_id, slot = of
        actor = f"deployer:{node_id}"
        node, now_s = self._nodes[node_id], self._kernel.now_s
        if not node.available or actor in self._out:
            return
        settled = self._settled.get(node_id)
        if (
            settled is not None and settled.version == node.version
        ):  # it would see the same, and so decide the same
            again = replace(settled.decision, cause=f"slot {slot}", decided_at_s=now_s)
            self._ledger.decide(again, now_s, settled.outcome, settled.refused, 0)
        else:
            self._decided(actor, self._control.deployers[node_id].observe(node.view(now_s), f"slot {slot}"))

    def _snapshot(self, slot: int, reset: bool) -> ClusterSnapshot:
        now_s = self._kernel.now_s
        views = tuple(node.view(now_s) for node in self._nodes.values())
        return ClusterSnapshot(now_s, slot, views, self._ledger.window(now_s, reset))

    def _decided(self, actor: str, decision: Decision | None) -> None:
        """Let a decision land when its thinking is over; before a run begins there is time to think."""
        if decision is None:
            return
        delay_s = decision.thinking_s if self._kernel.now_s > 0 else 0.0
        if self._control.delay_s is not None:
            delay_s += self._control.delay_s(decision.actor, self._kernel.now_s)
        if delay_s > 0:
            self._out[actor] = self._kernel.now_s + delay_s
            self._kernel.at(self._out[actor], LANDING, self._land_late, (actor, decision))
        else:
            self._land(decision)

    def _land_late(self, of: tuple[str, Decision]) -> None:
        actor, decision = of
        del self._out[actor]
        self._land(decision)

    def _land(self, decision: Decision) -> None:
        command, refused, changes = decision.command, [], 0
        if isinstance(command, NodeConfig):
            node = self._nodes[command.node]
            before = node.targets()
            refused = node.configure(command, self._kernel.now_s)
            changes = sum(mode != before[e] for e, mode in node.targets().items())
            self._settle(node)
            self._keep(node, decision, tuple(refused), changes)
        elif isinstance(command, RouteGuide):
            self.tell(self._fast_path.guide, command)
        elif isinstance(command, MacroPolicy):
            self._settled.clear()
            self.tell(self._fast_path.policy, command)
            if self._control.scheduler is not None:
                self._control.scheduler.accept(command)
            for deployer in self._control.deployers.values():
                deployer.accept(command)
        outcome = "voided" if refused else "applied"
        self._ledger.decide(decision, self._kernel.now_s, outcome, tuple(refused), changes)

    def _keep(self, node: NodeState, decision: Decision, refused: tuple[str, ...], changes: int) -> None:
        """Remember what an agent that repeats itself would decide again as long as the node stays as it is."""
        at_once = decision.decided_at_s == self._kernel.now_s and self._control.delay_s is None
        as_chosen = not decision.violations and not decision.exchanges
        still = changes == 0 and node.next_s() == inf
        if at_once and as_chosen and still and self._control.deployers[node.id].repeats:
            self._settled[node.id] = _Settled(node.version, decision, refused)
        else:
            self._settled.pop(node.id, None)
