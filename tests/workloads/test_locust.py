"""The load generator as a process of its own, against a stub server on the loopback address."""

from __future__ import annotations

import os
import shlex
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from emulation.domain.request_id import scenario_id_of
from emulation.files import load_scenario
from tests.build.stub_openai import Stub, serving
from tests.build.tls import ANOTHERS, OURS, written
from workloads.command import load_command
from workloads.generate import Arrivals, generate
from workloads.load import ClientResult, client_log
from workloads.open_loop import GRACE_S, WITHOUT_DEADLINE_S

ROOT = Path(__file__).parents[2]

SCENARIO = {
    "name": "small",
    "testbed": {
        "name": "one",
        "models": [
            {"id": "gpt2", "modality": "text", "features": "tokens"},
            {"id": "batch", "modality": "text"},
            {"id": "blip", "modality": "caption"},
            {"id": "sd", "modality": "image"},
        ],
        "nodes": [{"id": "n1"}],
        "profile": [
            {"model": "gpt2", "mode": "cpu", "theta": [0.001, 0.01]},
            *({"model": m, "mode": "cpu", "theta": [1.0]} for m in ("batch", "blip", "sd")),
        ],
    },
    "workload": [
        {
            "kind": "poisson",
            "rate_per_s": 24,
            "mix": {"gpt2": 0.7, "batch": 0.1, "blip": 0.1, "sd": 0.1},
            "prompts": [1, 3],
        }
    ],
    "slot_s": 1,
    "slots": 1,
    "deadline_s": 10,
    "live": {"stream_share": 0.5},
}


def written_in(folder: Path) -> Path:
    path = folder / "small.yaml"
    path.write_text(yaml.safe_dump(SCENARIO))
    return path


@pytest.fixture
def scenario_file(tmp_path: Path) -> Path:
    return written_in(tmp_path)


OURS_STARTED, BY_HAND = "workloads.locust_program", "locust"
"""How our own programs start it, which is quicker, and how `docs/how-to/load-any-url.md` does."""


def locust(*arguments: str, stdin: int | None = None, by: str = OURS_STARTED) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", by, "-f", "workloads/locustfile.py", "--only-summary", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "EDGEBED_API_KEY": "test-key"}
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def run_at_once(scenario_file: Path, url: str, count: int, *more: str) -> list[list[ClientResult]]:
    """What so many loads have in their logs, all of them under way together."""
    logs = [scenario_file.with_suffix(f".{number}.jsonl") for number in range(count)]
    options = ["--headless", "-H", url, "--scenario", str(scenario_file), "--seed", "5", "--grace", "10"]
    for process in [locust(*options, "--client-log", str(log), *more) for log in logs]:
        output, _ = process.communicate(timeout=90)
        assert process.returncode == 0, output
        assert "Traceback" not in output
    return [client_log(log) for log in logs]


def run_alone(scenario_file: Path, url: str, *more: str) -> list[ClientResult]:
    return run_at_once(scenario_file, url, 1, *more)[0]


@pytest.mark.slow
def test_sends_on_while_the_server_stalls_and_charges_the_stall_to_everyone_who_waited(
    scenario_file: Path,
) -> None:
    intended = [r for r, _ in generate(load_scenario(scenario_file), 5).items]
    with serving(Stub(stall_s=1.0)) as stub:
        log = run_alone(scenario_file, stub.url)
    assert [scenario_id_of(r.request_id) for r in log] == [r.id for r in intended]
    assert {r.outcome for r in log} == {"done"}
    assert len(stub.held) >= 5, "requests must keep leaving while none is answered"
    by_id = {r.request_id: r for r in log}
    assert by_id[stub.held[0]].latency_wall_s >= 1.0
    waited = [by_id[i].latency_wall_s for i in sorted(stub.held)]
    assert waited[0] - waited[-1] >= 0.5 * (intended[len(waited) - 1].arrival_s - intended[0].arrival_s)
    streamed = [r for r in log if r.first_token_s is not None]
    assert streamed
    assert all(r.model == "gpt2" and r.output_tokens == 2 for r in streamed)
    assert all(
        r.intended_s <= r.sent_s <= (r.first_token_s or r.ended_s) <= r.ended_s for r in log if r.sent_s
    )
    assert all(r.sent_s is not None for r in log)
    assert sorted(headers["X-Request-ID"] for headers, _, _ in stub.seen) == [r.request_id for r in log]
    assert all(headers["Authorization"] == "Bearer test-key" for headers, _, _ in stub.seen)


