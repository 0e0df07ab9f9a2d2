"""What a scraper reads: every metric under its name, with its labels, in both formats, of a testbed in every state."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text

from controller.fast_path import FastPath
from controller.perf.prior import Prior
from controller.routers.sect import Sect
from emulation.domain.actions import MacroPolicy, RouteGuide, RoutingDecision
from emulation.domain.measured import Measured
from emulation.domain.power import NodeWatts
from emulation.domain.request import OUTCOMES, Request
from emulation.domain.truth import Condition, RequestTruth
from emulation.executor import Job, NodeState
from serve_apps.gateway.others import Others
from serve_apps.gateway.server.books import Books
from serve_apps.gateway.server.settings import HttpSettings
from serve_apps.observe import collector
from serve_apps.observe.actors import (
    Decided,
    books_samples,
    fault_samples,
    gpu_samples,
    node_samples,
    power_samples,
    restart_samples,
    unsent_samples,
)
from serve_apps.observe.collector import Collector
from serve_apps.observe.exposition import Texts, exposition
from serve_apps.observe.gateway import run_samples, server_samples
from serve_apps.observe.logs import FOLDER, log_samples, stop_logs, write_logs
from serve_apps.observe.metrics import METRICS, OTHER
from serve_apps.observe.process import build_samples, process_samples
from serve_apps.observe.requests import RequestCounts, Stream
from serve_apps.observe.samples import Histogram, Sample
from serve_apps.vram.ledger import CONTEXT_MB, Gpu, VramLedger
from serve_apps.wire.clock import LiveClock
from serve_apps.wire.log import Heard
from serve_apps.wire.names import EVENTS, PLANNER, RECORDER
from tests.build.asgi import RUN, TESTBED, MadeUpRun
from tests.build.calls import InMemoryCalls
from tests.build.fakes import device_testbed, request
from tests.build.links import World
from tests.build.waiting import in_a_loop

MIB = 2**20
BOUNDED = {
    "model_name", "node", "scheme", "outcome", "place", "executor", "command", "testbed", "lifecycle", "kind", "status",
    "state", "mode", "level", "form", "decider", "actor", "finished_reason", "version", "ray", "python",
    "gpu", "host", "application", "tenant",
}  # fmt: skip
"""Labels whose values the testbed, the scheme or the code names; of `tenant`, clients, but 32 of them at most."""


def read(samples: Iterable[Sample]) -> dict[tuple[str, ...], float]:
    """(name, values of its labels by their names' order) to value."""
    families = read_text(exposition(samples)[0].decode())
    return {(s.name, *(v for _, v in sorted(s.labels.items()))): s.value for f in families for s in f.samples}


def counted() -> RequestCounts:
    """A run in which `r` was served by d0 and streamed, and another one refused."""
    counts = RequestCounts("sect", ["m"])
    took = Measured(
        attempt=1, executor="d0", service_s=2.0, turn_s=2.0, turn_prompts=1, uplink_s=0.25, downlink_s=0.25,
        output_tokens=5,
    )  # fmt: skip
    served = Request("r", "m", "d0", arrival_s=10.0, deadline_s=99.0, prompt_tokens=7, tenant="lab")
    counts.ended(served, "done")
    counts.done(served, "d0", took, 14.0, "length", 1.5, overhead_s=0.004, stream=Stream(11.0, 13.0, 5))
    counts.ended(Request("q", "m", "d0", 0.0, 1.0), "rejected")
    return counts


def everything(folder: Path) -> Iterator[Sample]:
    """A sample of every metric there is, from those who have them."""
    run = MadeUpRun()
    run.counts = counted()
    run.fast_path.policy(MacroPolicy({}, {}, {"gpt2": 9.0}))
    books = Books(HttpSettings())
    books.answers[200] += 1
    world = NodeState(device_testbed(), "d0")
    world.submit("d0", Job(request(1, 0.0), RequestTruth(noise=(1.0,)), 1), 0.0)
    decided = Decided()
    decided.note("planner", "applied", 2.0)
    ledger = VramLedger()
    ledger.claim("n--a", [Gpu("GPU-7", "Card", "laptop", 24_000, 24_000)], 8000)
    ledger.report("n--a", [9000])
    yield from run_samples(run)
    yield from server_samples(books)
    others = Others(0, run.fast_path, LiveClock(1.0))
    others.hear("d0", Heard(1, True, ()))
    yield from others.samples()
    elsewhere = World(0.01, 0.01)
    asyncio.run(elsewhere.links.begin(["n"]))
    yield from elsewhere.links.samples()
    yield from node_samples(world.view(0.0), world.loads())
    watts = NodeWatts(idle=20.0, cpu=None, gpu=100.0)
    yield from power_samples(world.spec, watts, world.view(0.0), world.loads())
    yield from unsent_samples("recorder", SimpleNamespace(unsent=1, lag_s=0.5, failures=1))
    yield from fault_samples({"slowdown": 1})
    yield from decided.samples()
    yield from books_samples({"a": 2, "b": 2}, {"a": {"done": 2}, "b": {"done": 1}})
    yield from restart_samples({"planner": 3}, {})
    yield from gpu_samples(ledger.accounts())
    yield from process_samples("recorder")
    yield from build_samples()
    yield Sample("edgebed_up", ("recorder",), 1.0)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv(FOLDER, str(folder))
        write_logs("recorder")
        yield from log_samples("recorder")
        stop_logs()


def test_every_metric_is_exposed_and_none_beside_them(tmp_path: Path) -> None:
    assert {sample.metric for sample in everything(tmp_path)} == set(METRICS)


@pytest.mark.parametrize("accept", ["", "application/openmetrics-text;version=1.0.0"])
def test_what_is_exposed_parses_in_both_formats(accept: str, tmp_path: Path) -> None:
    text, kind = exposition(everything(tmp_path), accept)
    assert kind.startswith("application/openmetrics-text" if accept else "text/plain; version=0.0.4")
    families = list((read_openmetrics if accept else read_text)(text.decode()))
    told = {name.removesuffix("_total") for name in METRICS}
    assert {family.name for family in families} == told
    for family in families:
        metric = METRICS.get(family.name) or METRICS[f"{family.name}_total"]
        assert family.type == metric.kind
        assert family.documentation == metric.what
        for sample in family.samples:
            assert set(sample.labels) - {"le"} == set(metric.labels)


@pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is not installed (make test-prometheus)"
)
def test_promtool_complains_of_nothing_but_the_colons_of_vllm(tmp_path: Path) -> None:
    text, _ = exposition(everything(tmp_path))
    checked = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True)
    said = (checked.stdout + checked.stderr).decode().splitlines()
    assert [
        line for line in said if not (line.startswith("vllm:") and "should not contain ':'" in line)
    ] == []


