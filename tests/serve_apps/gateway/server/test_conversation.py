"""How the server talks HTTP/1.1 and 1.0: upgrades, pipelines, HEAD, half-closed connections, clients that leave."""

from __future__ import annotations

import asyncio
import re
import socket
import struct

import orjson
import pytest

from tests.build.asgi import DELTAS, SAID
from tests.build.http_server import (
    CHAT,
    CountingRun,
    Server,
    answers,
    get,
    post,
    read_all,
    request,
    send,
    settled,
)

CLOSE = "Connection: close"
STREAMED = {**CHAT, "stream": True}


@pytest.fixture
def server():
    with Server() as found:
        yield found


@pytest.mark.parametrize("upgrade", ["h2c", "websocket", "TLS/1.0, HTTP/1.1", "foo"])
@pytest.mark.parametrize("packets", [1, 2])
@pytest.mark.parametrize("chunked", [False, True])
def test_an_upgrade_is_answered_once_as_http_1_1(
    server: Server, upgrade: str, packets: int, chunked: bool
) -> None:
    body = orjson.dumps(CHAT)
    framing, sent = f"Content-Length: {len(body)}", body
    if chunked:
        framing, sent = "Transfer-Encoding: chunked", b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    head = request(
        "POST", "/v1/chat/completions", "Connection: Upgrade, HTTP2-Settings", f"Upgrade: {upgrade}",
        "HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA", "Content-Type: application/json", framing,
    )  # fmt: skip
    last = get("/health", CLOSE)
    pieces = (head + sent + last,) if packets == 1 else (head, sent, last)
    assert [got.status for got in server.ask(*pieces)] == [200, 200]
    assert len(server.run.asked) == 1
    assert server.still_serves()


def test_what_an_upgrade_hides_is_not_run(server: Server) -> None:
    hidden = post("/control/block", {"seconds": 0.01})
    head = request(
        "POST", "/v1/models", "Connection: Upgrade", "Upgrade: h2c", f"Content-Length: {len(hidden)}"
    )
    assert [got.status for got in server.ask(head, hidden, get("/health", CLOSE))] == [405, 200]


