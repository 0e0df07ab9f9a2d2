"""One decision in virtual time: snapshot → control loop → `Decision` → (thinking time) → landing where it applies."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import inf
from typing import Any

from mypy_extensions import mypyc_attr

from emulation.domain.actions import Decision, MacroPolicy, NodeConfig, RouteGuide
from emulation.domain.ports import FastPath
from emulation.domain.scenario import PLANNER_GRACE_SHARE, Scenario
from emulation.domain.snapshot import ClusterSnapshot
from emulation.engine.control import ControlPlane
from emulation.engine.kernel import CONTROL, DELIVERY, DISPATCHED, LANDING, Kernel
from emulation.executor import NodeState
from emulation.ledger import Ledger

PLANNER, SCHEDULER = "planner", "scheduler"
SWITCHED = "another scheme had come in by then"
"""Why a decision is voided that was still out when another scheme came in."""
ENDED = "the run had ended by then"
"""Why a decision is voided that was still out at the end."""


@mypyc_attr(native_class=False)
@dataclass(frozen=True, slots=True)
class _Look:
    """One round of looks."""

    slot: int
    came_in: str = ""
    """Why these loops look for the first time; empty: they look because a slot begins."""
    boundary: bool = True
    """Whether a slot begins at this very instant."""

    @property
    def cause(self) -> str:
        """Of what scheduler and deployment agents decide."""
        return self.came_in or f"slot {self.slot}"


@mypyc_attr(native_class=False)
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
        self._out: dict[str, tuple[float, Decision]] = {}
        """Actor whose decision is still out to when it lands, and the decision; until then it is not asked again."""
        self._settled: dict[str, _Settled] = {}
        """Node to what its deployment agent decided last, where that left everything as it was."""
        self._came_in = ""
        """Why these loops have yet to look for the first time; empty: they have, or began with the run."""
        self._over = False
        """Another scheme is in force: what is still out is voided, and nobody looks again."""

    def tell(self, hear: Callable[[Any], None], news: Any, whom: str = "gateway") -> None:
        """Somebody hears or looks now, or as late as in a live run (jittered runs)."""
        if self._control.delay_s is None:
            hear(news)
        else:
            delay_s = self._control.delay_s(whom, self._kernel.now_s)
            self._kernel.at(self._kernel.now_s + delay_s, DELIVERY, hear, news)

    def come_in(self, cause: str, slot: int) -> None:
        """These loops came in while the run goes on: they look at this instant, the planner too, and then as ever."""
        self._came_in = cause
        self._kernel.at(self._kernel.now_s, CONTROL, self._first_look, slot)

    def retire(self) -> None:
        """Another scheme comes in."""
        self._over = True

    def end(self) -> None:
        """The run is over: what a reasoner was asked for a decision that is still out stands in the record, too."""
        for _, decision in self._out.values():
            if decision.exchanges:
                self._ledger.decide(decision, None, "voided", (ENDED,), 0)

    def slot(self, slot: int) -> None:
        """A slot begins: the planner looks at an epoch boundary, then the loops below it."""
        came_in, self._came_in = self._came_in, ""
        self._look(_Look(slot, came_in))

    def _first_look(self, slot: int) -> None:
        came_in, self._came_in = self._came_in, ""
        if came_in and not self._over:  # else a slot began at this very instant
            self._look(_Look(slot, came_in, boundary=False))

    def _look(self, look: _Look) -> None:
        if self._control.planner is None or (look.slot % self._scenario.epoch_slots and not look.came_in):
            self._lower(look)
        else:
            self._late(self._plan, look, f"look:{PLANNER}")

    def _late(self, look: Callable[[Any], None], of: Any, who: str) -> None:
        """Somebody looks now, or as late as in a live run; before a run begins nobody is late."""
        if self._kernel.now_s == 0:
            look(of)
        else:
            self.tell(look, of, who)

    def _plan(self, look: _Look) -> None:
        now_s, scenario, planner = self._kernel.now_s, self._scenario, self._control.planner
        if planner is not None and PLANNER not in self._out and not self._over:
            epoch, past = divmod(look.slot, scenario.epoch_slots)
            snapshot = self._snapshot(look.slot, reset=past == 0 and look.boundary)
            self._decided(PLANNER, planner.observe(snapshot, look.came_in or f"epoch {epoch}"))
        late_s = self._out[PLANNER][0] - now_s if PLANNER in self._out else 0.0
        grace_s = min(late_s, PLANNER_GRACE_SHARE * scenario.slot_s)
        if grace_s > 0:
            self._kernel.at(now_s + grace_s, LANDING, self._lower, look)
        else:
            self._lower(look)

    def _lower(self, look: _Look) -> None:
        """Scheduler and deployment agents; after the planner where that looks too, if it is not too late."""
        if self._control.scheduler is not None:
            self._late(self._schedule, look, f"look:{SCHEDULER}")
        if self._scenario.agents_await_dispatch:
            self._kernel.at(self._kernel.now_s, DISPATCHED, self._deployers, look)
        else:
            self._deployers(look)

    def _deployers(self, look: _Look) -> None:
        begin = self.tell if self._scenario.agents_await_dispatch else self._late
        for node_id in self._control.deployers:
            begin(self._deploy, (node_id, look), f"look:deployer:{node_id}")

    def _schedule(self, look: _Look) -> None:
        scheduler = self._control.scheduler
        assert scheduler is not None
        if SCHEDULER not in self._out and not self._over:
            self._decided(SCHEDULER, scheduler.observe(self._snapshot(look.slot, reset=False), look.cause))

    def _deploy(self, of: tuple[str, _Look]) -> None:
        node_id, look = of
        actor = f"deployer:{node_id}"
        node, now_s = self._nodes[node_id], self._kernel.now_s
        if not node.available or actor in self._out or self._over:
            return
        settled = self._settled.get(node_id)
        if (
            settled is not None and settled.version == node.version
        ):  # it would see the same, and so decide the same
            if self._ledger.records:
                again = replace(settled.decision, cause=look.cause, decided_at_s=now_s)
                self._ledger.decide(again, now_s, settled.outcome, settled.refused, 0)
        else:
            self._decided(actor, self._control.deployers[node_id].observe(node.view(now_s), look.cause))

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
            self._out[actor] = self._kernel.now_s + delay_s, decision
            self._kernel.at(self._kernel.now_s + delay_s, LANDING, self._land_late, (actor, decision))
        else:
            self._land(decision)

    def _land_late(self, of: tuple[str, Decision]) -> None:
        actor, decision = of
        del self._out[actor]
        if self._over:
            self._ledger.decide(decision, None, "voided", (SWITCHED,), 0)
        else:
            self._land(decision)

    def _land(self, decision: Decision) -> None:
        command, refused, changes = decision.command, [], 0
        if isinstance(command, NodeConfig):
            node = self._nodes[command.node]
            before = node.targets()
            refused = node.configure(command, self._kernel.now_s)
            changes = sum([mode != before[e] for e, mode in node.targets().items()])
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