def over_tls(folder: Path, certificate: str, trusted: bool) -> tuple[int, list[ClientResult], int, str]:
    """Exit code, log, number of requests that arrived and output of a load that is told that it is alone."""
    file, log, path = written(folder, certificate), folder / "small.jsonl", written_in(folder)
    with pytest.MonkeyPatch.context() as environment, serving(Stub(), file) as stub:
        environment.delenv("SSL_CERT_FILE", raising=False)
        if trusted:
            environment.setenv("SSL_CERT_FILE", str(file))
        options = ["--headless", "-H", stub.url, "--scenario", str(path), "--client-log", str(log)]
        process = locust(*options, "--seed", "5", "--grace", "10", "--plain-ids")
        output, _ = process.communicate(timeout=90)
        return process.returncode, client_log(log), len(stub.seen), output


@pytest.fixture(scope="module")
def trusted(tmp_path_factory: pytest.TempPathFactory) -> tuple[int, list[ClientResult], int, str]:
    """A load that is sent to a server whose certificate is its own and trusted."""
    return over_tls(tmp_path_factory.mktemp("trusted"), OURS, True)


@pytest.mark.slow
def test_a_server_whose_certificate_is_its_own_and_trusted_is_sent_everything(
    trusted: tuple[int, list[ClientResult], int, str],
) -> None:
    code, results, seen, output = trusted
    assert (code, seen) == (0, len(results)), output
    assert {r.outcome for r in results} == {"done"}


@pytest.mark.slow
@pytest.mark.parametrize(("certificate", "trusted"), [(OURS, False), (ANOTHERS, True)])
def test_only_a_server_whose_certificate_is_its_own_and_trusted_is_sent_anything(
    tmp_path: Path, certificate: str, trusted: bool
) -> None:
    code, results, seen, output = over_tls(tmp_path, certificate, trusted)
    assert (code, seen) == (1, 0), output
    assert {r.outcome for r in results} == {"error"}
    assert all("certificate is not trusted" in (r.error or "") for r in results)


@pytest.mark.slow
def test_two_loads_call_no_two_requests_alike_unless_told_that_they_are_alone(
    scenario_file: Path, trusted: tuple[int, list[ClientResult], int, str]
) -> None:
    with serving(Stub()) as stub:
        first, second = run_at_once(scenario_file, stub.url, 2)
    _, plain, _, _ = trusted
    assert not {r.request_id for r in first} & {r.request_id for r in second}
    assert [scenario_id_of(r.request_id) for r in first] == [r.request_id for r in plain]
    assert [r.first_token_s is None for r in first] == [r.first_token_s is None for r in plain]
    assert len(stub.seen) == len(first) + len(second)
    assert all("X-Edge-Intended-S" not in headers for headers, _, _ in stub.seen), "nobody told them to"


@pytest.mark.slow
def test_refusals_and_broken_streams_are_results_with_one_line_each(scenario_file: Path) -> None:
    with serving(Stub(refuse=frozenset({"sd"}), cut=True)) as stub:
        log = run_alone(scenario_file, stub.url)
    assert len(log) == len(stub.seen)
    assert {r.outcome for r in log if r.model == "sd"} <= {"rejected"}
    streamed = [r for r in log if r.first_token_s is not None]
    assert streamed
    assert {r.outcome for r in streamed} == {"error"}
    assert {r.outcome for r in log if r not in streamed and r.model != "sd"} == {"done"}


