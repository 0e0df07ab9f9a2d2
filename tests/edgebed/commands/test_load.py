"""`edgebed load` against servers that misbehave: the reason is named, the exit code says so, and the table is there."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
import yaml

from edgebed.commands.entry import FAILED, INTERRUPTED, WRONG
from tests.build.command_line import edgebed
from tests.build.stub_openai import Stub, serving
from tests.build.tls import ANOTHERS, OURS, written
from tests.build.waiting import eventually
from workloads.load import client_log

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEBED_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("EDGEBED_RUNS", str(tmp_path / "runs"))
    monkeypatch.delenv("EDGEBED_API_KEY", raising=False)


def scenario(folder: Path, slots: int = 1, speedup: float = 16.0) -> str:
    """Some forty requests a slot, which is half a second of real time."""
    path = folder / "small.yaml"
    content = {
        "name": "small",
        "testbed": "demo",
        "workload": [{"kind": "poisson", "rate_per_s": 5, "mix": {"gpt2": 1}}],
        "slot_s": 8,
        "slots": slots,
        "epoch_slots": 1,
        "deadline_s": 20,
        "live": {"speedup": speedup, "stream_share": 0.0},
    }
    path.write_text(yaml.safe_dump(content))
    return str(path)


Answer = Callable[[BaseHTTPRequestHandler, bytes], None]


@contextmanager
def misbehaving(answer: Answer) -> Iterator[str]:
    """A server whose every answer is what the function makes of it; its URL."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _any(self) -> None:
            answer(self, self.rfile.read(int(self.headers.get("Content-Length") or 0)))

        do_GET = do_POST = _any

        def log_message(self, format: str, *args: Any) -> None:
            """Silent."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

        def handle_error(self, request: Any, client_address: Any) -> None:
            """Silent."""

    with Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


def reply(handler: BaseHTTPRequestHandler, status: int, body: Any, kind: str = "application/json") -> None:
    raw = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    handler.send_response(status)
    handler.send_header("Content-Type", kind)
    handler.send_header("Content-Length", str(len(raw)))
    handler.end_headers()
    handler.wfile.write(raw)


def models(handler: BaseHTTPRequestHandler, *names: str) -> None:
    reply(handler, 200, {"object": "list", "data": [{"id": n} for n in names]})


def wants_a_key(handler: BaseHTTPRequestHandler, _: bytes) -> None:
    reply(handler, 401, {"error": {"message": "Incorrect API key provided", "code": "invalid_api_key"}})


def knows_no_model(handler: BaseHTTPRequestHandler, _: bytes) -> None:
    if handler.command == "GET":
        models(handler, "llama-3")
    else:
        reply(
            handler, 404, {"error": {"message": "The model `gpt2` does not exist", "code": "model_not_found"}}
        )


def some_web_page(handler: BaseHTTPRequestHandler, _: bytes) -> None:
    reply(handler, 200, "<html><body>It works!</body></html>", "text/html")


def another_interface(handler: BaseHTTPRequestHandler, _: bytes) -> None:
    reply(handler, 404, {"detail": "Not Found"})


def says_hello_to_everything(handler: BaseHTTPRequestHandler, _: bytes) -> None:
    reply(handler, 200, {"hello": "world"})


def hangs_up(handler: BaseHTTPRequestHandler, _: bytes) -> None:
    if handler.command == "GET":
        models(handler, "gpt2")
    else:
        handler.connection.shutdown(socket.SHUT_RDWR)
        handler.close_connection = True


def dies_in_its_answer(handler: BaseHTTPRequestHandler, _: bytes) -> None:
    if handler.command == "GET":
        models(handler, "gpt2")
    else:
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        handler.wfile.write(b'{"choices": [')
        handler.close_connection = True


def fails_inside(handler: BaseHTTPRequestHandler, _: bytes) -> None:
    if handler.command == "GET":
        models(handler, "gpt2")
    else:
        reply(handler, 500, {"error": {"message": f"worker {id(handler)} died", "code": "internal_error"}})


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (wants_a_key, ["401", "Incorrect API key provided", "EDGEBED_API_KEY"]),
        (some_web_page, ["no OpenAI-compatible server", "It works!"]),
        (another_interface, ["no OpenAI-compatible server", "404", "Not Found"]),
    ],
)
def test_a_server_that_cannot_serve_is_named_before_anything_is_sent(
    answer: Answer, said: list[str], tmp_path: Path
) -> None:
    with misbehaving(answer) as url:
        done = edgebed("load", scenario(tmp_path), "--url", url, code=FAILED)
    assert len(done.stderr.strip().splitlines()) == 1
    assert all(word in done.stderr for word in said), done.stderr
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_when_all_requests_fail_the_commonest_reason_is_named_meanwhile_and_at_the_end_and_the_exit_code_is_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgebed.commands.console.LINE_S", 0.1)
    with misbehaving(knows_no_model) as url:
        done = edgebed("load", scenario(tmp_path, 2), "--url", url, code=FAILED)
    lines = [line for line in done.stderr.splitlines() if "ended" in line]
    assert any("failed, most of them: HTTP 404" in line for line in lines), done.stderr
    shown = [line for line in done.stdout.splitlines() if "×" in line]
    assert len(shown) == 1, done.stdout
    assert "HTTP 404: The model `gpt2` does not exist" in shown[0]
    assert "requests failed" in done.stdout
    assert "Traceback" not in done.stderr


WAYS: dict[Answer, str] = {
    says_hello_to_everything: r"not OpenAI's interface.*hello",
    hangs_up: "closed the connection before it answered",
    dies_in_its_answer: "closed the connection in the middle of its answer",
    fails_inside: "HTTP 500: worker .* died",
}


@pytest.mark.slow
def test_every_way_to_fail_is_a_reason_of_its_own(tmp_path: Path) -> None:
    """A server that takes them in turn."""
    turns = cycle(WAYS)

    def answer(handler: BaseHTTPRequestHandler, body: bytes) -> None:
        if handler.command == "GET":
            models(handler, "gpt2")
        else:
            next(turns)(handler, body)

    with misbehaving(answer) as url:
        done = edgebed("load", scenario(tmp_path), "--url", url, "--json", code=FAILED)
    row = json.loads(done.stdout)["all"]
    found = [reason["reason"] for reason in row["reasons"]]
    for words in WAYS.values():
        assert [re.search(words, reason) is not None for reason in found].count(True) == 1, found
    assert len(found) == len(WAYS)
    assert sum(reason["count"] for reason in row["reasons"]) == row["ends"]["error"] > 0
    assert "Traceback" not in done.stderr


def test_a_model_that_is_not_listed_is_warned_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sent(monkeypatch, "done")
    with misbehaving(knows_no_model) as url:
        said = edgebed("load", scenario(tmp_path), "--url", url).stderr
    warning = next(line for line in said.splitlines() if line.startswith("warning: "))
    assert "does not list gpt2," in warning
    assert "llama-3" in warning


def test_a_dead_port_is_refused_at_once(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        done = edgebed("load", scenario(tmp_path), "--url", url, code=FAILED)
    assert "connection refused" in done.stderr
    assert url in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_name_that_nobody_knows_and_tls_where_none_is_spoken_are_named(tmp_path: Path) -> None:
    done = edgebed("load", scenario(tmp_path), "--url", "http://no-such-host.invalid", code=FAILED)
    assert "resolved" in done.stderr
    with misbehaving(some_web_page) as url:
        done = edgebed("load", scenario(tmp_path), "--url", url.replace("http", "https"), code=FAILED)
    assert "TLS" in done.stderr


def test_what_is_no_http_at_all_is_named(tmp_path: Path) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()

        def greet() -> None:
            connection, _ = listener.accept()
            connection.recv(4096)
            connection.sendall(b"220 mail.example ESMTP\r\n")
            connection.close()

        threading.Thread(target=greet, daemon=True).start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        done = edgebed("load", scenario(tmp_path), "--url", url, code=FAILED)
    assert "HTTP" in done.stderr


@pytest.mark.parametrize("url", ["127.0.0.1:8000", "ftp://127.0.0.1", "http://", "http://h:port", "nonsense"])
def test_what_is_no_url_is_wrong_input(url: str, tmp_path: Path) -> None:
    assert "http://127.0.0.1:8000" in edgebed("load", scenario(tmp_path), "--url", url, code=WRONG).stderr


@pytest.mark.slow
def test_a_server_that_dies_in_the_middle_leaves_a_table_with_both_ends(tmp_path: Path) -> None:
    served = threading.Semaphore(15)

    def dying(handler: BaseHTTPRequestHandler, _: bytes) -> None:
        if handler.command == "GET":
            models(handler, "gpt2")
        elif served.acquire(blocking=False):
            reply(handler, 200, {"choices": [{"index": 0}], "usage": {"completion_tokens": 3}})
        else:
            handler.server.socket.close()
            handler.connection.shutdown(socket.SHUT_RDWR)
            handler.close_connection = True

    with misbehaving(dying) as url:
        done = edgebed("load", scenario(tmp_path), "--url", url, "--json")
        row = json.loads(done.stdout)["all"]
        assert row["ends"]["done"] == 15
        assert sum(reason["count"] for reason in row["reasons"]) == row["ends"]["error"] > 0
        assert any(
            word in reason["reason"] for word in ("refused", "closed", "reset") for reason in row["reasons"]
        )
    assert done.stderr == "", "with --json nothing is said of what goes on"


def sent(monkeypatch: pytest.MonkeyPatch, *outcomes: str) -> None:
    """In the place of locust: a log of requests that ended so."""

    def send(
        scenario: str, seed: int, speedup: float, url: str, log: Path, on_look: Any, rate: float
    ) -> bool:
        log.parent.mkdir(parents=True, exist_ok=True)
        lines = [
            {
                "request_id": f"r{i}",
                "model": "gpt2",
                "intended_s": i,
                "sent_s": i,
                "ended_s": i + 1,
                "latency_wall_s": 1,
                "status": 200 if outcome == "done" else 429,
                "outcome": outcome,
            }
            for i, outcome in enumerate(outcomes)
        ]
        log.write_text("".join(json.dumps(line) + "\n" for line in lines))
        return False

    monkeypatch.setattr("edgebed.runs.loading.send", send)


@pytest.mark.parametrize(
    ("outcomes", "options", "code"),
    [
        (["done"] * 3 + ["rejected"], [], 0),
        (["rejected"] * 4, [], FAILED),
        (["done"] * 3 + ["rejected"], ["--fail-above", "0.25"], 0),
        (["done"] * 3 + ["rejected"], ["--fail-above", "0.2"], FAILED),
        (["done"] * 4, ["--fail-above", "0"], 0),
        (["rejected"] * 4, ["--fail-above", "1"], FAILED),
    ],
)
def test_a_stated_share_of_failures_is_exit_code_1(
    outcomes: list[str], options: list[str], code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent(monkeypatch, *outcomes)
    with serving(Stub()) as stub:
        edgebed("load", scenario(tmp_path), "--url", stub.url, *options, code=code)


@pytest.mark.slow
def test_another_speedup_than_the_testbeds_is_warned_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ours(handler: BaseHTTPRequestHandler, _: bytes) -> None:
        if handler.path == "/health":
            reply(handler, 200, {"status": "ok", "speedup": 2.0})
        else:
            models(handler, "gpt2")

    sent(monkeypatch, "done")
    with misbehaving(ours) as url:
        said = edgebed("load", scenario(tmp_path), "--url", url, "--speedup", "8").stderr
        assert "warning" in said
        assert "speedup 2" in said
        assert "at 8" in said
        assert "warning" not in edgebed("load", scenario(tmp_path), "--url", url).stderr
        assert "warning" not in edgebed("load", scenario(tmp_path), "--url", url, "--speedup", "2").stderr


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_gives_the_table_of_what_was_sent_and_leaves_no_load_behind(
    number: int, tmp_path: Path
) -> None:
    log = tmp_path / "log.jsonl"
    with serving(Stub()) as stub:
        command = [
            sys.executable,
            "-m",
            "edgebed",
            "load",
            scenario(tmp_path, 40),
            "--url",
            stub.url,
            "--log",
            str(log),
        ]
        process = subprocess.Popen(
            command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        eventually(
            lambda: process.poll() is not None or (log.exists() and log.read_text().count("\n") > 5), 60.0
        )
        os.kill(process.pid, number)
        stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == INTERRUPTED, stderr
    assert "Traceback" not in stderr
    assert "gpt2" in stdout
    assert "interrupted" in stderr
    assert "never sent" in stdout
    success = next(line for line in stdout.splitlines() if line.split()[:1] == ["gpt2"]).split()[3]
    results = client_log(log)
    assert len(results) > 100, "every request has its line, those that were never sent too"
    sent = [r for r in results if r.sent_s is not None]
    assert 0 < len(sent) < len(results)
    answered = sum(r.outcome == "done" for r in sent)
    assert float(success) == pytest.approx(answered / len(sent), abs=5e-4), (
        "what was never sent is no failure"
    )


def test_a_log_that_is_something_else_is_left_alone(tmp_path: Path) -> None:
    other = tmp_path / "notes.txt"
    other.write_text("my notes\n")
    with serving(Stub()) as stub:
        said = edgebed("load", scenario(tmp_path), "--url", stub.url, "--log", str(other), code=WRONG).stderr
    assert "--log" in said
    assert other.read_text() == "my notes\n"


def test_a_server_whose_certificate_nobody_trusts_is_refused_before_it_has_read_the_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGEBED_API_KEY", "secret")
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    sent(monkeypatch, "done")
    with serving(Stub(), written(tmp_path, OURS)) as stub:
        said = edgebed("load", scenario(tmp_path), "--url", stub.url, code=FAILED).stderr
        assert "certificate is not trusted" in said
        assert "SSL_CERT_FILE" in said
        assert stub.asked == []
        monkeypatch.setenv("SSL_CERT_FILE", str(written(tmp_path, OURS)))
        edgebed("load", scenario(tmp_path), "--url", stub.url)
    assert stub.asked[0]["Authorization"] == "Bearer secret"


def test_a_certificate_of_another_server_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(written(tmp_path, ANOTHERS)))
    with serving(Stub(), written(tmp_path, ANOTHERS)) as stub:
        said = edgebed("load", scenario(tmp_path), "--url", stub.url, code=FAILED).stderr
    assert "certificate is not trusted" in said
    assert stub.asked == []