def test_labels_are_bounded_and_named_as_prometheus_wants_it() -> None:
    for name, metric in METRICS.items():
        assert set(metric.labels) <= BOUNDED, name
        assert name.endswith("_total") == (metric.kind == "counter"), name
        assert (metric.bounds != ()) == (metric.kind == "histogram"), name
        assert list(metric.bounds) == sorted(set(metric.bounds)), name
        assert name.startswith(("edgebed_", "vllm:", "process_")), name


def test_a_model_the_testbed_does_not_know_counts_as_other() -> None:
    counts = RequestCounts("sect", ["m"])
    for number in range(50):
        counts.ended(Request(f"r{number}", f"made-up-{number}", "d0", 0.0, 1.0), "error")
    assert [sample.labels for sample in counts.samples()] == [(OTHER, "error", "sect")]


def test_tenants_that_clients_make_up_do_not_add_labels_without_end() -> None:
    counts = RequestCounts("sect", ["m"])
    for number in range(200):
        asked = Request(f"r{number}", "m", "d0", 0.0, 9.0, tenant=f"t{number}")
        counts.ended(asked, "done")
        counts.done(asked, "d0", Measured(executor="d0", service_s=2.0), 3.0)
    found = read(counts.samples())
    ends = {key: value for key, value in found.items() if key[0] == "edgebed_tenant_requests_total"}
    assert len(ends) == 33
    assert found["edgebed_tenant_requests_total", "done", "sect", OTHER] == 200 - 32
    assert found["edgebed_tenant_service_seconds_total", "sect", "t3"] == 2.0
    assert found["edgebed_tenant_wait_seconds_sum", "sect", OTHER] == 200 - 32


