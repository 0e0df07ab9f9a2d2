"""First token, tokens after it, queue and SLO: laws over any record, and both worlds' agreement on what they are."""

from __future__ import annotations

from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgebed.runs.virtual import simulate_in_memory
from edgebed.wiring.identity import identity_of
from emulation.domain.scenario import Scenario
from emulation.domain.slo import Slo
from emulation.files import load_scenario
from emulation.metrics.buckets import FIRST_TOKEN_S, histogram
from emulation.metrics.pace import Pace, laws_of, meets, pace_of
from emulation.metrics.serving import BOUNDS, serving_figures
from emulation.metrics.summary import summarise
from serve_apps.node.waiters import Waiter, produced
from tests.build.records import request
from tests.build.workloads import TESTBED, scenario

LAWS = {("n1", "a", "gpu"): (0.01, 0.1)}
TIMES = st.floats(0.01, 500.0)


def token_request(latency_s: float, turn_s: float, n_in: int, n_out: int, **more: Any) -> Any:
    fields = {"prompt_tokens": n_in, "output_tokens": n_out, "service_s": turn_s, "turn_s": turn_s, **more}
    return request(5.0, latency_s, fields.pop("model", "a"), **fields)


@given(
    wait=st.floats(0, 100), turn=TIMES, n_in=st.integers(0, 5000), n_out=st.integers(1, 900),
    answers=st.integers(1, 4),
)  # fmt: skip
def test_first_token_and_the_gaps_after_it_make_up_the_whole(
    wait: float, turn: float, n_in: int, n_out: int, answers: int
) -> None:
    pace = pace_of(token_request(wait + turn, turn, n_in, n_out * answers, prompts=answers), LAWS)
    assert pace is not None
    assert pace.ttft_s is not None
    assert pace.gaps == n_out * answers - 1
    whole = pace.ttft_s + pace.gaps * (pace.tpot_s or 0.0)
    assert whole == pytest.approx(pace.e2e_s, abs=1e-6)
    assert wait - 1e-6 <= pace.ttft_s <= pace.e2e_s + 1e-6
    assert pace.queue_s == pytest.approx(wait, abs=1e-6)


def test_the_prompt_takes_the_share_that_the_law_gives_it() -> None:
    pace = pace_of(token_request(latency_s=30.0, turn_s=20.0, n_in=1000, n_out=100), LAWS)
    assert pace is not None
    assert pace.tpot_s == pytest.approx(20.0 / 2 / 100), "10 s of 20 by the law are the answer's"
    assert pace.ttft_s == pytest.approx(10.0 + 10.0 + 0.1)


@given(n_in=st.integers(0, 3000), n_out=st.integers(1, 400), answers=st.integers(1, 3))
def test_an_emulated_stream_has_its_first_token_when_the_record_says_so(
    n_in: int, n_out: int, answers: int
) -> None:
    """The live replica paces its words by `produced`; figures come from the record: one definition."""
    world = scenario({"kind": "poisson", "rate_per_s": 1, "mix": {"gpt2": 1}})
    laws = laws_of(world.testbed)
    record = token_request(
        10.0, 10.0, n_in, n_out * answers, model="gpt2", executor="n2/gpt2", mode="gpu", prompts=answers
    )
    pace = pace_of(record, laws)
    assert pace is not None
    assert pace.ttft_s is not None
    share = pace.ttft_s / 10.0
    waiter = cast(Waiter, _Waiting(n_in, n_out * answers, answers))
    assert produced(world.testbed, "n2", waiter, min(1.0, share + 1e-6))[0] >= 1
    assert produced(world.testbed, "n2", waiter, max(0.0, share - 1e-6))[0] == 0


class _Waiting:
    """As much of a `Waiter` as `produced` looks at."""

    def __init__(self, n_in: int, n_out: int, answers: int) -> None:
        self.job = self.request = self.truth = self.work = self
        self.model, self.mode, self.prompts = "gpt2", "gpu", answers
        self.prompt_tokens, self.output_tokens = n_in, n_out


@pytest.mark.parametrize(
    "changes",
    [
        {"output_tokens": 0}, {"turn_s": None, "service_s": 2.0, "attempt": 2}, {"executor": "n9/a"}, {"mode": "cpu"},
    ],
)  # fmt: skip
def test_what_nobody_can_tell_is_none_and_not_zero(changes: dict[str, Any]) -> None:
    pace = pace_of(
        request(0, 10, "a", **{"prompt_tokens": 9, "output_tokens": 9, "turn_s": 1.0, **changes}), LAWS
    )
    assert pace is not None
    assert (pace.ttft_s, pace.tpot_s, pace.gaps) == (None, None, 0)
    assert pace.e2e_s == 10


def test_of_a_single_token_there_is_no_gap_and_of_one_that_failed_nothing() -> None:
    single = pace_of(token_request(4.0, 2.0, 10, 1), LAWS)
    assert single is not None
    assert single.ttft_s == pytest.approx(4.0)
    assert single.tpot_s is None
    assert pace_of(token_request(4.0, 2.0, 10, 1, outcome="expired"), LAWS) is None


