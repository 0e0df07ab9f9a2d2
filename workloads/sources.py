"""Synthetic sources: slotted, Poisson, burst, periodic. Every quantity is drawn from a stream of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice, product, repeat
from operator import attrgetter

from numpy.random import Generator

from emulation.domain.request_kind import Drawn
from emulation.domain.scenario import (
    BurstSource,
    PeriodicSource,
    PoissonSource,
    Scenario,
    SlottedSource,
    Source,
    TokenLengths,
)
from emulation.domain.slots import slot_of, slot_start_s, within_slot_s
from emulation.rng import stream
from workloads.blocks import choices, exponentials, integers, pairs, uniforms
from workloads.lengths import Mix, choose


@dataclass(frozen=True, slots=True)
class Draft:
    """What a source of another package gives of one request, numbers of whatever kind: see `outside.py`."""

    arrival_s: float
    model: str
    origin: str
    prompts: int = 1
    prompt_tokens: int = 0
    output_tokens: int = 0
    max_tokens: int | None = None
    """Output limit the client states; None for models without output tokens."""
    tenant: str | None = None


Drafts = Iterator[Drawn]
"""What a source emits, in order of arrival; what it drops it counts in its `Draws`. Drawn as it is asked for, so that a
run of any length fits in memory."""


class Draws:
    """Draws size and origin of one request after the other, for the source called `name` in its streams."""

    def __init__(self, source: Source, scenario: Scenario, seed: int, name: str) -> None:
        self.scenario, self._seed, self._name = scenario, seed, name
        self.origins = source.origins or tuple(n.id for n in scenario.testbed.nodes)
        """Nodes at which the source's requests enter; every node of the testbed unless it names some."""
        self.dropped: Counter[str] = Counter()
        """How many of what was read so far were dropped, by reason."""
        self.read: int | None = None
        """How much was read so far, where the source counts that itself."""
        lengths: TokenLengths = getattr(source, "lengths", TokenLengths())
        self._limit = lengths.max_tokens or max(lengths.output_tokens)
        self._by_prompts = {m.id: m.features == "prompts" for m in scenario.testbed.models}
        self._lengths = lengths

    @cached_property
    def _tokens(self) -> Iterator[tuple[int, int]]:
        return pairs(self._lengths.prompt_tokens, self._lengths.output_tokens, self.stream("lengths"))

    @cached_property
    def _prompts(self) -> Generator:
        return self.stream("prompts")

    @cached_property
    def _origin(self) -> Iterator[str]:
        return choices(self.origins, self.stream("origin"))

    def stream(self, quantity: str) -> Generator:
        """The random stream of one quantity, from its beginning."""
        return stream(self._seed, f"{self._name}/{quantity}")

    def drawn(
        self, arrival_s: float, model: str, prompts: tuple[int, ...], origin: str | None = None
    ) -> Drawn:
        """A request of one of these batch sizes, or of drawn lengths; its origin is drawn unless given."""
        origin = origin or next(self._origin)
        if self._by_prompts[model]:
            k = prompts[0] if len(prompts) == 1 else choose(prompts, self._prompts)
            return Drawn(arrival_s, model, origin, k)
        n_in, n_out = next(self._tokens)
        return Drawn(arrival_s, model, origin, 1, n_in, min(n_out, self._limit), self._limit)

    def draft(
        self, arrival_s: float, model: str, prompts: tuple[int, ...], origin: str | None = None
    ) -> Draft:
        """The same for a source of another package, which may change it."""
        d = self.drawn(arrival_s, model, prompts, origin)
        return Draft(
            d.arrival_s,
            d.model,
            d.origin,
            d.prompts,
            d.prompt_tokens,
            d.output_tokens,
            d.max_tokens,
            d.tenant,
        )


def slotted(source: SlottedSource, draws: Draws) -> Drafts:
    """MA section V: per slot, origin and model one request of K ~ U{k_min..k_max} prompts; none for K = 0.

    Only in the slots of the source, as far as the run goes. A model with feature `tokens` takes one prompt of default
    lengths wherever K is above 0.
    """
    k_rng, offset_rng = draws.stream("k"), draws.stream("offset")
    scenario = draws.scenario
    models = source.models or tuple(m.id for m in scenario.testbed.models)
    end = scenario.slots + scenario.tail_slots
    slots = range(source.from_slot, end if source.until_slot is None else min(source.until_slot, end))
    places = list(product(draws.origins, models))
    uniform, slot_s = source.offset == "uniform", scenario.slot_s
    drawn = integers(source.k_min, source.k_max + 1, k_rng)
    for slot in slots:
        begin_s = within_slot_s(slot, 0.0, slot_s)
        ks = islice(drawn, len(places))
        shares = offset_rng.random(len(places)).tolist() if uniform else [0.0] * len(places)
        drafts: list[Drawn] = []
        for (origin, model), k, share in zip(places, ks, shares, strict=True):
            if k > 0:
                arrival_s = within_slot_s(slot, share, slot_s) if uniform else begin_s
                drafts.append(draws.drawn(arrival_s, model, (k,), origin))
            else:
                draws.dropped["k_zero"] += 1
        yield from sorted(drafts, key=attrgetter("arrival_s")) if uniform else drafts


def poisson(source: PoissonSource, draws: Draws) -> Drafts:
    """Poisson arrivals of the mean rate."""
    gaps_s = exponentials(1.0 / source.rate_per_s, draws.stream("arrivals"))
    return _mixed(source, times_after(gaps_s, draws.scenario.end_s), draws)


def burst(source: BurstSource, draws: Draws) -> Drafts:
    """On/off Poisson arrivals, by thinning: those of the peak rate are kept with probability rate over peak."""
    rng, period_s = draws.stream("arrivals"), source.on_s + source.off_s
    peak = max(source.base_rate_per_s, source.burst_rate_per_s)

    def kept(t_s: float) -> bool:
        since_s = t_s - slot_start_s(slot_of(t_s, period_s), period_s)
        rate = source.burst_rate_per_s if since_s < source.on_s else source.base_rate_per_s
        return float(rng.random()) * peak < rate

    return _mixed(source, filter(kept, poisson_times(peak, draws.scenario.end_s, rng)), draws)


def periodic(source: PeriodicSource, draws: Draws) -> Drafts:
    """E3: a fixed inter-arrival time from t = 0, models in strict alternation, one prompt each."""
    count, models, interval_s, end_s = source.count, source.models, source.interval_s, draws.scenario.end_s
    draws.read = count
    for i in range(count):
        t_s = slot_start_s(i, interval_s)
        if t_s >= end_s:
            draws.dropped["after_end"] += count - i
            return
        yield draws.drawn(t_s, models[i % len(models)], (1,))


def times_after(gaps_s: Iterator[float], end_s: float) -> Iterator[float]:
    """Arrivals with these gaps between them on [0, end_s), ascending."""
    t_s = next(gaps_s)
    while t_s < end_s:
        yield t_s
        t_s += next(gaps_s)


def poisson_times(rate_per_s: float, end_s: float, rng: Generator) -> Iterator[float]:
    """Arrivals of a Poisson process on [0, end_s), ascending, from a stream of which others may draw between them."""
    return times_after((float(rng.exponential(1.0 / rate_per_s)) for _ in repeat(None)), end_s)


def _mixed(source: PoissonSource | BurstSource, times: Iterable[float], draws: Draws) -> Drafts:
    mix, shares = Mix(source.mix), uniforms(draws.stream("model"))
    return (draws.drawn(t, mix.pick(next(shares)), source.prompts) for t in times)