def test_without_tenants_there_are_no_samples_of_them() -> None:
    counts = RequestCounts("sect", ["m"])
    asked = Request("r", "m", "d0", 0.0, 9.0)
    counts.ended(asked, "done")
    counts.done(asked, "d0", Measured(executor="d0", service_s=2.0), 3.0)
    assert not any("tenant" in sample.metric for sample in counts.samples())
    assert any("tenant" in sample.metric for sample in counted().samples())


def test_a_sample_with_a_label_too_many_or_of_no_metric_is_refused() -> None:
    with pytest.raises(ValueError, match="labels"):
        exposition([Sample("edgebed_up", (), 1.0)])
    with pytest.raises(KeyError):
        exposition([Sample("edgebed_unheard_of", (), 1.0)])


def test_a_request_is_counted_by_the_definitions_of_the_records() -> None:
    found = read(counted().samples())
    at = ("m", "d0", "sect")
    assert found["vllm:request_success_total", "length", *at] == 1
    assert found["vllm:e2e_request_latency_seconds_sum", *at] == 4.0
    assert found["vllm:request_inference_time_seconds_sum", *at] == 2.0
    assert (
        found["vllm:request_queue_time_seconds_sum", *at] == 1.5
    )  # all that is neither service nor transfer
    assert found["vllm:time_to_first_token_seconds_sum", *at] == 1.0
    assert found["vllm:request_time_per_output_token_seconds_sum", *at] == 0.5
    assert found["edgebed_prediction_error_ratio_sum", *at] == 0.25
    assert (found["vllm:prompt_tokens_total", *at], found["vllm:generation_tokens_total", *at]) == (7, 5)
    assert found["edgebed_requests_total", "m", "rejected", "sect"] == 1


@pytest.mark.parametrize(
    "changed", [{"attempt": 2}, {"interrupted": True}, {"turn_s": None}, {"turn_s": 0.0}]
)
def test_a_prediction_is_judged_by_an_undisturbed_first_attempt_only(changed: dict[str, object]) -> None:
    counts = RequestCounts("sect", ["m"])
    took = Measured(**{"executor": "d0", "service_s": 2.0, "turn_s": 2.0, **changed})  # type: ignore[arg-type]
    counts.done(Request("r", "m", "d0", 0.0, 9.0), "d0", took, 3.0, "stop", 1.0)
    found = read(counts.samples())
    assert ("edgebed_prediction_error_ratio_count", "m", "d0", "sect") not in found
    assert found["vllm:e2e_request_latency_seconds_count", "m", "d0", "sect"] == 1


def test_a_histogram_keeps_every_observation_in_one_bucket() -> None:
    histogram = Histogram((1.0, 2.0))
    for value in (0.5, 1.0, 1.5, 2.0, 9.0):
        histogram.observe(value)
    assert (histogram.counts, histogram.total) == ([2, 2, 1], 14.0)


