"""A scenario and a seed to requests with their sealed truth: the only place requests are made."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from heapq import merge
from operator import itemgetter
from typing import Any

from mypy_extensions import mypyc_attr

from emulation.domain.cluster import ModelSpec
from emulation.domain.request import Request
from emulation.domain.request_kind import RequestKind
from emulation.domain.scenario import Scenario, WorkloadSource
from emulation.domain.truth import RequestTruth
from workloads.accounting import Accounting as Accounting
from workloads.blocks import uniforms
from workloads.lengths import Mix, Noise, payload_bytes
from workloads.outside import outside
from workloads.sessions import sessions
from workloads.sources import Draft, Drafts, Draws, burst, periodic, poisson, slotted
from workloads.traces import trace

_SOURCES: Mapping[str, Callable[[Any, Draws], Drafts]] = {
    "slotted": slotted,
    "poisson": poisson,
    "burst": burst,
    "periodic": periodic,
    "trace": trace,
    "sessions": sessions,
    "outside": outside,
}


_Row = tuple[float, int, int, Draft, tuple[float, ...]]
"""Arrival, source, number within the source; the request without an id, and its noise."""
_ITEM = itemgetter(0, 1)
"""Request and truth of what `_numbered` gives."""


@mypyc_attr(native_class=False)
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
    streams = _streams(scenario, seed)
    rows = list(_numbered(streams, scenario))
    limits = {request.id: draft.max_tokens for request, _, draft in rows if draft.max_tokens is not None}
    return Workload(
        tuple([(request, truth) for request, truth, _ in rows]), tuple([s.account() for s in streams]), limits
    )


class Arrivals:
    """The items of `generate`, each drawn when it is asked for: what a run takes that keeps none of them.

    Traces are read as they are asked for. Raises `workloads.traces.TraceError`.
    """

    def __init__(self, scenario: Scenario, seed: int) -> None:
        self._streams = _streams(scenario, seed)
        self._items = map(_ITEM, _numbered(self._streams, scenario))

    def __iter__(self) -> Iterator[tuple[Request, RequestTruth]]:
        return self._items

    def accounting(self) -> tuple[Accounting, ...]:
        """What became of everything the sources read, to their end: what was not asked for is drawn now."""
        for _ in self._items:
            pass
        return tuple(stream.account() for stream in self._streams)


class _Stream:
    """One source as it is drawn."""

    def __init__(self, number: int, source: WorkloadSource, scenario: Scenario, seed: int) -> None:
        self.number, self.source = number, source
        self.draws = Draws(source, scenario, seed, f"workload/{number}")
        self._drafts = _SOURCES[source.kind](source, self.draws)
        self.emitted = 0

    def rows(self) -> Iterator[_Row]:
        """Each draft with its noise: a multiplier per prompt (`prompts`) or a single one (`tokens`)."""
        scenario = self.draws.scenario
        per_prompt = {m.id: m.features == "prompts" for m in scenario.testbed.models}
        noise = Noise(scenario.service_cv, self.draws.stream("noise"))
        for draft in self._drafts if self.source.tenants is None else self._of_tenants(self.source.tenants):
            drawn = noise.take(draft.prompts if per_prompt[draft.model] else 1)
            yield draft.arrival_s, self.number, self.emitted, draft, drawn
            self.emitted += 1

    def _of_tenants(self, shares: Mapping[str, float]) -> Drafts:
        """The drafts, each on somebody's behalf."""
        mix, drawn = Mix(shares), uniforms(self.draws.stream("tenant"))
        for draft in self._drafts:
            yield draft if draft.tenant is not None else replace(draft, tenant=mix.pick(next(drawn)))

    def account(self) -> Accounting:
        """What became of what was read so far."""
        dropped = dict(self.draws.dropped)
        counted, read = self.emitted + sum(dropped.values()), self.draws.read
        return Accounting(
            f"workload/{self.number}",
            self.source.kind,
            counted if read is None else read,
            self.emitted,
            dropped,
        )


def _streams(scenario: Scenario, seed: int) -> list[_Stream]:
    return [_Stream(s, source, scenario, seed) for s, source in enumerate(scenario.workload)]


def _numbered(
    streams: Sequence[_Stream], scenario: Scenario
) -> Iterator[tuple[Request, RequestTruth, Draft]]:
    """In order of arrival; of the same instant, the first source first."""
    kinds = {m.id: _kind(m, scenario) for m in scenario.testbed.models}
    drawn = [s.rows() for s in streams]
    rows = drawn[0] if len(drawn) == 1 else merge(*drawn, key=itemgetter(0, 1, 2))
    for i, (_, _, _, draft, noise) in enumerate(rows):
        request = kinds[draft.model].request(f"r{i:06d}", draft)
        yield request, RequestTruth(draft.output_tokens, noise), draft


def _kind(model: ModelSpec, scenario: Scenario) -> RequestKind:
    """How requests of a model are made; `payload_bytes` is a sum of products, of which these are the factors."""
    deadline_s = math.inf if scenario.deadline_s is None else scenario.deadline_s
    up_prompt, down_prompt = payload_bytes(model, 1, 0, None)
    up_token, down_token = payload_bytes(model, 0, 1, None)[0], payload_bytes(model, 0, 0, 1)[1]
    return RequestKind(
        model.id, deadline_s, scenario.length_knowledge, (up_prompt, up_token), (down_prompt, down_token)
    )
