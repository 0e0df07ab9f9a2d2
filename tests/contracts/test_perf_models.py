"""Every performance model of the registry keeps these promises; a new one is checked without a new test."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy import optimize

from controller.perf import PERF_MODELS
from edgebed.check.law import Law
from edgebed.check.perf_models import LAWS, LLM, ModelSubject, Sample, feed, in_range_after, token_samples
from edgebed.check.worlds import devices, pods
from emulation.domain.ports import PerfKey
from emulation.rng import stream
from tests.build.fast_path import build_perf

GPT2 = PerfKey("gpu0/gpt2", "gpt2", "gpu")
LEARNERS = sorted(set(PERF_MODELS) - {"prior"})


@pytest.fixture(params=sorted(PERF_MODELS))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("law", LAWS, ids=repr)
def test_keeps_every_law(law: Law[ModelSubject], name: str) -> None:
    law.look(ModelSubject(make=lambda testbed: build_perf(name, testbed)))


def test_before_any_data_the_law_is_the_profile(name: str) -> None:
    assert build_perf(name, devices()).theta(LLM)[0] == (0.001, 0.05)


def test_makes_models_that_have_learned_nothing(name: str) -> None:
    model = build_perf(name, devices())
    before, make = model.theta(LLM), model.unlearned()
    for _ in range(9):
        model.observe(LLM, (512.0, 32.0), 9.0, 1.0)
    for again in (make, pickle.loads(pickle.dumps(make))):
        assert type(again()) is type(model)
        assert again().theta(LLM) == before
        assert again() is not again()


def test_prior_on_cpu_is_scaled_to_the_nodes_cores(name: str) -> None:
    model = build_perf(name, pods())
    (seconds,), _ = model.theta(PerfKey("cpu/gpt2", "gpt2", "cpu"))
    assert seconds == pytest.approx(6.0 * (32 / 16) ** -0.7)


def test_mode_off_is_read_as_the_fastest_the_node_has(name: str) -> None:
    model = build_perf(name, pods())
    assert model.theta(PerfKey("gpu0/gpt2", "gpt2", "off"))[0] == (1.0,)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.tuples(st.floats(0, 4096), st.floats(0, 1024)), st.floats(0, 1e4)),
        min_size=1,
        max_size=150,
    )
)
def test_coefficients_and_uncertainty_stay_in_their_ranges_whatever_is_fed(samples: list[Sample]) -> None:
    for name in PERF_MODELS:
        model = build_perf(name, devices())
        in_range_after(model, samples)


@pytest.mark.parametrize("learner", LEARNERS)
def test_converges_to_the_linear_law_it_is_fed(learner: str) -> None:
    model = build_perf(learner, devices())
    feed(model, LLM, token_samples((0.004, 0.02), 200))
    theta, _ = model.theta(LLM)
    assert theta == pytest.approx((0.004, 0.02), rel=0.01)


@pytest.mark.parametrize("learner", LEARNERS)
def test_converges_to_a_scalar_law_through_noise(learner: str) -> None:
    model = build_perf(learner, pods())
    draws = stream(3, "samples")
    feed(model, GPT2, [((k,), 2.5 * k * float(draws.gamma(16, 1 / 16))) for k in [1, 4, 8, 2] * 50])
    assert model.theta(GPT2)[0][0] == pytest.approx(2.5, rel=0.1)


@pytest.mark.parametrize("learner", LEARNERS)
def test_follows_a_drift_within_one_window(learner: str) -> None:
    model = build_perf(learner, devices())
    feed(model, LLM, token_samples((0.001, 0.05), 500))
    feed(model, LLM, token_samples((0.003, 0.15), 60, seed=2))
    assert model.theta(LLM)[0] == pytest.approx((0.003, 0.15), rel=0.02)


@pytest.mark.parametrize("learner", LEARNERS)
def test_one_bin_of_features_predicts_itself_though_the_law_is_open(learner: str) -> None:
    model = build_perf(learner, devices())
    feed(model, LLM, [((512.0, 32.0), 7.0)] * 80)
    assert model.predict(LLM, (512.0, 32.0)).mean_s == pytest.approx(7.0, rel=0.01)


@pytest.mark.parametrize("learner", LEARNERS)
def test_uncertainty_falls_with_samples_and_rises_with_noise(learner: str) -> None:
    def uncertainty(count: int, cv: float) -> float:
        model = build_perf(learner, devices())
        feed(model, LLM, token_samples((0.002, 0.03), count, cv))
        return model.theta(LLM)[1]

    assert uncertainty(1, 0.1) > uncertainty(5, 0.1) > uncertainty(50, 0.1)
    assert uncertainty(50, 0.5) > uncertainty(50, 0.01)


def test_order_of_late_feedback_does_not_matter_within_the_window(name: str) -> None:
    samples = token_samples((0.002, 0.03), 40, cv=0.2)
    straight, shuffled = build_perf(name, devices()), build_perf(name, devices())
    feed(straight, LLM, samples)
    feed(shuffled, LLM, [samples[i] for i in stream(5, "order").permutation(len(samples))])
    if name == "bayes":  # recursive: the order leaves its noise, not its law
        seen, other = straight.predict(LLM, (512.0, 32.0)), shuffled.predict(LLM, (512.0, 32.0))
        assert seen.mean_s == pytest.approx(other.mean_s, rel=0.1)
    else:
        assert straight.theta(LLM)[0] == pytest.approx(shuffled.theta(LLM)[0], rel=1e-6)


def test_samples_count_what_stands_behind_a_prediction() -> None:
    model = build_perf("nnls", devices(), {"window": 10})
    feed(model, LLM, token_samples((0.002, 0.03), 25))
    assert model.predict(LLM, (1.0, 1.0)).samples == 10


def test_a_law_that_would_need_a_negative_coefficient_is_clipped_to_the_better_axis() -> None:
    model = build_perf("nnls", devices(), {"window": 4})
    feed(model, LLM, [((100.0, 10.0), 1.0), ((100.0, 60.0), 0.1), ((200.0, 10.0), 2.0), ((200.0, 60.0), 1.1)])
    theta, _ = model.theta(LLM)
    assert theta[1] == 0.0
    assert theta[0] == pytest.approx(0.0073, rel=0.01)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.tuples(st.floats(1, 4096), st.floats(1, 1024)), st.floats(0.01, 1e3)),
        min_size=1,
        max_size=90,
    )
)
def test_nnls_is_the_non_negative_least_squares_of_its_window_and_its_prior(samples: list[Sample]) -> None:
    model = build_perf("nnls", devices())
    feed(model, LLM, samples)
    rows = np.array([x for x, _ in samples[-60:]])
    seen = np.array([service_s for _, service_s in samples[-60:]])
    weight = max(1 - len(rows) / 60, 1e-3) / len(rows)
    pull = np.diag(np.sqrt(weight * (rows**2).sum(axis=0)))
    scale = np.array([1e-3, 1e-3])
    design = np.vstack([rows, pull]) * scale
    best, _ = optimize.nnls(design, np.concatenate([seen, pull @ np.array([0.001, 0.05])]))
    assert np.array(model.theta(LLM)[0]) == pytest.approx(best * scale, rel=1e-4, abs=1e-9)


def test_unknown_parameters_are_refused(name: str) -> None:
    with pytest.raises(ValidationError, match="surprise"):
        build_perf(name, devices(), {"surprise": 1})
