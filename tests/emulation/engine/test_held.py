"""A request that is held is routed again whenever something lands that may let it through, as live."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from emulation.domain.actions import MacroPolicy, RouteGuide, RoutingDecision
from emulation.domain.records import DecisionRecord
from emulation.domain.request import Request
from emulation.domain.truth import RequestTruth
from emulation.engine.control import ControlPlane
from tests.build.fakes import FixedRoute, device_testbed, request, scenario, simulate
from tests.build.loops import Says, limit

SLOT_S = 10.0
THINKS_S = 4.0


class Gate(FixedRoute):
    """A fast path that holds every request until it is opened."""

    def __init__(self, opens: Callable[[Any], bool] = lambda command: False) -> None:
        super().__init__("d0")
        self._opens = opens
        self.open = False

    def route(self, request: Request, now_s: float) -> RoutingDecision:
        return super().route(request, now_s) if self.open else RoutingDecision(None, "hold", "closed")

    def policy(self, policy: MacroPolicy) -> None:
        self.open = self._opens(policy)

    def guide(self, guide: RouteGuide) -> None:
        self.open = self._opens(guide)


def dispatched_s(gate: Gate, control: ControlPlane, **changes: object) -> float | None:
    """When a request was dispatched that came at 3 s."""
    given = scenario(device_testbed(), horizon_s=10 * SLOT_S, epoch_slots=2, **changes)
    (record,) = simulate(given, [(request(0, 3.0), RequestTruth())], gate, control).requests
    return record.dispatched_s


def test_a_policy_that_raises_the_limit_lets_it_through_as_it_lands() -> None:
    gate = Gate(lambda policy: policy.admission_limit_s["m"] > 1.0)
    planner = Says("planner", limit(1.0), limit(9.0), thinking_s=THINKS_S)
    assert dispatched_s(gate, ControlPlane(planner)) == 2 * SLOT_S + THINKS_S


def test_a_guide_that_no_longer_masks_lets_it_through_as_it_lands() -> None:
    gate = Gate(lambda guide: not guide.masked)
    masked = RouteGuide(masked=frozenset({"d0"}))
    scheduler = Says("scheduler", masked, RouteGuide(), thinking_s=THINKS_S)
    assert dispatched_s(gate, ControlPlane(scheduler=scheduler)) == SLOT_S + THINKS_S


class Patient(FixedRoute):
    """A fast path that holds a request for seven seconds, and each time names a moment two and a half away."""

    def __init__(self) -> None:
        super().__init__("d0")
        self.looked_s: list[float] = []

    def route(self, request: Request, now_s: float) -> RoutingDecision:
        self.looked_s.append(now_s)
        if now_s < request.arrival_s + 7.0:
            return RoutingDecision(None, "hold", "later", again_s=2.5)
        return super().route(request, now_s)


def test_of_the_moments_that_a_route_named_the_latest_counts() -> None:
    """A guide lands every two seconds, and each time the request is looked at then, and its moment named anew."""
    path, given = Patient(), scenario(device_testbed(), horizon_s=20.0)
    simulate(
        given,
        [(request(0, 1.0), RequestTruth())],
        path,
        ControlPlane(scheduler=Says("scheduler", RouteGuide())),
    )
    assert path.looked_s == [1.0, 2.0, 4.0, 6.0, 8.0]


@dataclass
class Opens:
    """A meta-controller that opens the gate: by what a hint says itself, or by what its reasoner answers."""

    gate: Gate
    asks: bool
    thinking_s: float = THINKS_S
    asked: bool = False

    def attach(self, notify: Callable[[], None], recorded: bool = True) -> None:
        self.notify = notify

    def hinted(self, device: str, hints: tuple[str, ...], now_s: float) -> None:
        self.gate.open, self.asked = not self.asks, self.asks
        self.notify()

    def outage(self, failure: str | None, now_s: float) -> None:
        pass

    def take_records(self) -> list[DecisionRecord]:
        return []

    def take_question(self) -> str | None:
        asked, self.asked = self.asked, False
        return "open?" if asked else None

    def think(self, question: str) -> Opens:
        return self

    def answered(self, question: str, thought: Opens, now_s: float) -> None:
        self.gate.open = True

    def voided(self, question: str, thought: Opens | None, why: str, now_s: float) -> None:
        pass


def hint_at(t_s: float) -> dict[str, object]:
    """A slowdown that is exposed."""
    return {"kind": "slowdown", "node": "d0", "factor": 2.0, "at_s": t_s, "until_s": t_s + 1, "hint": "game"}


def test_what_a_hint_or_a_tool_lets_through_goes_at_once() -> None:
    for asks, after_s in ((False, 0.0), (True, THINKS_S)):
        gate = Gate()
        sent_s = dispatched_s(gate, ControlPlane(meta=Opens(gate, asks)), events=(hint_at(12.0),))
        assert sent_s == 12.0 + after_s
