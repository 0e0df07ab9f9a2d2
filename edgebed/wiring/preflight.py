"""A look at the language models of a run before it begins: whether they are there, and take what they will be sent."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from controller.agents.client import OpenAiLlm
from controller.agents.config import AgentsConfig
from controller.agents.openai_config import Answers, OpenAiConfig
from controller.agents.reasoner import OPENAI, split_choice
from controller.agents.survey import doubts, look_for_tools
from controller.meta.config import MetaConfig
from edgebed.commands.console import warn
from edgebed.wiring.parts import find_scheme
from edgebed.wiring.reasoners import AGENT_LLM, parameters
from emulation.domain.scenario import Scenario
from emulation.files import ConfigError


def look_at_models(scenario: Scenario, schemes: Sequence[str]) -> None:
    """Ask every model that these schemes will ask one small question, and say what is doubtful about its server.

    A model that the testbed is yet to start is not looked at. Raises `ConfigError` where nobody answers or tools are
    needed and not shown, `ReasonerError` where the model is refused for good.
    """
    _look_at(one for one in asked(scenario, schemes) if one[1].base_url != AGENT_LLM)


def look_at_hosted_model(scenario: Scenario, schemes: Sequence[str]) -> None:
    """The same of the model that the testbed hosts, if these schemes ask it, once it stands. Raises likewise."""
    hosted = scenario.testbed.agent_llm
    if hosted is not None:
        _look_at(one for one in asked(scenario, schemes) if one[1].base_url == hosted.url)


def _look_at(models: Iterable[tuple[str, OpenAiConfig, Answers]]) -> None:
    seen: set[tuple[str, str]] = set()
    for where, openai, answers in models:
        llm = OpenAiLlm(openai.settled())
        place = (llm.config.url_told, llm.model)
        try:
            if place not in seen:
                for doubt in doubts(llm):
                    warn(doubt)
            seen.add(place)
            if where == "meta" and answers == "free":
                look_for_tools(llm)
        except ConnectionError as error:
            raise ConfigError(
                f"reasoner openai: nobody answers at {place[0]} ({error}); start the server, or set"
                " EDGEBED_LLM_BASE_URL"
            ) from error
        if where == "meta" and answers == "free" and not llm.server.shows_tools:
            raise ConfigError(
                f"controllers.meta.answers: free, but {place[1]} at {place[0]} is shown no tools by its chat template;"
                " give --agents-mode choice"
            )


def asked(scenario: Scenario, schemes: Sequence[str]) -> Iterator[tuple[str, OpenAiConfig, Answers]]:
    """Where a model is configured that these schemes ask, how, and in what form it answers."""
    for name in schemes:
        scheme = find_scheme(name)
        if scheme.meta is not None:
            meta = parameters(MetaConfig, "meta", scenario)
            if split_choice(meta.reasoner)[0] == OPENAI:
                yield "meta", meta.openai, meta.answers
        agents = parameters(AgentsConfig, "agents", scenario)
        for role in scheme.agents():
            if split_choice(agents.choice(role))[0] == OPENAI:
                yield role, agents.openai_of(role), agents.answers