@pytest.mark.slow
@pytest.mark.parametrize("packets", [1, 7, 10_000])
def test_pipelined_requests_are_answered_in_order(server: Server, packets: int) -> None:
    raw = b"".join(
        (
            post("/v1/chat/completions", CHAT, f"X-Request-ID: r-{i}")
            if i % 3
            else get("/health", f"X-Request-ID: r-{i}")
        )
        for i in range(30)
    ) + get("/v1/models", "X-Request-ID: last", CLOSE)
    step = -(-len(raw) // packets)
    pieces = [raw[start : start + step] for start in range(0, len(raw), step)]
    got = server.ask(*pieces, pause_s=0.0005)
    assert [g.headers["x-request-id"] for g in got] == [*(f"r-{i}" for i in range(30)), "last"]
    assert {g.status for g in got} == {200}


@pytest.mark.slow
def test_a_pipeline_waits_for_its_first_answer_and_holds_little() -> None:
    run = CountingRun(waits=True)
    with Server(run=run) as server, server.client() as sock:
        send(sock, post("/v1/chat/completions", CHAT))
        sock.settimeout(1.0)
        with pytest.raises(TimeoutError):
            sock.sendall(get("/health") * 1_000_000)
        assert server.run.serving == 1
        run.go.set()
        sock.settimeout(20)
        assert sock.recv(100).startswith(b"HTTP/1.1 200")


def test_head_is_get_without_the_body(server: Server) -> None:
    for path in ("/health", "/v1/models", "/v1/models/gpt2", "/openapi.json", "/metrics"):
        data = b""
        with server.client() as sock:
            send(sock, request("HEAD", path, CLOSE))
            data = read_all(sock)
        head, _, body = data.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200")
        assert (b"content-length" in head, body) == (True, b"")
    first, second = server.ask(request("HEAD", "/v1/responses") + get("/health", CLOSE))
    assert (first.status, first.body, first.headers["allow"], second.status) == (405, b"", "POST", 200)


@pytest.mark.slow
@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize("lines", [(), ("Connection: keep-alive",), (CLOSE,)])
def test_a_stream_is_framed_as_its_client_understands(version: str, lines: tuple[str, ...]) -> None:
    with Server(run=CountingRun(*DELTAS, SAID)) as server:
        (got,) = server.ask(post("/v1/chat/completions", STREAMED, *lines, version=version))
        assert got.status == 200
        if version == "1.0":
            assert "transfer-encoding" not in got.headers
            assert got.headers["connection"] == "close"
            assert got.body.startswith(b"data: {")
            assert got.body.endswith(b"data: [DONE]\n\n")
        else:
            assert got.headers["transfer-encoding"] == "chunked"
            assert got.body.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")


def test_http_1_0_needs_no_host_and_is_answered_once(server: Server) -> None:
    raw = b"GET /health HTTP/1.0\r\n\r\n"
    (got,) = server.ask(raw + get("/health"))
    assert (got.status, got.headers["connection"]) == (200, "close")


@pytest.mark.parametrize("body", [CHAT, STREAMED])
@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_a_client_that_has_said_its_last_word_is_still_answered(
    body: dict[str, object], version: str
) -> None:
    run = CountingRun(*DELTAS, SAID, waits=True)
    with Server(run=run) as server, server.client() as sock:
        send(
            sock,
            post("/v1/chat/completions", body, version=version)
            + (get("/health") if version == "1.1" else b""),
        )
        sock.shutdown(socket.SHUT_WR)
        assert settled(lambda: run.serving == 1)
        sock.settimeout(2.0)
        run.go.set()
        got = answers(read_all(sock, 20))
        assert [g.status for g in got] == [200, 200][: 2 if version == "1.1" else 1]
        assert server.still_serves()


@pytest.mark.slow
def test_one_that_waits_long_after_its_last_word_hears_an_interim_answer_and_then_its_own() -> None:
    run = CountingRun(waits=True)
    with Server(run=run) as server, server.client() as sock:
        send(sock, post("/v1/chat/completions", CHAT))
        sock.shutdown(socket.SHUT_WR)
        sock.settimeout(20)
        assert sock.recv(25) == b"HTTP/1.1 100 Continue\r\n\r\n"
        run.go.set()
        assert [g.status for g in answers(read_all(sock, 20))] == [200]


@pytest.mark.parametrize("abruptly", [False, True])
@pytest.mark.parametrize("body", [CHAT, STREAMED])
def test_a_client_that_leaves_ends_its_work(abruptly: bool, body: dict[str, object]) -> None:
    run = CountingRun(DELTAS[0], asyncio.Event(), waits=False)
    with Server(run=run) as server:
        with server.client() as sock:
            send(sock, post("/v1/chat/completions", body))
            assert settled(lambda: run.serving == 1)
            if abruptly:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        assert settled(lambda: run.serving == 0)
        assert server.still_serves()


@pytest.mark.parametrize("cut", [1, 5, 100, 150])
def test_a_request_cut_short_is_refused(server: Server, cut: int) -> None:
    raw = post("/v1/chat/completions", CHAT)[:-cut]
    (got,) = server.ask(raw, half_close=True)
    assert (got.status, got.error()["code"]) == (400, "malformed_request")
    assert not server.run.asked
    assert server.still_serves()


def test_who_asks_before_sending_is_told_to_go_on(server: Server) -> None:
    body = orjson.dumps(CHAT)
    lines = ("Content-Type: application/json", f"Content-Length: {len(body)}", "Expect: 100-Continue", CLOSE)
    with server.client() as sock:
        send(sock, request("POST", "/v1/chat/completions", *lines))
        sock.settimeout(20)
        assert sock.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        send(sock, body)
        assert [g.status for g in answers(read_all(sock))] == [200]


def test_who_asks_before_sending_what_is_refused_is_not_told_to_go_on(server: Server) -> None:
    lines = ("Content-Length: 100", "Expect: 100-continue")
    with server.client() as sock:
        send(sock, request("POST", "/v1/chat/completions", *lines))
        data = read_all(sock)
    assert data.startswith(b"HTTP/1.1 415 ")
    assert [g.status for g in server.ask(request("POST", "/health", *lines))] == [405]
    assert server.still_serves()


def test_an_expectation_nobody_knows_fails(server: Server) -> None:
    (got,) = server.ask(get("/health", "Expect: miracles"))
    assert (got.status, got.error()["code"]) == (417, "expectation_failed")


def test_a_small_body_nobody_wants_is_read_over_and_the_connection_goes_on(server: Server) -> None:
    head = request("POST", "/v1/nothing", "Content-Length: 1000")
    assert [g.status for g in server.ask(head, b"x" * 1000, get("/health", CLOSE))] == [404, 200]


@pytest.mark.parametrize(
    "target",
    [
        "http://localhost/health",
        "HTTP://localhost/health?x=1",
        "/health?x=/v1&y=%zz",
        "/%68ealth",
        "/health?",
    ],
)
def test_a_target_in_any_form_is_found(server: Server, target: str) -> None:
    assert [g.status for g in server.ask(get(target, CLOSE))] == [200]


@pytest.mark.parametrize("start", [b"\r\n", b"\r\n\r\n"])
def test_line_ends_before_a_request_are_read_over(server: Server, start: bytes) -> None:
    assert [g.status for g in server.ask(start + get("/health") + start + get("/health", CLOSE))] == [
        200,
        200,
    ]


@pytest.mark.parametrize(
    "lines",
    [
        ("Content-Type: text/plain",),
        (),
        ("Content-Type: application/jsonp",),
        ("Content-Type: application/json; charset=utf-16",),
        ("Content-Type: application/json", "Content-Encoding: gzip"),
        ("Content-Type: application/json", "Content-Encoding: identity, br"),
    ],
)
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses", "/control/inject"])
def test_a_body_that_is_no_plain_json_is_not_read(server: Server, path: str, lines: tuple[str, ...]) -> None:
    body = orjson.dumps(CHAT)
    (got,) = server.ask(request("POST", path, *lines, f"Content-Length: {len(body)}", CLOSE) + body)
    assert (got.status, got.error()["code"]) == (415, "unsupported_media_type")
    assert not server.run.asked


@pytest.mark.parametrize(
    "kind", ["application/json", "Application/JSON; charset=UTF-8", 'application/json;charset="utf-8"']
)
def test_json_is_json_however_it_is_written(server: Server, kind: str) -> None:
    body = orjson.dumps(CHAT)
    lines = (f"Content-Type: {kind}", f"Content-Length: {len(body)}", "Content-Encoding: Identity", CLOSE)
    assert [g.status for g in server.ask(request("POST", "/v1/chat/completions", *lines) + body)] == [200]


def test_every_answer_carries_the_client_s_id_or_one_of_its_own(server: Server) -> None:
    for raw in (get("/health", CLOSE), get("/nothing", CLOSE), get("/v1/models", CLOSE), b"rubbish\r\n\r\n"):
        (got,) = server.ask(raw)
        assert got.headers["x-request-id"].startswith("x-")
    (got,) = server.ask(get("/nothing", "X-Request-ID: _a:b/c.d-1", CLOSE))
    assert got.headers["x-request-id"] == "_a:b/c.d-1"
    (got,) = server.ask(get("/health", "X-Request-ID: a b", CLOSE))
    assert got.headers["x-request-id"].startswith("x-")


def test_every_answer_goes_on_with_the_client_s_trace_or_begins_one(server: Server) -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    told = f"traceparent: 00-{trace}-00f067aa0ba902b7-01"
    for raw in (
        get("/health", told, CLOSE),
        get("/nothing", told, CLOSE),
        post("/v1/chat/completions", CHAT, told, CLOSE),
        get("/v1/models", told, "Host: evil.example"),
        get("/v1/models", told, version="2.0"),
    ):
        (got,) = server.ask(raw)
        assert re.fullmatch(f"00-{trace}-[0-9a-f]{{16}}-01", got.headers["traceparent"])
    for raw in (get("/health", CLOSE), get("/health", told, told, CLOSE), b"rubbish\r\n\r\n"):
        (got,) = server.ask(raw)
        assert re.fullmatch("00-[0-9a-f]{32}-[0-9a-f]{16}-00", got.headers["traceparent"])
        assert trace not in got.headers["traceparent"]


ID = "X-Request-ID: mine"


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (get("/v1/models", "Host: evil.example", ID), 421),
        (get("/v1/models", "Origin: http://evil.example", ID), 403),
        (request("OPTIONS", "/v1/models", "Origin: null", ID), 403),
        (request("CONNECT", "a:443", ID), 405),
        (get("/v1/models", ID, version="2.0"), 505),
        (get("/" + "x" * 9000, ID), 414),
        (get("/v1/models", ID, "A: " + "b" * 40_000), 431),
        (get("/v1/models", ID, *("A: b" for _ in range(120))), 431),
        (post("/v1/chat/completions", CHAT, "Expect: much", ID), 417),
        (request("POST", "/v1/chat/completions", "Content-Length: 99999999999", "x-REQUEST-id:mine  "), 413),
        (request("POST", "/v1/chat/completions", "Content-Length: x", ID), 400),
        (request("POST", "/v1/chat/completions", "Content-Length: 3", "Transfer-Encoding: chunked", ID), 400),
    ],
)
def test_what_is_refused_early_carries_the_client_s_id_too(server: Server, raw: bytes, status: int) -> None:
    earlier = get("/health", "X-Request-ID: earlier")
    for pieces, statuses in (
        ((raw,), [status]),
        ((earlier, raw), [200, status]),
        ((earlier + raw,), [200, status]),
    ):
        found = server.ask(*pieces)
        assert [got.status for got in found] == statuses
        assert found[-1].headers["x-request-id"] == "mine"
        found[-1].error()


