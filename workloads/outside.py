"""Sources of requests of other packages: what a class of theirs must give, and what is refused of it.

A source `kind: outside` names the class. What it gives is looked at request by request, in every place where requests
are made (virtual, live, locust): one that breaks a law ends the run with a sentence, for what comes after would be
compared on requests that nobody meant.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from math import inf
from numbers import Integral, Real
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, ValidationError

from emulation.domain.complaints import complaint
from emulation.domain.mistakes import STRANGE, ConfigError, told_of
from emulation.domain.one_request import too_much
from emulation.domain.quantities import Prompts, TenantName, Tokens, TokensOrNone
from emulation.domain.request_kind import Drawn
from emulation.domain.scenario import OutsideSource, Scenario
from emulation.domain.strict import NoParams, Strict
from emulation.outside import find_class
from workloads.sources import Draft, Drafts, Draws

NOUN, GROUP = "request source", "edgebed.workloads"


class RequestSource(ABC):
    """A source of requests of your own.

    All that is random comes from `draws.stream("some name")`, a generator (numpy) that follows from the scenario's
    seed: so every scheme, in both worlds, gets the same requests.
    """

    Config: ClassVar[type[BaseModel]] = NoParams
    """Its parameters, which a scenario has under `settings`; derived from `emulation.domain.cluster.Strict`."""

    def __init__(self, config: Any) -> None:
        self.config = config

    @abstractmethod
    def requests(self, draws: Draws) -> Iterator[Draft]:
        """The requests of a run in order of arrival, each given when it is asked for.

        `draws.draft(arrival_s, model, (1,))` makes one, its lengths and origin drawn; arrivals are virtual seconds in
        [0, `draws.scenario.end_s`). `draws.scenario.testbed` has the models, `draws.origins` the nodes at which
        requests enter. What is left out is counted, `draws.dropped["reason"] += 1`, so that all that was read adds up.
        """


def found(name: str) -> type[RequestSource]:
    """The class of this path or entry point. Raises `ConfigError`."""
    kind: type[RequestSource] = find_class(name, NOUN, GROUP, RequestSource)
    return kind


def made(source: OutsideSource) -> RequestSource:
    """The source, with its parameters. Raises `ConfigError` naming the class and what is wrong."""
    kind = found(source.source)
    try:
        config = kind.Config.model_validate(dict(source.settings))
    except ValidationError as error:
        raise ConfigError(f"{NOUN} {source.source}: settings.{complaint(kind.Config, error)}") from None
    except STRANGE as error:
        raise ConfigError(f"{NOUN} {source.source}: settings: {told_of(error)}") from error
    try:
        return kind(config)
    except ConfigError:
        raise
    except STRANGE as error:
        raise ConfigError(f"{NOUN} {source.source}: {told_of(error)}") from error


def outside(source: OutsideSource, draws: Draws) -> Drafts:
    """What the class gives, each request looked at before it goes on. Raises `ConfigError` for the first that breaks a
    law, for more than `most_requests`, and for whatever the class raises."""
    said, last_s = f"{NOUN} {source.source}", -inf
    given = _given(made(source), draws, said)
    for number, each in enumerate(given):
        if number >= source.most_requests:
            raise ConfigError(
                f"{said}: gives more than {source.most_requests} requests; raise most_requests, or lower its rate"
            )
        try:
            drawn = accepted(each, draws.scenario, last_s)
        except ValueError as error:
            raise ConfigError(f"{said}: request {number} {error}") from None
        last_s = drawn.arrival_s
        yield drawn


def _given(source: RequestSource, draws: Draws, said: str) -> Iterator[Any]:
    try:
        yield from source.requests(draws)
    except ConfigError:
        raise
    except STRANGE as error:
        raise ConfigError(f"{said}: {told_of(error)}") from error


class _Fields(Strict):
    """What a request may have in its fields, in Python's own types."""

    model_config = ConfigDict(strict=True)

    arrival_s: float
    model: str
    origin: str
    prompts: Prompts
    prompt_tokens: TokensOrNone
    output_tokens: TokensOrNone
    max_tokens: Tokens | None
    tenant: TenantName | None


def accepted(given: Any, scenario: Scenario, last_s: float) -> Drawn:
    """A request that may come after one at `last_s` virtual seconds, its fields in Python's own types: numpy's numbers
    cannot be written down. Raises `ValueError` with what is wrong with it."""
    if not isinstance(given, Draft):
        raise ValueError(f"is a {type(given).__name__}; make it by draws.draft(...)")
    try:
        own = {name: _of_python(getattr(given, name)) for name in _Fields.model_fields}
        drawn = Drawn(**dict(_Fields.model_validate(own)))
    except ValidationError as error:
        raise ValueError(f"cannot be sent: {complaint(_Fields, error)}") from None
    wrong = _wrong_with(drawn, scenario, last_s)
    if wrong:
        raise ValueError(wrong)
    return drawn


def _of_python(value: Any) -> Any:
    """A number or text of another kind, such as numpy's, as Python's own; all else, true and false too, as it is."""
    if isinstance(value, Integral) and not isinstance(value, bool):
        return int(value)
    if isinstance(value, Real) and not isinstance(value, bool):
        return float(value)
    return str(value) if isinstance(value, str) else value


def _wrong_with(draft: Drawn, scenario: Scenario, last_s: float) -> str:
    """What is wrong with a request after one at `last_s`; empty if nothing."""
    if not 0 <= draft.arrival_s < scenario.end_s:
        return f"arrives at {draft.arrival_s!r} s, outside the run of {scenario.end_s:g} s"
    if draft.arrival_s < last_s:
        return f"arrives at {draft.arrival_s:g} s, before the one that was given before it, at {last_s:g} s"
    models = {m.id: m for m in scenario.testbed.models}
    if draft.model not in models:
        return f"is for model {draft.model!r}, which the testbed does not have"
    if draft.origin not in {n.id for n in scenario.testbed.nodes}:
        return f"enters at node {draft.origin!r}, which the testbed does not have"
    model = models[draft.model]
    tokens = model.features == "tokens"
    if tokens and (draft.max_tokens is None or not 1 <= draft.output_tokens <= draft.max_tokens):
        return f"has {draft.output_tokens} output tokens of at most {draft.max_tokens}; give 1 to that many"
    refused = too_much(model, draft.prompts, draft.prompt_tokens, draft.max_tokens)
    return f"asks {refused}; a live gateway refuses what is above" if refused else ""


def check_outside(scenario: Scenario) -> None:
    """Raise `ConfigError` for a source of another package that cannot be found or made."""
    for source in scenario.workload:
        if isinstance(source, OutsideSource):
            made(source)