def test_the_fast_path_says_whom_it_avoids_and_above_what_it_refuses() -> None:
    path = FastPath(TESTBED, Sect(), Prior(TESTBED))
    path.guide(RouteGuide(masked=frozenset({"d1"})))
    path.set_risky("d0", True)
    path.policy(MacroPolicy({}, {}, {"gpt2": 9.0}))
    sent = Request("r", "gpt2", "d0", 0.0, 99.0, prompt_tokens=10, known_output_tokens=20.0)
    path.dispatched(sent, RoutingDecision("d0", "route", "by the test", predicted_s=4.0), 0.0)
    believed = {b.executor: b for b in path.believed(1.0)}
    assert (believed["d0"].risky, believed["d0"].masked, believed["d1"].masked) == (True, False, True)
    assert (believed["d0"].wait_s, believed["d1"].wait_s) == (3.0, 0.0)
    assert path.limits_s() == {"gpt2": 9.0}


def test_a_node_says_what_runs_what_waits_and_at_which_speed() -> None:
    node = NodeState(device_testbed(), "d0")
    idle = read(node_samples(node.view(0.0), node.loads()))
    assert idle["edgebed_executor_share_ratio", "d0", "d0"] == 0
    for number in range(3):
        node.submit("d0", Job(request(number, 0.0), RequestTruth(noise=(1.0,)), 1), 0.0)
    found = read(node_samples(node.view(0.0), node.loads()))
    assert found["vllm:num_requests_running", "m", "d0"] == 1
    assert found["vllm:num_requests_waiting", "m", "d0"] == 2
    assert found["edgebed_executor_share_ratio", "d0", "d0"] == 1
    states = {key[-1]: value for key, value in found.items() if key[0] == "edgebed_executor_state"}
    assert (states["ready"], sum(states.values())) == (1, 1)


def test_a_node_draws_its_idle_power_and_what_is_at_work_adds() -> None:
    node, watts = NodeState(device_testbed(), "d0"), NodeWatts(idle=20.0, cpu=None, gpu=100.0)

    def drawn(of: NodeWatts) -> dict[tuple[str, ...], float]:
        return read(power_samples(node.spec, of, node.view(0.0), node.loads()))

    assert drawn(watts) == {("edgebed_node_power_watts", "d0"): 20.0}
    node.submit("d0", Job(request(0, 0.0), RequestTruth(noise=(1.0,)), 1), 0.0)
    assert drawn(watts) == {("edgebed_node_power_watts", "d0"): 100.0}
    assert drawn(NodeWatts(20.0, 50.0, None)) == drawn(NodeWatts(None, None, None)) == {}
    node.faults.set_condition(0, Condition(paused=True), 0.0)
    assert drawn(watts) == {("edgebed_node_power_watts", "d0"): 20.0}, "what stands still draws nothing"


def test_a_run_says_since_when_it_follows_its_plan_and_what_it_holds() -> None:
    found = read(run_samples(MadeUpRun()))
    assert found["edgebed_command_age_seconds", "plan"] == 60.0
    assert found["edgebed_in_flight", "gpt2", "held"] == 1
    assert found["edgebed_in_flight", "sd", "dispatched"] == 0
    assert found["edgebed_run_info", "warm", "sect", "one"] == 1


def test_fairness_is_that_of_the_reports() -> None:
    found = read(books_samples({"a": 4, "b": 4}, {"a": {"done": 4}}))
    assert (found["edgebed_fairness_ratio", "raw"], found["edgebed_fairness_ratio", "normalised"]) == (0.5, 0)
    assert not any(key[0] == "edgebed_fairness_ratio" for key in read(books_samples({}, {})))


def test_the_first_start_of_a_process_is_no_restart() -> None:
    found = read(restart_samples({"planner": 1, "node:n1": 4, "gateway": 2}, {"gateway": 2}))
    assert [found["edgebed_restarts_total", a] for a in ("planner", "node:n1", "gateway")] == [0, 3, 0]


