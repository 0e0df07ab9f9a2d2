"""Every language model that a scheme will ask is looked at before its run begins."""

from __future__ import annotations

import pytest

from controller.agents.llm import ReasonerError
from controller.schemes import SCHEMES
from edgebed.wiring.preflight import asked, look_at_hosted_model
from edgebed.wiring.reasoners import with_reasoner
from emulation.domain.agent_llm import AgentLlm
from emulation.domain.scenario import Scenario
from tests.build.server_script import ScriptedServer, refused, serving
from tests.build.small import small_scenario

THINKING = [name for name, scheme in SCHEMES.items() if scheme.meta is not None or scheme.agents()]


@pytest.mark.parametrize("name", THINKING)
def test_a_model_is_looked_at_for_everything_in_a_scheme_that_asks_one(name: str) -> None:
    scheme = SCHEMES[name]
    wanted = ([] if scheme.meta is None else ["meta"]) + list(scheme.agents())
    scenario = with_reasoner(small_scenario(), "openai")
    assert [where for where, _, _ in asked(scenario, [name])] == wanted


def test_a_hosted_model_is_looked_at_once_it_stands_and_only_it() -> None:
    with serving(ScriptedServer(lambda body, before: refused(401, "no such key"))) as server:
        port = int(server.url.rpartition(":")[2].split("/")[0])
        testbed = small_scenario().testbed
        agent = AgentLlm(source="here", node=testbed.nodes[0].id, port=port)
        scenario = small_scenario().model_copy(
            update={"testbed": testbed.model_copy(update={"agent_llm": agent})}
        )

        def asking(url: str) -> Scenario:
            agents = {"planner": "openai", "openai": {"base_url": url, "model": "agent_llm"}}
            return scenario.model_copy(update={"controllers": {"agents": agents}})

        look_at_hosted_model(asking("http://127.0.0.1:9/v1"), ["MA"])
        look_at_hosted_model(asking(agent.url), ["AL"])
        assert server.seen == []
        with pytest.raises(ReasonerError, match="401"):
            look_at_hosted_model(asking(agent.url), ["MA"])
