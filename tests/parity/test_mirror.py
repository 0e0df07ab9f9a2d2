"""The live oracle's mirror knows what the virtual oracle knows: given the same requests it decides alike."""

from __future__ import annotations

import pickle

import pytest

from edgebed.runs.virtual import simulate_in_memory
from edgebed.wiring.controllers import build_controllers
from edgebed.wiring.parts import find_scheme
from emulation.domain.events import Leave, Slowdown
from emulation.files import ConfigError, load_scenario


@pytest.mark.parametrize("scheme", ["oracle", "oracle-safe"])
def test_a_mirror_decides_like_the_oracle_of_the_virtual_world(scheme: str) -> None:
    events = (
        Slowdown(node="LLM#1", factor=3.0, at_s=100, until_s=300),
        Leave(node="SD#0", at_s=200, until_s=400, in_flight="requeue"),
    )
    scenario = load_scenario("e3-basic").model_copy(update={"events": events, "service_cv": 0.2})
    run = simulate_in_memory(scenario, scheme, 1)
    live = pickle.loads(pickle.dumps(build_controllers(find_scheme(scheme), scenario, 1).fast_path))
    from workloads.generate import generate

    requests = {request.id: request for request, _ in generate(scenario, 1).items}
    away: list[tuple[float, str]] = [(200.0, "away"), (400.0, "ready")]
    seen = 0
    for decision in run.decisions:
        while away and away[0][0] <= decision.t_s:
            live.executor_changed("SD#0", away.pop(0)[1], "gpu", decision.t_s, decision.t_s)
        request = requests[str(decision.request_id)]
        found = live.route(request, decision.t_s)
        if decision.actor == "router" and found.executor is not None:
            assert found.executor == decision.choice
            live.dispatched(request, found, decision.t_s)
            seen += 1
    assert seen >= len(requests)


def test_a_live_oracle_needs_devices() -> None:
    with pytest.raises(ConfigError, match="devices only"):
        build_controllers(find_scheme("oracle"), load_scenario("demo"), 1)
