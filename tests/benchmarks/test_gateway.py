"""The gateway benchmark's own parts: its client, the bare server, and what is made of the figures."""

from __future__ import annotations

import asyncio
import json
import os
import pickle
from pathlib import Path

import pytest

from benchmarks import _cpu, gateway
from benchmarks._bodies import BODIES
from benchmarks._http_load import content_length, load

ANSWERS = {
    "text": ([b'{"id":"a"}'], False),
    "stream": ([b'data: {"id":"a"}\n\n', b"data: [DONE]\n\n"], True),
    "upload": ([b'{"id":"a"}'], False),
    "picture": ([json.dumps({"data": "A" * 1_000_000}).encode()], False),
}


@pytest.mark.slow
def test_the_client_counts_every_answer_of_the_bare_server_whole(tmp_path: Path) -> None:
    (tmp_path / "answers").write_bytes(pickle.dumps(ANSWERS))
    with gateway.standing("_echo", str(tmp_path)) as (pid, port):
        for name, body in BODIES.items():
            url = f"http://127.0.0.1:{port}/{name}"
            for clients in (1, 3) if name == "text" else (3,):
                figures = asyncio.run(load(url, body.sent, clients, 0.1))
                assert figures["answers"] >= 2
                assert 0 < figures["first_p50_ms"] <= figures["p50_ms"] <= figures["p99_ms"]
        with pytest.raises(RuntimeError, match="bad answers"):
            asyncio.run(load(f"http://127.0.0.1:{port}/nothing", b"{}", 1, 0.1))
        assert _cpu.cpu_s(pid).keys() == {"_echo"}
        assert not _cpu.cpu_s(os.getpid(), without=(pid,)).keys() & {"_echo"}


@pytest.mark.parametrize(
    ("head", "length"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 17", 17),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked", None),
    ],
)
def test_an_answer_says_how_long_it_is(head: bytes, length: int | None) -> None:
    assert content_length(head) == length


def test_an_answer_that_does_not_say_so_is_an_error() -> None:
    with pytest.raises(ValueError, match="how long"):
        content_length(b"HTTP/1.1 200 OK\r\nServer: x")


def test_answers_are_compared_but_for_ids_and_times() -> None:
    stream = BODIES["stream"]
    raw = b'data: {"id":"%b","created":%b,"x":[1]}\n\ndata: [DONE]\n\n'
    assert stream.said(raw % (b"a", b"1")) == stream.said(raw % (b"b", b"2")) == [{"x": [1]}, "[DONE]"]
    assert b"".join(stream.pieces(raw)) == raw
    assert BODIES["text"].said(b'{"id":"a","x":1}') != BODIES["text"].said(b'{"id":"a","x":2}')


def figures(rate: float) -> dict[str, object]:
    """A measurement in which all but the rate goes by the rate."""
    by = {"gateway": 0.2, "replica": 1 / rate}
    return {
        "p50_ms": 1e3 / rate, "p99_ms": 2e3 / rate, "mean_ms": 1e3 / rate, "first_p50_ms": 5e2 / rate, "per_s": rate,
        "answers": 10, "cpu_ms": sum(by.values()), "cpu_ms_by_process": by, "client_cpu_ms": 0.1,
    }  # fmt: skip


def test_the_gateway_is_held_against_the_fastest_of_serves_ways_body_by_body() -> None:
    rates = {"gateway": 800.0, "serve_fast": 400.0, "serve_direct": 1000.0, "echo": 4000.0}
    sides = {side: [figures(rate), figures(rate * 2)] for side, rate in rates.items()}
    assert gateway.medians(sides["echo"])["per_s"] == 6000.0
    over = {other: gateway.ratios(sides, other) for other in rates if other != "gateway"}
    slow = dict.fromkeys(gateway.SLOW, over["serve_fast"])
    one = {"median": {s: gateway.medians(runs) for s, runs in sides.items()}, "gateway_over": over | slow}
    rows = {row["name"]: row for row in gateway.rows({"text": {"1": one, "64": one}})}
    assert rows["text: throughput over serve, direct, 64 clients"]["value"] == pytest.approx(0.8)
    assert rows["text: throughput over the bare server, 64 clients"]["value"] == pytest.approx(0.2)
    assert rows["text: throughput over serve, tuned, 64 clients"]["value"] == pytest.approx(2.0)
    assert not [name for name in rows if "serve, fast" in name]
    assert "| text | 64 | `echo` |" in gateway.table({"text": {"64": one}})
