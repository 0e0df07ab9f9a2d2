"""The sealed table of the live world: request id to the truth that only the executor may know."""

from __future__ import annotations

from collections.abc import Mapping

from emulation.domain.request import Request
from emulation.domain.request_id import client_id_of, scenario_id_of
from emulation.domain.scenario import Scenario
from emulation.domain.truth import RequestTruth
from emulation.rng import stream
from workloads.generate import generate
from workloads.lengths import choose, gamma_noise

AD_HOC_MAX_TOKENS = 256
"""Longest answer to a request that is not of the scenario and states no limit."""


class TruthTable:
    """Looks up the truth of a request by its id, drawn from (seed, request id). Never handed to a decider."""

    def __init__(self, scenario: Scenario, seed: int) -> None:
        self._scenario = scenario
        self._seed = seed
        self._known: Mapping[str, tuple[Request, RequestTruth]] = {
            request.id: (request, truth) for request, truth in generate(scenario, seed).items
        }
        self._seen: dict[str, list[int]] = {}
        for request, truth in self._known.values():
            self._seen.setdefault(request.model, []).append(truth.output_tokens)

    def __contains__(self, request_id: str) -> bool:
        return scenario_id_of(request_id) in self._known

    def truth(
        self, request: Request, max_tokens: int | None = None, ignore_eos: bool = False, min_tokens: int = 0
    ) -> RequestTruth:
        """Truth of a request as it came in over HTTP. What its client calls alike is answered alike.

        A request of the scenario (same id, model, K or input length) gets the truth it was generated with.
        Any other gets a draw from (seed, id): an output length that the scenario's own requests of that model
        have, at least `min_tokens` and at most `max_tokens`. With `ignore_eos` the length is exactly `max_tokens`. All
        answers to one request are equally long.
        """
        known = self._known.get(scenario_id_of(request.id))
        per_prompt = self._scenario.testbed.model(request.model).features == "prompts"
        truth = (
            known[1] if known and _same(known[0], request, per_prompt) else self._drawn(request, per_prompt)
        )
        if per_prompt:
            return truth
        length = truth.output_tokens
        if max_tokens is not None:
            length = max_tokens if ignore_eos else min(length, max_tokens)
        return RequestTruth.drawn(max(length, min_tokens) * request.prompts, truth.noise)

    def _drawn(self, request: Request, per_prompt: bool) -> RequestTruth:
        """A draw of its own; the length is that of one answer."""
        rng = stream(self._seed, f"ad-hoc/{client_id_of(request.id)}")
        cv, prompts = self._scenario.service_cv, request.prompts
        if per_prompt:
            return RequestTruth.drawn(0, gamma_noise(cv, prompts, rng))
        first = gamma_noise(cv, 1, rng)
        length = choose(self._seen.get(request.model) or range(1, AD_HOC_MAX_TOKENS + 1), rng)
        return RequestTruth.drawn(length, [*first, *gamma_noise(cv, prompts - 1, rng)])


def _same(known: Request, request: Request, per_prompt: bool) -> bool:
    """Whether the request is the known one: the features of its own service law decide."""
    alike = known.model == request.model and known.prompts == request.prompts
    return alike and (per_prompt or known.prompt_tokens == request.prompt_tokens)
