"""A scenario and a seed to requests with their sealed truth: the only place requests are made."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from heapq import merge
from itertools import repeat, starmap
from operator import itemgetter
from typing import Any

from mypy_extensions import mypyc_attr

from emulation.domain.cluster import ModelSpec
from emulation.domain.request import Request
from emulation.domain.request_kind import Drawn, Noise, Numbered, RequestKind
from emulation.domain.scenario import Scenario, WorkloadSource
from emulation.domain.truth import RequestTruth
from workloads.accounting import Accounting as Accounting
from workloads.blocks import uniforms
from workloads.lengths import Mix, noise_of, payload_bytes
from workloads.outside import outside
from workloads.sessions import sessions
from workloads.sources import Drafts, Draws, burst, periodic, poisson, slotted
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


_Row = tuple[float, int, int, Drawn]
"""Arrival, source, number within the source; the request without id and noise."""


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
    make, drawn = _numbered(scenario).make, list(_in_order(streams))
    items = tuple(starmap(make, drawn))
    limits = {
        request.id: draft.max_tokens
        for (request, _), (draft, _) in zip(items, drawn, strict=True)
        if draft.max_tokens is not None
    }
    return Workload(items, tuple([s.account() for s in streams]), limits)


class Arrivals:
    """The items of `generate`, each drawn when it is asked for: what a run takes that keeps none of them.

    Traces are read as they are asked for. Raises `workloads.traces.TraceError`.
    """

    def __init__(self, scenario: Scenario, seed: int) -> None:
        self._streams = _streams(scenario, seed)
        self._items = starmap(_numbered(scenario).make, _in_order(self._streams))

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
        drafts = _SOURCES[source.kind](source, self.draws)
        self.drafts = drafts if source.tenants is None else self._of_tenants(drafts, source.tenants)
        self.noise = noise_of(scenario.service_cv, self.draws.stream("noise"))

    def rows(self) -> Iterator[_Row]:
        """The drafts, with what tells their order beside those of other sources."""
        for i, draft in enumerate(self.drafts):
            yield draft.arrival_s, self.number, i, draft

    def _of_tenants(self, drafts: Drafts, shares: Mapping[str, float]) -> Drafts:
        """The drafts, each on somebody's behalf."""
        mix, drawn = Mix(shares), uniforms(self.draws.stream("tenant"))
        for draft in drafts:
            yield draft if draft.tenant is not None else replace(draft, tenant=mix.pick(next(drawn)))

    def account(self) -> Accounting:
        """What became of what was read so far."""
        dropped = dict(self.draws.dropped)
        emitted = self.noise.requests
        counted, read = emitted + sum(dropped.values()), self.draws.read
        return Accounting(
            f"workload/{self.number}",
            self.source.kind,
            counted if read is None else read,
            emitted,
            dropped,
        )


def _streams(scenario: Scenario, seed: int) -> list[_Stream]:
    return [_Stream(s, source, scenario, seed) for s, source in enumerate(scenario.workload)]


def _in_order(streams: Sequence[_Stream]) -> Iterator[tuple[Drawn, Noise]]:
    """Each draft with where its noise comes from, in order of arrival; of the same instant, the first source first."""
    if len(streams) == 1:
        return zip(streams[0].drafts, repeat(streams[0].noise))  # noqa: B905 (the one has no end)
    rows = merge(*[s.rows() for s in streams], key=itemgetter(0, 1, 2))
    return ((draft, streams[number].noise) for _, number, _, draft in rows)


def _numbered(scenario: Scenario) -> Numbered:
    return Numbered({m.id: _kind(m, scenario) for m in scenario.testbed.models})


def _kind(model: ModelSpec, scenario: Scenario) -> RequestKind:
    """How requests of a model are made; `payload_bytes` is a sum of products, of which these are the factors."""
    deadline_s = math.inf if scenario.deadline_s is None else scenario.deadline_s
    up_prompt, down_prompt = payload_bytes(model, 1, 0, None)
    up_token, down_token = payload_bytes(model, 0, 1, None)[0], payload_bytes(model, 0, 0, 1)[1]
    return RequestKind(
        model.id, model.features == "prompts", deadline_s, scenario.length_knowledge,
        (up_prompt, up_token), (down_prompt, down_token),
    )  # fmt: skip
