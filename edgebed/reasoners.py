"""Who thinks: the reasoner a scenario or the command line names, built from its word."""

from __future__ import annotations

from pathlib import Path

from controller.agents.llm import LLM, OpenAiLlm, missing_settings
from controller.agents.reasoner import OPENAI, ReasonerLabel, split_choice
from controller.agents.replay import ReplayLlm
from controller.agents.rules import RulesLlm
from controller.agents.scripted import ScriptedLlm
from controller.meta.config import MetaConfig
from controller.schemes import Scheme
from emulation.domain.scenario import Scenario
from emulation.files import ConfigError
from emulation.recording import RECORD_FILE


def with_reasoner(scenario: Scenario, choice: str | None) -> Scenario:
    """The scenario with another reasoner for its meta-controllers; `None` changes nothing. Raises `ConfigError`."""
    if choice is None:
        return scenario
    try:
        split_choice(choice)
    except ValueError as error:
        raise ConfigError(f"--{error}") from error
    meta = {**scenario.controllers.get("meta", {}), "reasoner": choice}
    return scenario.model_copy(update={"controllers": {**scenario.controllers, "meta": meta}})


def reasoner_label(scheme: Scheme, scenario: Scenario) -> ReasonerLabel:
    """What thinks in this scheme on this scenario, for every table."""
    if scheme.meta is None:
        return scheme.reasoner
    return split_choice(scenario.controllers.get("meta", {}).get("reasoner", MetaConfig().reasoner))[0]


def check_reasoner(scheme: Scheme, scenario: Scenario, live: bool) -> None:
    """Raise `ConfigError` where a live model could not be charged for its thinking: live, it forces speedup 1."""
    if live and reasoner_label(scheme, scenario) == OPENAI and scenario.live.speedup != 1.0:
        raise ConfigError(
            f"reasoner openai thinks in real seconds: it needs --speedup 1, not {scenario.live.speedup:g}"
        )


def make_reasoner(config: MetaConfig, scheme: Scheme, seed: int) -> LLM:
    """The reasoner of one run. Raises `ConfigError` for what is missing: a file, a model's name."""
    label, file = split_choice(config.reasoner)
    if label == "openai":
        if missing := missing_settings(config.openai):
            raise ConfigError(f"reasoner openai: set {' and '.join(missing)} in the environment")
        return OpenAiLlm(config.openai)
    try:
        if label == "scripted":
            return ScriptedLlm.read(Path(file))
        if label == "replay":
            return ReplayLlm.read(_recording(Path(file), scheme, seed))
    except (OSError, ValueError) as error:
        raise ConfigError(f"reasoner {config.reasoner}: {error}") from error
    return RulesLlm(config)


def _recording(path: Path, scheme: Scheme, seed: int) -> Path:
    """The record to replay: a file, a run's folder, or this scheme's and seed's run in a comparison's folder."""
    if not path.is_dir():
        return path
    own = path / scheme.name.replace("/", "_") / f"seed-{seed}" / RECORD_FILE
    return own if own.exists() else path / RECORD_FILE
