"""Whatever scheme is switched to, and whenever: nobody is lost, and what went out decides no more."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controller.schemes import SCHEMES
from edgebed.runs.virtual import simulate_in_memory
from emulation.domain.records import DecisionRecord
from emulation.domain.scenario import Scenario
from emulation.metrics.evidence import fault_ledger
from emulation.metrics.switches import switches_of
from emulation.recording import Run
from tests.build.random_scenarios import HORIZON_S, scenarios

ON_DEVICES = sorted(
    name for name, row in SCHEMES.items() if row.paper == "E3" or row.router == "least_backlog"
)
ON_PODS = sorted(set(SCHEMES) - {"e3-nnls"})
REASONS = [HealthCheck.too_slow, HealthCheck.data_too_large]


@st.composite
def switched(draw: st.DrawFn) -> tuple[Scenario, str]:
    """A random scenario with one to four switches at random times, some of them undone, some at one instant."""
    scenario, scheme = draw(scenarios())
    pods = any(n.hosting == "pods" for n in scenario.testbed.nodes)
    times = st.integers(0, int(HORIZON_S)).map(lambda half: half * 0.5)
    some: list[dict[str, Any]] = []
    for _ in range(draw(st.integers(1, 4))):
        at_s = draw(times)
        to = draw(st.sampled_from(ON_PODS if pods else ON_DEVICES))
        until_s = draw(st.sampled_from((None, at_s + 3.0, at_s + 20.0)))
        some.append(
            {"kind": "scheme", "to": to, "at_s": at_s, **({} if until_s is None else {"until_s": until_s})}
        )
    plan = [*(e.model_dump() for e in scenario.events), *some]
    gateways = draw(st.sampled_from((1, 1, 2)))
    changed = {**scenario.model_dump(), "events": plan, "live": {"gateways": gateways}}
    return Scenario.model_validate(changed), scheme


def lines(run: Run) -> bytes:
    """All that a run recorded."""
    kinds = (run.requests, run.decisions, run.events, run.executors)
    return b"\n".join(orjson.dumps(line) for kind in kinds for line in kind)


def of_loops(run: Run) -> list[DecisionRecord]:
    """Decisions of planner, scheduler and deployment agents."""
    return [d for d in run.decisions if d.actor not in ("router", "meta")]


@pytest.mark.slow
@given(switched())
@settings(max_examples=10, deadline=None, suppress_health_check=REASONS, derandomize=True)
def test_nobody_is_lost_and_what_went_out_decides_no_more(case: tuple[Scenario, str]) -> None:
    scenario, scheme = case
    run = simulate_in_memory(scenario, scheme, 3)
    assert run.footer is not None
    assert run.footer.conserved()
    assert len(run.requests) == sum(run.footer.arrived.values())
    for switch in switches_of(run):
        landed = [d for d in of_loops(run) if d.landed_s is not None and d.landed_s > switch.t_s]
        assert all(d.t_s >= switch.t_s for d in landed), "what was still out is voided"
    rows = fault_ledger(run, scenario.events)
    assert all(row.landed is not False for row in rows if row.type == "scheme")


@given(switched())
@settings(max_examples=3, deadline=None, suppress_health_check=REASONS, derandomize=True)
def test_the_same_switches_give_the_same_bytes(case: tuple[Scenario, str]) -> None:
    scenario, scheme = case
    assert lines(simulate_in_memory(scenario, scheme, 3)) == lines(simulate_in_memory(scenario, scheme, 3))