def test_an_early_refusal_takes_no_id_from_a_line_cut_short_or_from_a_body(server: Server) -> None:
    for raw in (
        b"GET / HTTP/1.1\r\nX-Request-ID: mi",
        post("/", b"\r\nX-Request-ID: mine\r\n", "Expect: much"),
    ):
        (got,) = server.ask(raw, half_close=True)
        assert got.headers["x-request-id"].startswith("x-")


def test_a_tunnel_is_refused_with_the_methods_there_are(server: Server) -> None:
    (got,) = server.ask(request("CONNECT", "a:443"))
    assert (got.status, got.headers["allow"]) == (405, "GET, HEAD, POST")


def test_a_length_among_blanks_is_read_and_so_is_the_id_of_what_is_refused_early(server: Server) -> None:
    blanks = " \t" * 3000
    body = orjson.dumps(CHAT)
    kind, ends = "Content-Type: application/json", "Connection: close"
    length, name = f"Content-Length:{blanks}{len(body)}{blanks}", f"X-Request-ID:{blanks}mine{blanks}"
    head = request("POST", "/v1/chat/completions", kind, length, name, ends)
    (got,) = server.ask(head + body)
    assert (got.status, got.headers["x-request-id"]) == (200, "mine")
    (got,) = server.ask(request("POST", "/v1/chat/completions", kind, f"Content-Length:{blanks}5 5", name))
    assert (got.status, got.headers["x-request-id"]) == (400, "mine")
