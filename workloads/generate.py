"""A scenario and a seed to requests with their sealed truth: the only place requests are made."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from emulation.domain.request import Request
from emulation.domain.scenario import LengthKnowledge, Scenario
from emulation.domain.truth import RequestTruth
from workloads.lengths import gamma_noise, payload_bytes
from workloads.sources import Draft, Drafted, Draws, burst, periodic, poisson, slotted
from workloads.traces import trace

_SOURCES: Mapping[str, Callable[[Any, Draws], Drafted]] = {
    "slotted": slotted,
    "poisson": poisson,
    "burst": burst,
    "periodic": periodic,
    "trace": trace,
}


@dataclass(frozen=True, slots=True)
class Accounting:
    """What became of everything a source read: read = emitted + sum of dropped."""

    source: str
    kind: str
    read: int
    emitted: int
    dropped: Mapping[str, int]
    """Reason to count."""


@dataclass(frozen=True, slots=True)
class Workload:
    """Every request of a run, in the order of (arrival_s, id), with what happened to everything read."""

    items: tuple[tuple[Request, RequestTruth], ...]
    accounting: tuple[Accounting, ...]
    max_tokens: Mapping[str, int]
    """Request id to the output limit its client states; absent for models without output tokens."""


def generate(scenario: Scenario, seed: int) -> Workload:
    """Requests of all sources until `scenario.end_s`; ids `r000000`, `r000001`, ... in order of arrival.

    Same scenario and seed give equal results. Raises `workloads.traces.TraceError` for an unreadable trace.
    """
    merged: list[tuple[float, int, int, Draft, tuple[float, ...]]] = []
    accounts: list[Accounting] = []
    for s, source in enumerate(scenario.workload):
        name = f"workload/{s}"
        draws = Draws(source, scenario, seed, name)
        drafts, dropped = _SOURCES[source.kind](source, draws)
        noises = _noises(drafts, draws)
        merged.extend((d.arrival_s, s, i, d, n) for i, (d, n) in enumerate(zip(drafts, noises, strict=True)))
        read = len(drafts) + sum(dropped.values())
        accounts.append(Accounting(name, source.kind, read, len(drafts), dropped))
    merged.sort(key=lambda row: row[:3])
    items = tuple(
        (_request(f"r{i:06d}", draft, scenario), RequestTruth.drawn(draft.output_tokens, noise))
        for i, (_, _, _, draft, noise) in enumerate(merged)
    )
    limits = {f"r{i:06d}": row[3].max_tokens for i, row in enumerate(merged) if row[3].max_tokens is not None}
    return Workload(items, tuple(accounts), limits)


def _noises(drafts: list[Draft], draws: Draws) -> list[tuple[float, ...]]:
    """Per draft a multiplier per prompt (`prompts`) or a single one (`tokens`), from a stream of its own."""
    per_prompt = {m.id: m.features == "prompts" for m in draws.scenario.testbed.models}
    counts = [d.prompts if per_prompt[d.model] else 1 for d in drafts]
    flat = gamma_noise(draws.scenario.service_cv, sum(counts), draws.stream("noise"))
    ends = accumulate(counts)
    return [tuple(flat[end - count : end]) for count, end in zip(counts, ends, strict=True)]


def _request(request_id: str, draft: Draft, scenario: Scenario) -> Request:
    spec = scenario.testbed.model(draft.model)
    up_bytes, down_bytes = payload_bytes(spec, draft.prompts, draft.prompt_tokens, draft.max_tokens)
    return Request(
        id=request_id,
        model=draft.model,
        origin=draft.origin,
        arrival_s=draft.arrival_s,
        deadline_s=math.inf if scenario.deadline_s is None else draft.arrival_s + scenario.deadline_s,
        prompts=draft.prompts,
        prompt_tokens=draft.prompt_tokens,
        known_output_tokens=_known_output(draft, scenario.length_knowledge),
        up_bytes=up_bytes,
        down_bytes=down_bytes,
    )


def _known_output(draft: Draft, knowledge: LengthKnowledge) -> float | None:
    if draft.max_tokens is None or knowledge == "predicted":
        return None
    return float(draft.output_tokens if knowledge == "exact" else draft.max_tokens)
