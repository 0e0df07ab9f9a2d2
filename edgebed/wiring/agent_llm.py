"""The agents' model of a live testbed: its port, and the controllers that are to ask it."""

from __future__ import annotations

from controller.agents.server import is_small, size_of
from edgebed.wiring.reasoners import AGENT_LLM, asks_agent_llm
from emulation.domain.scenario import Scenario
from emulation.files import ConfigError
from serve_apps.testbed.agent_llm import checked
from serve_apps.testbed.ports import checked_port


def with_agent_llm(scenario: Scenario) -> Scenario:
    """The scenario as it runs live: where its controllers say `base_url: agent_llm` stands the model's own URL, and how
    it answers where its source tells that it is small: loops may be built before it can be asked.

    Raises `ConfigError` if the testbed hosts none, or the one it describes cannot be started.
    """
    asked = asks_agent_llm(scenario)
    if scenario.testbed.agent_llm is None:
        if asked:
            raise ConfigError(
                f"scenario {scenario.name!r}: controllers.{asked[0]}.openai.base_url = {AGENT_LLM!r}, but its"
                " testbed has no agent_llm; add the section, or give a URL"
            )
        return scenario
    small = is_small(size_of(scenario.testbed.agent_llm.source))
    testbed = checked(scenario.testbed)
    agent = testbed.agent_llm
    assert agent is not None
    if agent.port == 0:
        try:
            agent = agent.model_copy(update={"port": checked_port(agent.host, 0)})
        except ConfigError as error:
            raise ConfigError(f"agent_llm.host: {error}") from error
        testbed = testbed.model_copy(update={"agent_llm": agent})
    controllers = {**scenario.controllers}
    for name in asked:
        openai = {"model": AGENT_LLM, **controllers[name]["openai"], "base_url": agent.url}
        controllers[name] = {**controllers[name], "openai": openai}
        if small and controllers[name].get("answers", "auto") == "auto":
            controllers[name]["answers"] = "choice"
    return scenario.model_copy(update={"testbed": testbed, "controllers": controllers})
