"""What every performance model promises, whatever it is fed."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf, isclose, nan

from edgebed.check.law import Law, require
from edgebed.check.sealed import reads_of
from edgebed.check.worlds import devices
from emulation.domain.cluster import TestbedConfig
from emulation.domain.ports import PerfKey, PerformanceModel
from emulation.rng import stream

LLM = PerfKey("llm0", "llm", "gpu")
OTHER = PerfKey("llm1", "llm", "gpu")

Sample = tuple[tuple[float, ...], float]
"""Features of served work, and the seconds it took."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSubject:
    """A performance model on the small world of devices."""

    make: Callable[[TestbedConfig], PerformanceModel]
    """From a testbed."""

    def __str__(self) -> str:
        return "devices"

    def made(self) -> PerformanceModel:
        """A new one, which has learned nothing."""
        return self.make(devices())


def feed(model: PerformanceModel, key: PerfKey, samples: Sequence[Sample]) -> None:
    """Let it observe these, a second apart."""
    for t, (x, service_s) in enumerate(samples):
        model.observe(key, x, service_s, float(t))


def token_samples(theta: tuple[float, float], count: int, cv: float = 0.0, seed: int = 1) -> list[Sample]:
    """Work of random lengths that follows a law, times gamma noise of this coefficient of variation."""
    draws = stream(seed, "samples")
    found: list[Sample] = []
    for _ in range(count):
        x = (float(draws.choice((128, 512, 1024))), float(draws.choice((16, 32, 64))))
        noise = float(draws.gamma(1 / cv**2, cv**2)) if cv else 1.0
        found.append((x, (theta[0] * x[0] + theta[1] * x[1]) * noise))
    return found


def in_range_after(model: PerformanceModel, samples: Sequence[Sample]) -> None:
    """Raise `Broken` unless coefficients, uncertainty and prediction are in their ranges after these samples."""
    feed(model, LLM, samples)
    theta, uncertainty = model.theta(LLM)
    require(len(theta) == 2, f"{len(theta)} coefficients for two features")
    require(all(0 <= c < inf for c in theta), f"coefficients {theta}")
    require(0 <= uncertainty <= 1, f"uncertainty {uncertainty}")
    seen = model.predict(LLM, (512.0, 32.0))
    require(0 <= seen.mean_s < inf, f"predicts {seen.mean_s} s")
    require(0 <= seen.sd_s < inf, f"predicts a standard deviation of {seen.sd_s} s")


def _stays_in_range(subject: ModelSubject) -> None:
    draws = stream(2, "samples")
    for count in (0, 1, 2, 5, 40, 150):
        most = [10.0 ** float(draws.uniform(-3, 4)) for _ in range(3)]
        samples = [
            (
                (float(draws.uniform(0, most[0])), float(draws.uniform(0, most[1]))),
                float(draws.uniform(0, most[2])),
            )
            for _ in range(count)
        ]
        in_range_after(subject.made(), samples)
    in_range_after(subject.made(), [((0.0, 0.0), 1.0)] * 20)


def _begins_with_the_profile(subject: ModelSubject) -> None:
    seen = subject.made().predict(LLM, (1000.0, 20.0))
    require(isclose(seen.mean_s, 2.0), f"predicts {seen.mean_s:g} s where the profile says 2")
    require(seen.sd_s > 0, "claims to be sure before it has seen anything")
    require(seen.samples == 0, f"says that {seen.samples} samples stand behind it")


def _ignores_broken_feedback(subject: ModelSubject) -> None:
    model = subject.made()
    feed(model, LLM, token_samples((0.002, 0.03), 5))
    before = model.theta(LLM)
    for broken in (nan, inf, -1.0):
        model.observe(LLM, (512.0, 32.0), broken, 9.0)
        model.observe(LLM, (broken, 32.0), 1.0, 9.0)
        require(model.theta(LLM) == before, f"learned from a result of {broken}")


def _keeps_keys_apart(subject: ModelSubject) -> None:
    model = subject.made()
    before = model.predict(OTHER, (512.0, 32.0))
    feed(model, LLM, token_samples((0.01, 0.5), 30))
    require(model.predict(OTHER, (512.0, 32.0)) == before, "what was learned of llm0 changed the law of llm1")


def _goes_on_after_pickling(subject: ModelSubject) -> None:
    model, samples = subject.made(), token_samples((0.002, 0.03), 130, cv=0.1)
    feed(model, LLM, samples[:70])
    twin: PerformanceModel = pickle.loads(pickle.dumps(model))
    feed(model, LLM, samples[70:])
    feed(twin, LLM, samples[70:])
    require(model.theta(LLM) == twin.theta(LLM), "a pickled copy learned otherwise")


def _memory_is_bounded(subject: ModelSubject) -> None:
    model = subject.made()
    feed(model, LLM, token_samples((0.002, 0.03), 200))
    size = len(pickle.dumps(model))
    feed(model, LLM, token_samples((0.002, 0.03), 2000))
    grown = len(pickle.dumps(model))
    require(grown < size * 1.1, f"{size} bytes after 200 results, {grown} after 2,200")


def _knows_its_executors(subject: ModelSubject) -> None:
    try:
        subject.made().predict(PerfKey("nowhere", "llm", "gpu"), (1.0, 1.0))
    except KeyError:
        return
    require(False, "an executor that does not exist is predicted, where a KeyError is due")


def _reads_no_clock(subject: ModelSubject) -> None:
    def use(model: PerformanceModel) -> None:
        feed(model, LLM, token_samples((0.002, 0.03), 20))
        model.predict(LLM, (512.0, 32.0))

    seen = reads_of(subject.made, use)
    require(not seen, "; ".join(seen))


LAWS: tuple[Law[ModelSubject], ...] = (
    Law("keeps coefficients, uncertainty and predictions in their ranges", _stays_in_range, first=True),
    Law("begins with the profile", _begins_with_the_profile),
    Law("ignores broken feedback", _ignores_broken_feedback),
    Law("keeps what it learns of one executor apart from others", _keeps_keys_apart),
    Law("goes on alike after pickling", _goes_on_after_pickling),
    Law("does not grow with time", _memory_is_bounded),
    Law("knows its executors", _knows_its_executors),
    Law("reads no clock, file, environment or unseeded random number", _reads_no_clock),
)
