"""Synthetic sources: slotted, Poisson, burst, periodic. Every quantity is drawn from a stream of its own."""

from __future__ import annotations

from collections.abc import Iterable

from numpy.random import Generator

from emulation.domain.scenario import (
    BurstSource,
    PeriodicSource,
    PoissonSource,
    Scenario,
    SlottedSource,
    TokenLengths,
)
from emulation.rng import stream
from workloads import arrivals, shapes
from workloads.drafts import Accounting, Draft, origins_of
from workloads.lengths import choose, pick

Drafted = tuple[list[Draft], Accounting]


class _Sizes:
    """Draws size and origin of one request after the other, each from its own stream."""

    def __init__(self, scenario: Scenario, seed: int, name: str, lengths: TokenLengths) -> None:
        self._testbed = scenario.testbed
        self._lengths = lengths
        self._tokens: Generator = stream(seed, f"{name}/lengths")
        self._prompts: Generator = stream(seed, f"{name}/prompts")

    def draft(self, arrival_s: float, model: str, origin: str, prompts: tuple[int, ...]) -> Draft:
        if self._testbed.model(model).features == "prompts":
            return Draft(arrival_s, model, origin, prompts=choose(prompts, self._prompts))
        limit = self._lengths.max_tokens or max(self._lengths.output_tokens)
        n_in = choose(self._lengths.prompt_tokens, self._tokens)
        n_out = choose(self._lengths.output_tokens, self._tokens)
        return Draft(arrival_s, model, origin, 1, n_in, min(n_out, limit), limit)


def slotted_drafts(source: SlottedSource, scenario: Scenario, seed: int, name: str) -> Drafted:
    """MA section V: per slot, origin and model one request of K ~ U{k_min..k_max} prompts; none for K = 0.

    Only in the slots of the source, as far as the run goes. A model with feature `tokens` takes one prompt of default
    lengths wherever K is above 0.
    """
    k_rng, offset_rng = stream(seed, f"{name}/k"), stream(seed, f"{name}/offset")
    sizes = _Sizes(scenario, seed, name, TokenLengths())
    models = source.models or tuple(m.id for m in scenario.testbed.models)
    origins = origins_of(source, scenario)
    end = scenario.slots + scenario.tail_slots
    slots = range(source.from_slot, end if source.until_slot is None else min(source.until_slot, end))
    drafts: list[Draft] = []
    for slot in slots:
        for origin in origins:
            for model in models:
                k = int(k_rng.integers(source.k_min, source.k_max + 1))
                into_s = float(offset_rng.random()) * scenario.slot_s if source.offset == "uniform" else 0.0
                if k > 0:
                    drafts.append(sizes.draft(slot * scenario.slot_s + into_s, model, origin, (k,)))
    read = len(slots) * len(origins) * len(models)
    dropped = {"k_zero": read - len(drafts)} if read > len(drafts) else {}
    return drafts, Accounting(name, source.kind, read, len(drafts), dropped)


def poisson_drafts(source: PoissonSource, scenario: Scenario, seed: int, name: str) -> Drafted:
    """Poisson arrivals of the mean rate."""
    times = arrivals.poisson(source.rate_per_s, scenario.end_s, stream(seed, f"{name}/arrivals"))
    return _mixed(source, times, scenario, seed, name)


def burst_drafts(source: BurstSource, scenario: Scenario, seed: int, name: str) -> Drafted:
    """On/off Poisson arrivals."""
    shape = shapes.on_off(source.base_rate_per_s, source.burst_rate_per_s, source.on_s, source.off_s)
    peak = max(source.base_rate_per_s, source.burst_rate_per_s)
    times = arrivals.thinned(shape, peak, scenario.end_s, stream(seed, f"{name}/arrivals"))
    return _mixed(source, times, scenario, seed, name)


def _mixed(
    source: PoissonSource | BurstSource, times: Iterable[float], scenario: Scenario, seed: int, name: str
) -> Drafted:
    model_rng, origin_rng = stream(seed, f"{name}/model"), stream(seed, f"{name}/origin")
    sizes = _Sizes(scenario, seed, name, source.lengths)
    origins = origins_of(source, scenario)
    drafts = [
        sizes.draft(
            t, pick(source.mix, float(model_rng.random())), choose(origins, origin_rng), source.prompts
        )
        for t in times
    ]
    return drafts, Accounting(name, source.kind, len(drafts), len(drafts))


def periodic_drafts(source: PeriodicSource, scenario: Scenario, seed: int, name: str) -> Drafted:
    """E3: a fixed inter-arrival time from t = 0, models in strict alternation, one prompt each."""
    origin_rng = stream(seed, f"{name}/origin")
    sizes = _Sizes(scenario, seed, name, source.lengths)
    origins = origins_of(source, scenario)
    drafts = [
        sizes.draft(t, source.models[i % len(source.models)], choose(origins, origin_rng), (1,))
        for i, t in enumerate(arrivals.periodic(source.interval_s, source.count))
        if t < scenario.end_s
    ]
    late = source.count - len(drafts)
    return drafts, Accounting(
        name, source.kind, source.count, len(drafts), {"after_end": late} if late else {}
    )