def test_a_scraper_sees_who_holds_what_of_which_gpu() -> None:
    ledger = VramLedger()
    gpu = Gpu("GPU-7", "Card", "laptop", 24_000, 24_000)
    ledger.claim("n--a", [gpu], 8000)
    ledger.report("n--a", [9000])
    ledger.claim("n--b", [gpu], 2000)
    assert read(gpu_samples(ledger.accounts())) == {
        ("edgebed_vram_total_bytes", "GPU-7", "laptop"): 24_000 * MIB,
        ("edgebed_vram_claimed_bytes", "n--a", "GPU-7"): 9000 * MIB,
        ("edgebed_vram_claimed_bytes", "n--b", "GPU-7"): (2000 + CONTEXT_MB) * MIB,
        ("edgebed_vram_used_bytes", "n--a", "GPU-7"): 9000 * MIB,
    }


def test_a_scraper_sees_what_the_server_answers_holds_and_how_late_it_is() -> None:
    books = Books(HttpSettings())
    books.answers.update([200, 200, 431])
    books.hold(70_000)
    for lag_s in (0.0, 0.002, 0.02, 9.0):
        books.late(lag_s)
    found = read(server_samples(books))
    assert found["edgebed_http_answers_total", "200"] == 2
    assert found["edgebed_http_answers_total", "431"] == 1
    assert found["edgebed_http_body_bytes",] == 70_000
    assert found["edgebed_loop_lag_seconds_bucket", "0.001"] == 1
    assert found["edgebed_loop_lag_seconds_bucket", "0.05"] == 3
    assert found["edgebed_loop_lag_seconds_count",] == 4
    assert found["edgebed_loop_lag_seconds_sum",] == 9.022


class Telling:
    """An actor that has one number."""

    def __init__(self) -> None:
        self.asked = 0

    async def numbers(self) -> list[Sample]:
        self.asked += 1
        return [Sample("edgebed_records_unsent", ("telling",), 3.0)]


@in_a_loop
async def test_whoever_does_not_answer_a_scrape_is_down_and_holds_nobody_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(collector, "ASK_LIMIT_S", 0.1)
    recorder = Telling()
    calls = InMemoryCalls({RECORDER: recorder, PLANNER: Telling(), EVENTS: Telling()})
    calls.lose(PLANNER)
    calls.silence(EVENTS)
    found = read(await Collector(calls).read(RUN))
    assert (found["edgebed_up", RECORDER], found["edgebed_up", PLANNER], found["edgebed_up", EVENTS]) == (
        1,
        0,
        0,
    )
    assert found["edgebed_up", "node:d0"] == 0
    assert found["edgebed_records_unsent", "telling"] == 3


@in_a_loop
async def test_many_scrapers_at_once_ask_the_testbed_once() -> None:
    recorder = Telling()
    names = ("events", "planner", "scheduler", "node:d0", "node:d1", "deployer:d0", "deployer:d1")
    calls = InMemoryCalls({RECORDER: recorder, **{name: Telling() for name in names}})
    reader = Collector(calls)
    await asyncio.gather(*(reader.read(RUN) for _ in range(20)))
    assert recorder.asked == 1


@in_a_loop
async def test_a_text_is_made_once_for_many_scrapers_and_one_per_format() -> None:
    read = 0

    async def samples() -> list[Sample]:
        nonlocal read
        read += 1
        return [Sample("edgebed_virtual_seconds", (), read)]

    texts = Texts()
    plain = await asyncio.gather(*(texts.text("all", "", samples) for _ in range(20)))
    assert (read, len(set(plain))) == (1, 1)
    openly, kind = await texts.text("all", "application/openmetrics-text", samples)
    assert (read, openly.endswith(b"# EOF\n"), "openmetrics" in kind) == (2, True, True)
    assert (await texts.text("others", "", samples))[0] != plain[0][0]


def test_every_outcome_of_a_request_is_a_label_of_few() -> None:
    counts = RequestCounts("sect", ["m"])
    for outcome in OUTCOMES:
        counts.ended(Request("r", "m", "d0", 0.0, 1.0), outcome)
    assert len(counts.samples()) == len(OUTCOMES)
