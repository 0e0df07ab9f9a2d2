"""The sealed table of the live world: request id to the truth that only the executor may know."""

from __future__ import annotations

from collections.abc import Mapping

from emulation.domain.request import Request
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
        return request_id in self._known

    def truth(
        self, request: Request, max_tokens: int | None = None, ignore_eos: bool = False
    ) -> RequestTruth:
        """Truth of a request as it came in over HTTP. Same id, same answer.

        A request of the scenario (same id, model, K or input length) gets the truth it was generated with.
        Any other gets a draw from (seed, id): an output length that the scenario's own requests of that model
        have, at most `max_tokens`. With `ignore_eos` the length is exactly `max_tokens`.
        """
        known = self._known.get(request.id)
        per_prompt = self._scenario.testbed.model(request.model).features == "prompts"
        truth = (
            known[1] if known and _same(known[0], request, per_prompt) else self._drawn(request, per_prompt)
        )
        if per_prompt:
            return truth
        length = truth.output_tokens
        if max_tokens is not None:
            length = max_tokens if ignore_eos else min(length, max_tokens)
        return RequestTruth.drawn(length, truth.noise)

    def _drawn(self, request: Request, per_prompt: bool) -> RequestTruth:
        rng = stream(self._seed, f"ad-hoc/{request.id}")
        noise = gamma_noise(self._scenario.service_cv, request.prompts if per_prompt else 1, rng)
        if per_prompt:
            return RequestTruth.drawn(0, noise)
        seen = self._seen.get(request.model) or range(1, AD_HOC_MAX_TOKENS + 1)
        return RequestTruth.drawn(choose(seen, rng), noise)


def _same(known: Request, request: Request, per_prompt: bool) -> bool:
    """Whether the request is the known one: the features of its own service law decide."""
    sizes = (known.prompts, request.prompts) if per_prompt else (known.prompt_tokens, request.prompt_tokens)
    return known.model == request.model and sizes[0] == sizes[1]
