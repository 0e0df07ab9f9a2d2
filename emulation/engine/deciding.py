"""One decision in virtual time: snapshot → control loop → `Decision` → (thinking time) → landing where it applies."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import inf
from typing import Any

from mypy_extensions import mypyc_attr

from emulation.domain.actions import Decision, MacroPolicy, NodeConfig, RouteGuide
from emulation.domain.ports import FastPath
from emulation.domain.records import ENDED, SWITCHED
from emulation.domain.scenario import PLANNER_GRACE_SHARE, Scenario
from emulation.domain.snapshot import ClusterSnapshot, Window
from emulation.engine.control import ControlPlane, PolicyObserver
from emulation.engine.hearing import Hearing
from emulation.engine.kernel import CONTROL, DISPATCHED, LANDING, Kernel
from emulation.executor import NodeState
from emulation.ledger import Ledger

PLANNER, SCHEDULER, DEPLOYER = "planner", "scheduler", "deployer:"


@mypyc_attr(native_class=False)
@dataclass(frozen=True, slots=True)
class _Look:
    """One round of looks."""

    slot: int
    since_s: float
    """When it was due, s."""
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
    """A decision of a deployment agent that changed nothing, at a node where nothing will happen by itself, or by one
    that decides alike whatever happens."""

    version: int
    """Of the node, after it landed."""
    blind: bool
    """Whether it would be the same at any version."""
    decision: Decision
    refused: tuple[str, ...]

    @property
    def outcome(self) -> str:
        return "voided" if self.refused else "applied"


@mypyc_attr(native_class=False)
@dataclass(frozen=True, slots=True)
class _Told:
    """What was counted when a slot began, for whoever looks later than that (jittered runs)."""

    slot: int = -1
    planner: Window | None = None
    """With which it was counted anew; None: the planner had no reason to look."""
    scheduler: Window | None = None


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
        hearing: Hearing,
        settle: Callable[[NodeState], None],
        wake: Callable[[], None],
    ) -> None:
        """`settle` hears what a node has to say after it was configured; `wake` has held requests routed again."""
        self._scenario, self._control, self._kernel = scenario, control, kernel
        self._nodes, self._ledger, self._fast_path = nodes, ledger, fast_path
        self._hearing, self._settle, self._wake = hearing, settle, wake
        self._await_dispatch, self._lag_s = scenario.agents_await_dispatch, scenario.dispatch_lag_s
        self._out: dict[str, tuple[float, Decision]] = {}
        """Actor whose decision is still out to when it lands, and the decision; until then it is not asked again."""
        self._unheard: set[str] = set()
        """Who has yet to hear of a policy that has landed."""
        self._awaiting: dict[str, _Look] = {}
        """Who waits for the planner's policy before it looks (jittered runs)."""
        self._told = _Told()
        self._settled: dict[str, _Settled] = {}
        """Node to what its deployment agent decided last, where that left everything as it was."""
        self._came_in = ""
        """Why these loops have yet to look for the first time; empty: they have, or began with the run."""
        self._over = False
        """Another scheme is in force: what is still out is voided, and nobody looks again."""

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

    # -- when they look -----------------------------------------------------------------------------------

    def slot(self, slot: int) -> None:
        """A slot begins: the planner looks at an epoch boundary, then the loops below it."""
        came_in, self._came_in = self._came_in, ""
        if self._hearing.jittered:
            self._count(slot)
        self._look(_Look(slot, self._kernel.now_s, came_in))

    def _first_look(self, slot: int) -> None:
        came_in, self._came_in = self._came_in, ""
        if came_in and not self._over:  # else a slot began at this very instant
            self._look(_Look(slot, self._kernel.now_s, came_in, boundary=False))

    def _look(self, look: _Look) -> None:
        if self._control.planner is None or (look.slot % self._scenario.epoch_slots and not look.came_in):
            self._lower(look)
        else:
            self._hearing.look(self._plan, look, f"look:{PLANNER}")

    def _plan(self, look: _Look) -> None:
        now_s, scenario, planner = self._kernel.now_s, self._scenario, self._control.planner
        if planner is not None and PLANNER not in self._out and not self._over:
            epoch, past = divmod(look.slot, scenario.epoch_slots)
            snapshot = self._snapshot(look.slot, reset=past == 0 and look.boundary)
            self._decided(PLANNER, planner.observe(snapshot, look.came_in or f"epoch {epoch}"))
        if self._hearing.jittered and now_s > 0 and (PLANNER in self._out or self._unheard):
            self._await_policy(look)
            return
        late_s = self._out[PLANNER][0] - now_s if PLANNER in self._out else 0.0
        grace_s = min(late_s, PLANNER_GRACE_SHARE * scenario.slot_s)
        if grace_s > 0:
            self._kernel.at(now_s + grace_s, LANDING, self._lower, look)
        else:
            self._lower(look)

    def _await_policy(self, look: _Look) -> None:
        """Each of those below the planner looks when it has heard of the policy, or when its patience is over."""
        self._awaiting = dict.fromkeys(self._followers(), look)
        until_s = look.since_s + PLANNER_GRACE_SHARE * self._scenario.slot_s
        self._kernel.at(max(until_s, self._kernel.now_s), LANDING, self._wait_no_longer, look)

    def _wait_no_longer(self, look: _Look) -> None:
        for actor in [a for a, awaited in self._awaiting.items() if awaited is look]:
            self._go_on(actor)

    def _go_on(self, actor: str) -> None:
        look = self._awaiting.pop(actor, None)
        if look is not None:
            self._begin(actor, look)

    def _lower(self, look: _Look) -> None:
        """Scheduler and deployment agents; after the planner where that looks too, if it is not too late."""
        if self._control.scheduler is not None:
            self._begin(SCHEDULER, look)
        if self._await_dispatch:
            self._kernel.at(self._kernel.now_s, DISPATCHED, self._deployers, look)
        else:
            self._deployers(look)

    def _deployers(self, look: _Look) -> None:
        jittered = self._hearing.jittered
        for node_id in self._control.deployers:
            if jittered:
                self._begin(DEPLOYER + node_id, look)
            else:
                self._deploy((node_id, look))

    def _begin(self, actor: str, look: _Look) -> None:
        """One of those below the planner looks, a deployment agent that awaits dispatch only once the run has begun,
        and (jittered runs) so long after the begin of a slot as a live one; one that came in does not."""
        if actor == SCHEDULER:
            self._hearing.look(self._schedule, look, f"look:{SCHEDULER}")
        else:
            of, lag_s = (actor.removeprefix(DEPLOYER), look), self._lag_s
            since_s = look.since_s - (lag_s if look.came_in else 0.0)
            self._hearing.look(self._deploy, of, f"look:{actor}", lag_s > 0, lag_s, since_s)

    def _schedule(self, look: _Look) -> None:
        scheduler = self._control.scheduler
        assert scheduler is not None
        if SCHEDULER not in self._out and not self._over:
            self._decided(SCHEDULER, scheduler.observe(self._snapshot(look.slot, reset=False), look.cause))

    def _deploy(self, of: tuple[str, _Look]) -> None:
        node_id, look = of
        actor = DEPLOYER + node_id
        node, now_s = self._nodes[node_id], self._kernel.now_s
        if not node.available or actor in self._out or self._over:
            return
        settled = self._settled.get(node_id)
        if settled is not None and (settled.blind or settled.version == node.version):
            # It would see the same, or not care, and so decide the same.
            if settled.blind:
                node.sync(now_s)
            if self._ledger.records:
                again = replace(settled.decision, cause=look.cause, decided_at_s=now_s)
                self._ledger.decide(again, now_s, settled.outcome, settled.refused, 0)
        else:
            self._decided(actor, self._control.deployers[node_id].observe(node.view(now_s), look.cause))

    # -- what they see --------------------------------------------------------------------------------------

    def _snapshot(self, slot: int, reset: bool) -> ClusterSnapshot:
        now_s = self._kernel.now_s
        views = tuple(node.view(now_s) for node in self._nodes.values())
        return ClusterSnapshot(now_s, slot, views, self._window(slot, reset))

    def _count(self, slot: int) -> None:
        """A slot begins: whoever looks late is told of what was counted until now, as in a live run."""
        now_s = self._kernel.now_s
        resets = slot % self._scenario.epoch_slots == 0 and PLANNER not in self._out
        planner = None
        if resets and self._control.planner is not None:
            planner = self._ledger.window(now_s, reset=True)
        self._told = _Told(slot, planner, self._ledger.window(now_s))

    def _window(self, slot: int, reset: bool) -> Window:
        told = self._told.planner if reset else self._told.scheduler
        if told is not None and slot == self._told.slot:
            return told
        return self._ledger.window(self._kernel.now_s, reset)

    # -- what they decided ------------------------------------------------------------------------------------

    def _decided(self, actor: str, decision: Decision | None) -> None:
        """Let a decision land when its thinking is over; before a run begins there is time to think."""
        if decision is None:
            return
        delay_s = decision.thinking_s if self._kernel.now_s > 0 else 0.0
        delay_s += self._hearing.late_s(decision.actor)
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
            before = node.retargeted
            refused = node.configure(command, self._kernel.now_s)
            changes = node.retargeted - before
            self._settle(node)
            self._keep(node, decision, tuple(refused), changes)
        elif isinstance(command, RouteGuide):
            self._hearing.tell(self._guide, command, "guide")
        elif isinstance(command, MacroPolicy):
            self._settled.clear()
            self._hearing.tell(self._policy, command, "policy")
            for actor, loop in self._followers().items():
                self._unheard.add(actor)
                self._hearing.tell(self._accept, (actor, loop, command), f"policy, {actor}", f"heard:{actor}")
        outcome = "voided" if refused else "applied"
        self._ledger.decide(decision, self._kernel.now_s, outcome, tuple(refused), changes)

    def _guide(self, guide: RouteGuide) -> None:
        self._fast_path.guide(guide)
        self._wake()

    def _policy(self, policy: MacroPolicy) -> None:
        self._fast_path.policy(policy)
        self._wake()

    def _followers(self) -> dict[str, PolicyObserver[Any]]:
        """Whoever works under the planner's policy, in the order in which they look."""
        found: dict[str, PolicyObserver[Any]] = {}
        if self._control.scheduler is not None:
            found[SCHEDULER] = self._control.scheduler
        for node_id, deployer in self._control.deployers.items():
            found[DEPLOYER + node_id] = deployer
        return found

    def _accept(self, of: tuple[str, PolicyObserver[Any], MacroPolicy]) -> None:
        actor, loop, policy = of
        loop.accept(policy)
        self._unheard.discard(actor)
        self._go_on(actor)

    def _keep(self, node: NodeState, decision: Decision, refused: tuple[str, ...], changes: int) -> None:
        """Remember what an agent that repeats itself would decide again as long as the node stays as it is."""
        loop = self._control.deployers[node.id]
        at_once = decision.decided_at_s == self._kernel.now_s and not self._hearing.jittered
        as_chosen = not decision.violations and not decision.exchanges
        blind = changes == 0 and not refused and loop.blind
        still = blind or (changes == 0 and node.next_s() == inf)
        if at_once and as_chosen and still and loop.repeats:
            self._settled[node.id] = _Settled(node.version, blind, decision, refused)
        else:
            self._settled.pop(node.id, None)
