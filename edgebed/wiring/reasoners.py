"""Who thinks: the reasoners a scenario or the command line names, built from their words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from controller.agents.account import Account
from controller.agents.chooser import Chooser
from controller.agents.client import OpenAiLlm
from controller.agents.config import ROLES, AgentRole, AgentsConfig
from controller.agents.llm import LLM, Form
from controller.agents.openai_config import Answers, OpenAiConfig, missing_settings
from controller.agents.reasoner import OPENAI, RULES, split_choice
from controller.agents.replay import ReplayLlm
from controller.agents.rules import RulesLlm
from controller.agents.scripted import ScriptedLlm
from controller.meta.config import MetaConfig
from controller.meta.menu import MenuLlm
from controller.schemes import Scheme
from edgebed.wiring.parts import find_scheme
from emulation.domain.complaints import complaint
from emulation.domain.events import SchemeSwitch
from emulation.domain.mistakes import STRANGE, told_of
from emulation.domain.scenario import Scenario
from emulation.files import ConfigError
from emulation.recording import RECORD_FILE

AGENT_LLM = "agent_llm"
"""As a `base_url`: the model that the testbed hosts; its name, if none is given."""
ConfigT = TypeVar("ConfigT", bound=BaseModel)


def with_reasoner(scenario: Scenario, choice: str | None, answers: Answers | None = None) -> Scenario:
    """The scenario with this reasoner for every agent and meta-controller, and with this form of a model's answers;
    `None` changes nothing.

    Raises `ConfigError`.
    """
    meta: dict[str, Any] = dict(scenario.controllers.get("meta", {}))
    agents: dict[str, Any] = dict(scenario.controllers.get("agents", {}))
    if choice is None and answers is None:
        return scenario
    if choice is not None:
        try:
            split_choice(choice)
        except ValueError as error:
            raise ConfigError(f"--{error}") from error
        meta |= {"reasoner": choice}
        agents |= dict.fromkeys(ROLES, choice)
    if answers is not None:
        meta |= {"answers": answers}
        agents |= {"answers": answers}
    controllers = {**scenario.controllers, "meta": meta, "agents": agents}
    return scenario.model_copy(update={"controllers": controllers})


def with_approval(scenario: Scenario, approve: bool) -> Scenario:
    """The scenario whose agents' decisions wait for approval, as it says how; without `approve` it is as it was."""
    agents: dict[str, Any] = dict(scenario.controllers.get("agents", {}))
    if not approve:
        return scenario
    agents["approve"] = agents.get("approve") or {}
    return scenario.model_copy(update={"controllers": {**scenario.controllers, "agents": agents}})


def agents_that_ask(scenario: Scenario, scheme: str) -> tuple[AgentRole, ...]:
    """The roles of this scheme in which a reasoner that is not the rules decides."""
    agents = parameters(AgentsConfig, "agents", scenario)
    return tuple(r for r in find_scheme(scheme).agents() if split_choice(agents.choice(r))[0] != RULES)


def parameters(
    cls: type[ConfigT], name: str, scenario: Scenario, defaults: Mapping[str, Any] | None = None
) -> ConfigT:
    """What the scenario sets under `controllers.<name>`, over the defaults.

    Raises `ConfigError` naming the field, the value and what it may be.
    """
    try:
        return cls.model_validate({**(defaults or {}), **scenario.controllers.get(name, {})})
    except ValidationError as error:
        said = complaint(cls, error, root=f"controllers.{name}")
        raise ConfigError(f"scenario {scenario.name!r}: {said}") from error
    except STRANGE as error:  # a validator of somebody else's
        raise ConfigError(f"scenario {scenario.name!r}: controllers.{name}: {told_of(error)}") from error


def reasoner_label(scheme: Scheme, scenario: Scenario) -> str:
    """What thinks in this scheme on this scenario, for every table: one word, or one per role where they differ."""
    labels = _labels(scheme, scenario)
    if not labels:
        return scheme.reasoner
    most, count = Counter(labels.values()).most_common(1)[0]
    if count == len(labels):
        return most
    apart = [f"{role} {label}" for role, label in labels.items() if count == 1 or label != most]
    return ", ".join(apart if count == 1 else [*apart, f"others {most}"])


def check_reasoner(scheme: Scheme, scenario: Scenario, live: bool) -> None:
    """See that a language model can be asked, and charged for its thinking.

    Raises `ConfigError` where a run that is not live is to ask the model of a live testbed, and where a live one would
    think faster or slower than virtual time goes (it forces speedup 1).
    """
    if OPENAI not in _labels(scheme, scenario).values():
        return
    if not live and (asking := asks_agent_llm(scenario)):
        raise ConfigError(
            f"scenario {scenario.name!r}: controllers.{asking[0]}.openai.base_url = {AGENT_LLM!r} is the model that a"
            " live testbed hosts; for other runs give the URL that `edgebed up` says"
        )
    if live and scenario.live.speedup != 1.0:
        raise ConfigError(
            f"reasoner openai thinks in real seconds: it needs --speedup 1, not {scenario.live.speedup:g}"
        )


