"""Several gateways in virtual time: one of each is as without, stale views cost, and nothing gets lost."""

from __future__ import annotations

from math import inf
from typing import Any

import pytest

from edgebed.runs.virtual import simulate_in_memory
from emulation.domain.actions import RoutingDecision
from emulation.domain.measured import Measured
from emulation.domain.ports import Completion
from emulation.domain.request import Request
from emulation.domain.scenario import Scenario
from emulation.engine.gateways import Gateways
from emulation.files import load_scenario

NEVER_S = 1e6


class Path:
    """A fast path that takes down what it is told, and when."""

    meta = None

    def __init__(self) -> None:
        self.told: list[tuple[str, str, float]] = []

    def route(self, request: Request, now_s: float) -> RoutingDecision:
        return RoutingDecision("d0", "route", "", predicted_s=7.0)

    def dispatched(self, request: Request, decision: RoutingDecision, now_s: float) -> None:
        self.told.append(("sent" if decision.predicted_s else "foreign", request.id, now_s))

    def completed(self, completion: Completion) -> None:
        self.told.append(("over", completion.request.id, completion.ended_s))


def scenario(name: str, **live: Any) -> Scenario:
    found = load_scenario(name)
    changed = found.live.model_copy(update={"speedup": 1.0, **live})
    return found.model_copy(update={"live": changed})


def test_a_gateway_knows_its_own_at_once_and_the_others_later() -> None:
    paths = [Path(), Path()]
    gateways = Gateways(paths, 2.0)  # type: ignore[arg-type]
    requests = [Request(f"r{n}", "m", "d0", 0.0, inf) for n in range(20)]
    for number, request in enumerate(requests):
        now_s = float(number)
        gateways.dispatched(request, gateways.route(request, now_s), now_s)
        gateways.completed(Completion(request, "d0", "done", now_s + 0.5, Measured()))
    for path, other in (paths, paths[::-1]):
        own = {r: t for what, r, t in path.told if what == "sent"}
        late = {r: t for what, r, t in other.told if what == "foreign"}
        assert len(own) >= 5
        assert late
        assert all(t == own[r] + 2.0 for r, t in late.items())
        assert [t for _, _, t in path.told] == sorted(t for _, _, t in path.told)


@pytest.mark.parametrize("scheme", ["e3", "sect", "round-robin", "oracle"])
def test_every_request_ends_once_however_many_gateways_there_are(scheme: str) -> None:
    one = simulate_in_memory(scenario("e3-churn"), scheme, 0)
    four = simulate_in_memory(scenario("e3-churn", gateways=4, gateway_news_s=5.0), scheme, 0)
    assert len(one.requests) == len(four.requests) > 0
    assert four.footer is not None
    assert sum(four.footer.arrived.values()) == sum(n for m in four.footer.ends.values() for n in m.values())


def test_views_that_never_meet_cost_latency_and_fresh_ones_hardly_any() -> None:
    def mean_s(**live: Any) -> float:
        runs = [simulate_in_memory(scenario("e3-basic", **live), "e3-prior", seed) for seed in range(3)]
        found = [r.ended_s - r.intended_s for run in runs for r in run.requests if r.counted]
        return sum(found) / len(found)

    alone_s = mean_s()
    assert mean_s(gateways=4, gateway_news_s=0.01) == pytest.approx(alone_s, rel=0.02)
    assert mean_s(gateways=4, gateway_news_s=NEVER_S) > 1.1 * alone_s


def test_a_request_comes_to_the_gateway_that_is_said() -> None:
    paths = [Path(), Path()]
    gateways = Gateways(paths, 2.0, {f"r{n}": 1 for n in range(10)})  # type: ignore[arg-type]
    for number in range(10):
        request = Request(f"r{number}", "m", "d0", 0.0, inf)
        gateways.dispatched(request, gateways.route(request, 0.0), 0.0)
    assert [len(path.told) for path in paths] == [0, 10]


def test_the_same_seed_gives_the_same_run() -> None:
    runs = [
        simulate_in_memory(scenario("demo", gateways=3, gateway_news_s=1.0), "sect", 4).requests
        for _ in range(2)
    ]
    assert runs[0] == runs[1]
