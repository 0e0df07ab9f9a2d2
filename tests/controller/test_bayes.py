"""What the Bayesian performance model promises beyond the contract: honest intervals, changes noticed, laws kept."""

from __future__ import annotations

from math import inf

import numpy as np
import pytest

from controller.perf.bayes import Bayes
from edgebed.check.worlds import devices
from emulation.domain.ports import PerfKey
from emulation.rng import stream

LLM = PerfKey("llm0", "llm", "gpu")
SD = PerfKey("sd0", "sdxl", "gpu")
PROFILE = (0.001, 0.05)

Sample = tuple[tuple[float, float], float]


def samples(theta: tuple[float, float], count: int, cv: float, seed: int) -> list[Sample]:
    draws = stream(seed, "bayes")
    found = []
    for _ in range(count):
        x = (float(draws.choice((128, 512, 1024))), float(draws.choice((16, 32, 64))))
        noise = float(draws.gamma(cv**-2, cv**2)) if cv else 1.0
        found.append((x, (theta[0] * x[0] + theta[1] * x[1]) * noise))
    return found


def mismatched(seed: int, sigma: float = 0.5) -> tuple[float, float]:
    z = stream(seed, "mismatch").standard_normal(2)
    return PROFILE[0] * float(np.exp(sigma * z[0])), PROFILE[1] * float(np.exp(sigma * z[1]))


def fed(model: Bayes, rows: list[Sample], key: PerfKey = LLM) -> Bayes:
    for t, (x, service_s) in enumerate(rows):
        model.observe(key, x, service_s, float(t))
    return model


def changes(model: Bayes) -> int:
    """How many changes of the law it has noticed."""
    return model._keys[LLM].alarm.changes


def test_forty_noisy_tasks_give_the_mean_within_five_percent() -> None:
    errors = []
    for seed in range(30):
        theta = mismatched(seed)
        model = fed(Bayes(devices()), samples(theta, 40, 0.1, seed))
        errors.append(abs(model.predict(LLM, (512.0, 32.0)).mean_s / (512 * theta[0] + 32 * theta[1]) - 1))
    assert np.mean(errors) < 0.02
    assert max(errors) < 0.06


@pytest.mark.parametrize("cv", [0.1, 0.25])
def test_intervals_hold_what_they_state(cv: float) -> None:
    off = []
    for seed in range(60):
        model = Bayes(devices())
        for t, (x, service_s) in enumerate(samples(mismatched(seed), 60, cv, seed)):
            stated = model.predict(LLM, x)
            off.append(abs(service_s - stated.mean_s) / stated.sd_s)
            model.observe(LLM, x, service_s, float(t))
    assert np.mean(np.array(off) < 1.2816) == pytest.approx(0.80, abs=0.06)
    assert np.mean(np.array(off) < 1.96) == pytest.approx(0.95, abs=0.035)


@pytest.mark.parametrize(("cv", "tasks", "worst", "alarmed"), [(0.1, 1, 0.3, 1.0), (0.25, 5, 0.35, 0.95)])
def test_a_device_three_times_slower_is_noticed_and_relearned(
    cv: float, tasks: int, worst: float, alarmed: float
) -> None:
    """One task at cv 0.1, at most five at 0.25: the law is then within a third of the new one."""
    errors, alarms = [], []
    for seed in range(60):
        theta = mismatched(seed)
        model = fed(Bayes(devices()), samples(theta, 40, cv, seed))
        before = changes(model)
        fed(model, samples((3 * theta[0], 3 * theta[1]), tasks, cv, seed + 1000))
        alarms.append(changes(model) > before)
        errors.append(
            abs(model.predict(LLM, (512.0, 32.0)).mean_s / (3 * (512 * theta[0] + 32 * theta[1])) - 1)
        )
    assert np.mean(alarms) >= alarmed
    assert max(errors) < worst


def test_a_steady_device_rarely_raises_a_false_alarm() -> None:
    alarms = [changes(fed(Bayes(devices()), samples(mismatched(s), 100, 0.1, s))) for s in range(50)]
    assert np.mean(alarms) < 0.1


def test_the_earlier_law_is_back_with_the_first_task_that_fits_it() -> None:
    theta = mismatched(3)
    model = fed(Bayes(devices()), samples(theta, 40, 0.1, 3))
    healthy = model.predict(LLM, (512.0, 32.0)).mean_s
    fed(model, samples((3 * theta[0], 3 * theta[1]), 15, 0.1, 4))
    assert model.predict(LLM, (512.0, 32.0)).mean_s == pytest.approx(3 * healthy, rel=0.1)
    fed(model, samples(theta, 1, 0.1, 5))
    assert model.predict(LLM, (512.0, 32.0)).mean_s == pytest.approx(healthy, rel=0.1)


def test_what_an_abnormal_regime_teaches_is_forgotten_when_it_ends() -> None:
    model = fed(Bayes(devices()), samples(PROFILE, 40, 0.1, 6))
    before = model.theta(LLM)[0]
    model.regime("llm0", True)
    fed(model, samples((3 * PROFILE[0], 3 * PROFILE[1]), 3, 0.1, 7))
    assert model.predict(LLM, (512.0, 32.0)).mean_s > 4.0
    model.regime("llm0", False)
    assert model.theta(LLM)[0] == before


def test_uncertainty_is_that_of_the_requests_own_features() -> None:
    """Fed with long prompts and short answers only, it knows the price of a prompt and not of an answer."""
    rows = [((1024.0, 1.0), 1024 * 0.002 + 0.05)] * 30
    model = fed(Bayes(devices()), rows)
    known, open_ = model.spread(LLM), model.predict(LLM, (1.0, 64.0))
    assert known.epistemic_variance((1024.0, 1.0)) ** 0.5 < 0.1 * (1024 * 0.002)
    assert known.epistemic_variance((1.0, 64.0)) ** 0.5 > 0.3 * open_.mean_s


def test_one_far_off_profile_is_believed_after_two_tasks() -> None:
    model = Bayes(devices())
    for t in range(2):
        model.observe(SD, (1.0,), 20.0, float(t))
    assert model.predict(SD, (1.0,)).mean_s == pytest.approx(20.0, rel=0.05)


@pytest.mark.parametrize(
    "samples",
    [
        [((4096.0, 1.0), 0.0), ((1.0, 0.0), 0.001), ((4096.0, 2.0), 0.001)],
        [((4096.0, 1024.0), 0.001), ((0.0, 1024.0), 0.0), ((0.0, 1024.0), 1e4), ((1.0, 2.0), 0.0)],
    ],
)
def test_uncertainty_is_a_number_where_rounding_breaks_the_covariance(samples: list[Sample]) -> None:
    model = Bayes(devices())
    fed(model, samples)
    assert 0 <= model.theta(LLM)[1] <= 1
    assert 0 <= model.predict(LLM, (512.0, 32.0)).sd_s < inf