def asks_agent_llm(scenario: Scenario) -> list[str]:
    """The controllers whose `openai` is the model that the testbed hosts."""
    given = {name: scenario.controllers.get(name, {}).get("openai") for name in ("meta", "agents")}
    return [
        n
        for n, openai in given.items()
        if isinstance(openai, Mapping) and openai.get("base_url") == AGENT_LLM
    ]


def _labels(scheme: Scheme, scenario: Scenario) -> dict[str, str]:
    """Role to what thinks in it; empty for a scheme in which nothing does."""
    labels: dict[str, str] = {}
    if scheme.meta is not None:
        labels["meta"] = split_choice(parameters(MetaConfig, "meta", scenario).reasoner)[0]
    agents = parameters(AgentsConfig, "agents", scenario)
    return labels | {role: split_choice(agents.choice(role))[0] for role in scheme.agents()}


def make_reasoner(config: MetaConfig, scheme: Scheme, seed: int, account: Account) -> LLM:
    """The meta-controller's reasoner, and `account` what it spends. Raises `ConfigError` for what is missing: a file, a
    model's name."""
    label = split_choice(config.reasoner)[0]
    if label == RULES:
        return RulesLlm(config)
    llm = make_llm(config.reasoner, config.openai, scheme, seed, "meta", account)
    chooses = form_of(config.answers, llm, "meta") == "choice"
    return MenuLlm(llm, config, seed) if chooses and label != "replay" else llm


def form_of(answers: Answers, llm: LLM, agent: str) -> Form:
    """In what form an agent's questions are put to its reasoner."""
    return llm.form(agent) if answers == "auto" else answers


def make_llm(
    choice: str, openai: OpenAiConfig, scheme: Scheme, seed: int, agent: str, account: Account
) -> LLM:
    """A reasoner that is not `rules`. Raises `ConfigError` for what is missing: a file, a model's name.

    `account`: what the agents of the run spend together. Where the model is, is settled here, so that it holds in
    whatever process the reasoner is used; the key is not: every process reads it from its own environment.
    """
    label, file = split_choice(choice)
    if label == OPENAI:
        if openai.base_url == AGENT_LLM:
            openai = openai.model_copy(update={"model": openai.model or AGENT_LLM})
        if missing := missing_settings(openai):
            raise ConfigError(f"reasoner openai: set {' and '.join(missing)} in the environment")
        return OpenAiLlm(openai.settled(), account)
    if label in ("first", "random"):
        return Chooser(label, agent, seed)
    try:
        if label == "scripted":
            return ScriptedLlm.read(Path(file))
        recording = _recording(Path(file), scheme.name, seed)
        if Path(file).is_dir() and not recording.exists():
            raise ValueError(f"holds no run of {scheme.name} with seed {seed}, and is no run's folder itself")
        return ReplayLlm.read(recording)
    except (OSError, ValueError) as error:
        raise ConfigError(f"reasoner {choice}: {error}") from error


def asks_model(scenario: Scenario, scheme: str) -> bool:
    """Whether a run that begins with this scheme asks a language model, be it after a switch."""
    ahead = (event.to for event in scenario.events if isinstance(event, SchemeSwitch))
    return any(OPENAI in _labels(find_scheme(name), scenario).values() for name in (scheme, *ahead))


def seeds_apart(scheme: Scheme, scenario: Scenario, seeds: Sequence[int]) -> Sequence[int]:
    """The seeds whose controllers must each be built to know whether they can be: all where a recording is replayed,
    of which each seed has its own; else the first tells for the others."""
    return seeds if "replay" in _labels(scheme, scenario).values() else seeds[:1]


def replaying_run_of(scenario: Scenario, own: str, seed: int) -> Scenario:
    """The scenario for a scheme that comes into a run which began with `own`: what it was asked then is in that run's
    record."""
    controllers = dict(scenario.controllers)
    for name, roles in (("meta", ("reasoner",)), ("agents", ROLES)):
        given = dict(controllers.get(name, {}))
        for role in roles:
            label, _, file = str(given.get(role, "")).partition(":")
            if label == "replay":
                given[role] = f"{label}:{_recording(Path(file), own, seed)}"
        if given:
            controllers[name] = given
    return scenario.model_copy(update={"controllers": controllers})


def _recording(path: Path, scheme: str, seed: int) -> Path:
    """The record to replay: a file, a run's folder, or this scheme's and seed's run in a comparison's folder."""
    if not path.is_dir():
        return path
    own = path / scheme.replace("/", "_") / f"seed-{seed}" / RECORD_FILE
    return own if own.exists() else path / RECORD_FILE