@pytest.mark.slow
def test_two_workers_send_every_request_once(scenario_file: Path) -> None:
    log = scenario_file.with_suffix(".jsonl")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    options = ["--scenario", str(scenario_file), "--client-log", str(log), "--seed", "5", "--grace", "10"]
    with serving(Stub()) as stub:
        master = locust(
            "--master",
            "--headless",
            "--expect-workers",
            "2",
            "--master-bind-port",
            port,
            "-H",
            stub.url,
            *options,
        )
        workers = [locust("--worker", "--master-port", port) for _ in range(2)]
        try:
            output, _ = master.communicate(timeout=120)
            for worker in workers:
                worker.communicate(timeout=30)
        finally:
            for process in (master, *workers):
                process.kill()
    assert master.returncode == 0, output
    results = client_log(log)
    intended = [r.id for r, _ in generate(load_scenario(scenario_file), 5).items]
    assert [scenario_id_of(r.request_id) for r in results] == intended
    assert len({r.request_id.partition("/")[0] for r in results}) == 1, "both are of the same load"
    assert sorted(headers["X-Request-ID"] for headers, _, _ in stub.seen) == [r.request_id for r in results]
    assert {p.name for p in log.parent.glob("*.jsonl")} == {"small.w0.jsonl", "small.w1.jsonl"}


@pytest.mark.slow
def test_a_terminated_run_still_logs_every_request_once(scenario_file: Path) -> None:
    log = scenario_file.with_suffix(".jsonl")
    with serving(Stub(stall_s=60.0)) as stub:
        options = ["--scenario", str(scenario_file), "--client-log", str(log), "--seed", "5"]
        process = locust("--headless", "-H", stub.url, *options, by=BY_HAND)
        assert stub.first.wait(60)
        process.terminate()
        output, _ = process.communicate(timeout=60)
    results = client_log(log)
    assert [scenario_id_of(r.request_id) for r in results] == [
        r.id for r, _ in generate(load_scenario(scenario_file), 5).items
    ]
    assert {r.outcome for r in results} == {"aborted"}
    sent = {r.request_id for r in results if r.sent_s is not None}
    assert {headers["X-Request-ID"] for headers, _, _ in stub.seen} <= sent < {r.request_id for r in results}
    assert "Traceback" not in output


@pytest.mark.slow
def test_a_bad_scenario_stops_it_with_one_message_and_exit_code_2(tmp_path: Path) -> None:
    process = locust("--headless", "-H", "http://127.0.0.1:9", "--scenario", "demoo")
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "did you mean 'demo'" in output
    assert "Traceback" not in output


@pytest.mark.slow
@pytest.mark.parametrize(("told", "sent"), [("rate 20\n", True), ("stop\n", False), ("", False)])
def test_a_steered_load_goes_on_at_another_rate_or_stops_and_every_request_has_its_line(
    scenario_file: Path, told: str, sent: bool
) -> None:
    """Nobody at the other end of its input is a stop too."""
    log = scenario_file.with_suffix(".jsonl")
    intended = [r for r, _ in generate(load_scenario(scenario_file), 5).items]
    with serving(Stub()) as stub:
        options = ["--headless", "-H", stub.url, "--scenario", str(scenario_file), "--client-log", str(log)]
        steered = ["--seed", "5", "--rate", "0.0001", "--steered"]
        process = locust(*options, *steered, stdin=subprocess.PIPE)
        assert process.stdin is not None
        process.stdin.write(told)
        process.stdin.flush()
        if sent:
            process.wait(90)
        output, _ = process.communicate(timeout=90)  # closes its input
    assert "Traceback" not in output
    found = client_log(log)
    assert [scenario_id_of(r.request_id) for r in found] == [r.id for r in intended]
    assert {r.sent_s is not None for r in found} == {sent}
    assert {r.outcome for r in found} == {"done" if sent else "aborted"}
    if sent:
        gaps = [b.intended_s - a.intended_s for a, b in zip(found, found[1:], strict=False)]
        wanted = [(b.arrival_s - a.arrival_s) / 20 for a, b in zip(intended, intended[1:], strict=False)]
        assert gaps == pytest.approx(wanted, abs=1e-6)


