"""A controller on wall time without Ray: deciders that do as they are told, a node, and the recorder's books."""

from __future__ import annotations

import pickle
import threading
from typing import Any

from controller.agents.llm import ReasonerError
from controller.approval import ApprovalConfig
from controller.layer_loops import DeploymentLoop, PlannerLoop
from controller.loop import ControlLoop, LoopConfig
from emulation.domain.actions import Choice, Decision, Exchange, MacroPolicy, NodeConfig
from emulation.domain.ports import DeploymentAgent, GlobalPlanner
from emulation.domain.snapshot import ClusterSnapshot, NodeView, Window
from emulation.executor import NodeState
from emulation.faults import Step
from serve_apps.deciders.control_run import ControlRun
from serve_apps.records.books import unpacked
from serve_apps.wire.clock import LiveClock
from serve_apps.wire.messages import Configured
from tests.build.fakes import pod_testbed
from tests.build.waiting import LONG_S

TESTBED = pod_testbed()
SPEEDUP = 50.0
SLOT_S = 1.0
"""20 ms on the wall."""
EPOCH_SLOTS = 3
LET_GO = threading.Event()
"""What a `Slow` or `Hesitant` decider waits for."""
ASKED = threading.Event()
"""Set by a `Hesitant` one."""


class Told(DeploymentAgent):
    """Everything off; its reason names the role it was given and how its reasoner fails."""

    asks_reasoner = True

    def __init__(self) -> None:
        self._failure: str | None = None

    def decide(self, view: NodeView) -> Choice[NodeConfig]:
        return Choice(NodeConfig(view.id, {}), f"role {view.role}, reasoner {self._failure}")

    def outage(self, failure: str | None) -> None:
        self._failure = failure


class Slow(Told):
    """Thinks until it is let go."""

    def decide(self, view: NodeView) -> Choice[NodeConfig]:
        LET_GO.wait(LONG_S)
        return super().decide(view)


class Pensive(Told):
    """Asks its reasoner, and thinks for longer than any run lasts; but not before the run begins."""

    def decide(self, view: NodeView) -> Choice[NodeConfig]:
        asked = (Exchange({"asked": view.id}, "none"),)
        return Choice(NodeConfig(view.id, {}), "at length", 1e6, exchanges=asked)


class Hesitant(Pensive):
    """Says that it was asked, and answers once it is let go."""

    def decide(self, view: NodeView) -> Choice[NodeConfig]:
        ASKED.set()
        LET_GO.wait(LONG_S)
        return super().decide(view)


class Script(Told):
    """Has so many answers, and no more."""

    def __init__(self, answers: int) -> None:
        super().__init__()
        self._left = answers

    def decide(self, view: NodeView) -> Choice[NodeConfig]:
        if self._left == 0:
            raise ReasonerError("the script has ended")
        self._left -= 1
        return super().decide(view)


class Everywhere(GlobalPlanner):
    """Everything to node `n`, which is to run model a; thinks so many virtual seconds."""

    def __init__(self, thinking_s: float = 0.0) -> None:
        self._thinking_s = thinking_s

    def decide(self, snapshot: ClusterSnapshot) -> Choice[MacroPolicy]:
        return Choice(policy("gpu"), "everything to n", self._thinking_s)


def policy(mode: Any) -> MacroPolicy:
    """Node `n` runs model a in this mode."""
    return MacroPolicy(p={"a": {"n": 1.0}, "b": {"n": 1.0}}, roles={"n": {"a": mode}})


def deployment(agent: DeploymentAgent, approval: ApprovalConfig | None = None) -> DeploymentLoop:
    """The loop of node `n`; `approval`: its reasoner's decisions are held for it."""
    return DeploymentLoop(TESTBED, "n", agent, config=LoopConfig(approval=approval))


def planning(planner: GlobalPlanner) -> PlannerLoop:
    """The planner's loop."""
    return PlannerLoop(TESTBED, planner)


def part(
    loop: ControlLoop[Any, Any, Any] | None,
    follows_planner: bool = False,
    slots: int = 1000,
    dispatch_lag_s: float = 0.0,
) -> ControlRun:
    """What a controller is handed at the begin of run `run`."""
    return ControlRun(
        run_id="run",
        loop=None if loop is None else pickle.dumps(loop),
        clock=LiveClock(SPEEDUP),
        nodes=("n",),
        slot_s=SLOT_S,
        epoch_slots=EPOCH_SLOTS,
        end_s=slots * SLOT_S,
        dispatch_lag_s=dispatch_lag_s,
        follows_planner=follows_planner,
    )


class Node:
    """The runtime of node `n`: tells what it is, and takes what it is told."""

    def __init__(self) -> None:
        self.state = NodeState(TESTBED, "n")
        self.told: list[NodeConfig] = []
        self.steps: list[Step] = []
        self.broken = False
        self.landed_s = 0.0
        """When a step lands, by its own clock."""

    async def telemetry(self) -> NodeView:
        return self.state.view(0.0)

    async def configure(self, config: NodeConfig) -> Configured:
        if self.broken:
            raise RuntimeError("out of order")
        self.told.append(config)
        return Configured(landed_s=0.0, violations=(), changes=0)

    async def inject(self, step: Step) -> float:
        self.steps.append(step)
        return self.landed_s


class Books:
    """A recorder that keeps what it is sent, as it is sent."""

    def __init__(self) -> None:
        self.entries: list[tuple[str, tuple[Any, ...]]] = []
        self._numbers: dict[str, int] = {}
        """Source to the number of the last entry it sent: what is sent again is passed over, as a recorder does."""
        self.parts: dict[str, Any] = {}
        self.left: dict[str, Any] = {}
        """What actors left for their successors."""
        self.counted: list[tuple[int, bool]] = []
        """(slot, whether it was to count anew) of every window that was asked for."""

    async def checkpoint(self, name: str, content: Any) -> None:
        self.left[name] = content

    async def kept(self, name: str) -> Any:
        return self.left.get(name)

    async def append(
        self, run_id: str, source: str, number: int, entries: bytes, slot: int | None = None
    ) -> None:
        fresh = unpacked(entries)
        known = self._numbers.get(source, 0)
        self.entries += fresh[max(0, known + 1 - number) :]
        self._numbers[source] = max(known, number + len(fresh) - 1)

    async def window(self, reset: bool, slot: int) -> Window:
        self.counted.append((slot, reset))
        return Window()

    async def part(self, name: str) -> Any:
        return self.parts.get(name)

    @property
    def decisions(self) -> list[Decision]:
        """Those recorded so far."""
        return [args[0] for method, args in self.entries if method == "decide"]