@given(ttft=st.none() | TIMES, tpot=st.none() | TIMES, e2e=TIMES, limits=st.tuples(*[st.none() | TIMES] * 3))
def test_an_slo_is_met_if_every_stated_condition_holds(
    ttft: float | None, tpot: float | None, e2e: float, limits: tuple[float | None, ...]
) -> None:
    if not any(limits):
        return
    of = {k: v for k, v in zip(("ttft_s", "tpot_s", "e2e_s"), limits, strict=True) if v is not None}
    pace = Pace(e2e, 0.0, ttft, tpot if ttft is not None else None)
    alone = [meets(pace, Slo(**{name: limit})) for name, limit in of.items()]
    assert meets(pace, Slo(**of)) == all(alone)
    assert not meets(None, Slo(**of))
    if limits[0] is not None and ttft is not None:
        assert meets(pace, Slo(ttft_s=limits[0])) == (ttft <= limits[0] + 1e-9)


def test_figures_weigh_by_request_or_by_token_as_they_say() -> None:
    short = token_request(10.0, 10.0, 0, 2)
    long = token_request(100.0, 100.0, 0, 1000)
    lost = token_request(9.0, 1.0, 5, 5, outcome="expired")
    found = serving_figures([short, long, lost], LAWS, {"a": Slo(tpot_s=1.0)}, 100.0, {}).all
    assert found.tpot_p50_s == pytest.approx((5.0 + 0.1) / 2)
    assert found.itl_p50_s == found.itl_p95_s == pytest.approx(0.1)
    assert found.slo_share == pytest.approx(1 / 3)
    assert found.slo_goodput == pytest.approx(0.01)
    assert {name: sum(counts) for name, counts in found.histograms.items()} == {
        "ttft_s": 2, "tpot_s": 2, "e2e_s": 2, "queue_s": 2
    }  # fmt: skip


def test_client_times_stand_apart_and_are_of_streams_only() -> None:
    records = [token_request(10.0, 10.0, 0, 2), token_request(10.0, 10.0, 0, 2)]
    side = {1: {"request_id": records[0].request_id, "client_first_token_s": 7.0}, 2: {"pid": 1}}
    found = serving_figures(records, LAWS, {}, 100.0, side).all
    assert found.ttft_client_p50_s == pytest.approx(2.0)
    assert found.slo_share is None


@given(st.lists(st.floats(0, 200), max_size=50))
def test_a_histogram_counts_everything_once(values: list[float]) -> None:
    counts = histogram(values, FIRST_TOKEN_S)
    assert sum(counts) == len(values)
    assert counts[0] == sum(v <= FIRST_TOKEN_S[0] for v in values)
    assert counts[-1] == sum(v > FIRST_TOKEN_S[-1] for v in values)
    assert all(tuple(sorted(b)) == tuple(b) for b in BOUNDS.values())


def small(**changes: Any) -> Scenario:
    demo = load_scenario("trace-burstgpt")
    return Scenario.model_validate({**demo.model_dump(), "slots": 4, "epoch_slots": 4, **changes})


def test_a_run_has_them_with_its_testbed_and_its_record_does_not_know_of_the_slo() -> None:
    world = small()
    run = simulate_in_memory(world, "sect", 0)
    found = summarise(run, world.testbed, world.slo)
    assert found.serving is not None
    figures = found.serving.per_model["gpt2"]
    assert figures.ttft_p50_s is not None
    assert figures.tpot_p50_s is not None
    assert 0 < figures.ttft_p50_s < (figures.e2e_p50_s or 0)
    assert found.slo_share == found.serving.all.slo_share
    assert summarise(run).serving is None
    assert identity_of(world) == identity_of(small(slo=None)), (
        "runs may be judged by an SLO that came afterwards"
    )


@pytest.mark.parametrize(
    ("slo", "told"),
    [
        ({"gpt2": {}}, "states no condition"),
        ({"gpt3": {"e2e_s": 1}}, "unknown model 'gpt3'; did you mean 'gpt2'"),
        ({"sd": {"ttft_s": 1}}, "slo.sd: counts prompts and has no tokens; state e2e_s only"),
        ({"gpt2": {"ttft_s": -1}}, "must be a number from"),
        ({"gpt2": {"ttft": 1}}, "ttft"),
    ],
)
def test_an_slo_that_cannot_be_is_told(slo: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        scenario({"kind": "poisson", "rate_per_s": 1, "mix": {"gpt2": 1}}, slo=slo)


def test_laws_are_of_token_models_only() -> None:
    laws = laws_of(scenario({"kind": "poisson", "rate_per_s": 1, "mix": {"gpt2": 1}}).testbed)
    assert set(laws) == {("n1", "gpt2", "cpu"), ("n2", "gpt2", "cpu"), ("n2", "gpt2", "gpu")}
    assert laws["n2", "gpt2", "gpu"] == tuple(TESTBED["profile"][1]["theta"])