SOURCES: list[dict[str, object]] = [
    {"kind": "trace", "trace": "burstgpt", "by_model": {"ChatGPT": "gpt2", "GPT-4": "gpt2"}, "rate_per_s": 30,
     "rows": 60},
    {"kind": "trace", "trace": "mooncake", "mix": {"gpt2": 1.0}, "rate_per_s": 30, "rows": 60,
     "context_tokens": 16384},
    {"kind": "sessions", "sessions_per_s": 20, "mix": {"gpt2": 1.0}, "think_s": 0.5,
     "lengths": {"prompt_tokens": [3, 5], "output_tokens": [4]}},
]  # fmt: skip


@pytest.mark.slow
def test_traces_and_sessions_are_sent_as_the_virtual_world_draws_them_and_say_when_they_were_meant_to_leave(
    scenario_file: Path,
) -> None:
    for source in SOURCES:  # each has something to send
        scenario_file.write_text(yaml.safe_dump({**SCENARIO, "workload": [source]}))
        assert len(list(Arrivals(load_scenario(scenario_file), 5))) > 10
    scenario_file.write_text(yaml.safe_dump({**SCENARIO, "workload": SOURCES}))
    drawn = [r for r, _ in Arrivals(load_scenario(scenario_file), 5)]
    with serving(Stub()) as stub:
        log = run_alone(scenario_file, stub.url, "--plain-ids", "--tell-intended")
    told = {headers["X-Request-ID"]: float(headers["X-Edge-Intended-S"]) for headers, _, _ in stub.seen}
    assert told == {r.request_id: r.intended_s for r in log}, "of a testbed with the same time 0"
    assert [(r.request_id, r.model, r.intended_s) for r in log] == [
        (r.id, r.model, r.arrival_s) for r in drawn
    ]
    sent = {headers["X-Request-ID"]: body for headers, _, body in stub.seen}
    words = {name: len(body["messages"][0]["content"].split()) for name, body in sent.items()}
    assert words == {r.id: r.prompt_tokens for r in drawn}


@pytest.mark.slow
def test_the_clients_of_a_run_wait_as_long_as_it_expects_whatever_the_shell_says(
    scenario_file: Path, tmp_path: Path
) -> None:
    """Clients that the shell told to wait longer outlasted the run's watch over them, and were killed."""
    waits_s = {True: (WITHOUT_DEADLINE_S, GRACE_S), False: (1800.0, 40.0)}
    told = (
        "import sys\nfrom shlex import split\nfrom locust.argument_parser import parse_options\n"
        "import workloads.locustfile\nfor given in sys.argv[1:]:\n"
        "    options = parse_options(split(given))\n    print('waits', options.request_timeout, options.grace)"
    )
    shell = {"EDGEBED_REQUEST_TIMEOUT": "1800", "EDGEBED_GRACE": "40", "PYTHONPATH": str(ROOT)}
    given = []
    for own_run in waits_s:
        log = tmp_path / "client.jsonl"
        command = load_command(scenario_file, 0, "http://x", 0.0, 1.0, log, own_run=own_run)
        given.append(shlex.join(command[command.index("--headless") :]))
    said = subprocess.run(
        [sys.executable, "-c", told, *given], env={**os.environ, **shell}, capture_output=True, text=True
    )
    found = [line.split()[1:] for line in said.stdout.splitlines() if line.startswith("waits ")]
    assert found == [[str(wait_s) for wait_s in both] for both in waits_s.values()], said.stderr
