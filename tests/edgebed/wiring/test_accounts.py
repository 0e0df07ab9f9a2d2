"""What agents may spend is of a run, whatever schemes decide in it one after the other."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from typing import Any

import pytest

from edgebed.runs.virtual import simulate_in_memory
from edgebed.wiring.switching import LiveSchemes
from emulation.domain.scenario import Scenario
from emulation.files import load_scenario
from tests.build.meta import NAMES, SEMANTIC, pool
from tests.build.server_script import ScriptedServer, said, serving


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with serving(ScriptedServer(lambda body, before: said("no"))) as server:
        yield server


def _openai(server: ScriptedServer) -> dict[str, Any]:
    return {"base_url": server.url, "model": "m", "attempts": 1, "max_calls": 1}


def _demo(server: ScriptedServer) -> Scenario:
    """The demo, switched away from its scheme and back."""
    demo = load_scenario("demo").model_dump()
    demo |= {"slots": 8, "epoch_slots": 8}
    agents = {"planner": "openai", "answers": "free", "repairs": 0, "openai": _openai(server)}
    events = [{"kind": "scheme", "to": "AL", "at_s": 37.0, "until_s": 45.0}]
    return Scenario.model_validate(
        {
            **demo,
            "events": events,
            "controllers": {"search": {"shortlist": 0}, "agents": agents},
        }
    )


@pytest.mark.slow
def test_a_budget_is_of_the_run_and_not_of_the_scheme_that_comes_in(server: ScriptedServer) -> None:
    run = simulate_in_memory(_demo(server), "MA", 0)
    planned = [d for d in run.decisions if d.actor == "planner" and "exchange" in d.choice]
    failures = [d.choice["exchange"]["failure"] for d in planned]
    assert "switch to MA" in {d.cause for d in planned}
    assert failures[0] is None
    assert set(failures[1:]) == {"budget"}
    assert len(server.seen) == 1


def test_schemes_that_come_in_on_the_same_machine_have_one_account(server: ScriptedServer) -> None:
    meta = {"reasoner": "openai", "answers": "free", "openai": _openai(server)}
    schemes = LiveSchemes("e3", pool(SEMANTIC[:1], controllers={"meta": meta}), 0)
    there: LiveSchemes = pickle.loads(pickle.dumps(schemes))
    failures = []
    for _ in range(2):
        came: Any = pickle.loads(pickle.dumps(there.cast("e3").fast_path))
        came.hinted(NAMES["B60"], ("game",), 1.0)
        failures.append(came.think(came.take_question()).reply.failure)
    assert failures == [None, "budget"]
    assert len(server.seen) == 1
