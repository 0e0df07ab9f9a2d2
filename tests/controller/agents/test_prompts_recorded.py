"""The system prompt that a model was sent stands in the record of every agent that asked one, once."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from edgebed.runs.virtual import simulate, simulate_in_memory
from edgebed.wiring.reasoners import with_reasoner
from emulation.domain.scenario import Scenario
from emulation.files import load_scenario
from emulation.recording import JsonlSink, Run
from tests.build.meta import SEMANTIC, pool
from tests.build.server_script import ScriptedServer, said, serving

RUNS: dict[str, Scenario] = {
    "MA": load_scenario("demo").model_copy(update={"slots": 8, "tail_slots": 0}),
    "e3": pool(SEMANTIC[:2], tasks=60),
}


def exchanges(run: Run) -> list[dict[str, Any]]:
    """Of every agent and meta-controller, in order."""
    return [d.choice["exchange"] for d in run.decisions if d.actor != "router" and "exchange" in d.choice]


def ran(scheme: str, folder: Any) -> tuple[Run, ScriptedServer]:
    """A run in which a model picks the first option of every menu, and what its server saw."""
    with serving(ScriptedServer(lambda body, before: said('{"choice": 1}'))) as server:
        openai = {"base_url": server.url, "model": "m"}
        controllers = {**RUNS[scheme].controllers, "agents": {"openai": openai}, "meta": {"openai": openai}}
        scenario = RUNS[scheme].model_copy(update={"controllers": controllers})
        scenario = with_reasoner(scenario, "openai", "choice")
        sink = JsonlSink(folder / scheme / "seed-0")
        simulate(scenario, scheme, 0, sink)
        sink.close()
        return simulate_in_memory(with_reasoner(scenario, f"replay:{folder}"), scheme, 0), server


@pytest.mark.slow
@pytest.mark.parametrize("scheme", RUNS)
def test_every_agent_that_asked_a_model_has_its_system_prompt_once_and_so_has_its_replay(
    scheme: str, tmp_path: Any
) -> None:
    again, server = ran(scheme, tmp_path)
    recorded = exchanges(again)
    askers = {one["agent"] for one in recorded if "served" in one}
    told = [one for one in recorded if "system" in one]
    assert askers
    assert Counter(one["agent"] for one in told) == Counter(askers)
    assert {one["system"] for one in told} == {body["messages"][0]["content"] for body in server.seen}
    assert b'"system":' in (tmp_path / scheme / "seed-0" / "record.jsonl").read_bytes()
