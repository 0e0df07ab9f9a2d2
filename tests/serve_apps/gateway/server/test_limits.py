"""Every limit of the server: what is beyond it is refused early, in the error shape, and others are served on."""

from __future__ import annotations

import asyncio
import select
import socket
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
from pydantic import ValidationError

from serve_apps.gateway.server.outlet import Outlet
from serve_apps.gateway.server.settings import HttpSettings
from serve_apps.wire.messages import Answer, Delta, Work
from tests.build.gateway import Gateway
from tests.build.http_server import (
    CHAT,
    LIMIT_S,
    CountingRun,
    Got,
    Server,
    answers,
    get,
    post,
    read_all,
    request,
    send,
    settled,
)

KIB = 1024


def padded(size: int) -> bytes:
    """A chat of about so many bytes."""
    return orjson.dumps({**CHAT, "note": "x" * size})


def settings(**changed: Any) -> HttpSettings:
    small = {"target_bytes": 512, "header_bytes": 2 * KIB, "body_bytes": 256 * KIB, "bodies_bytes": 256 * KIB}
    return HttpSettings(**{**small, "small_body_bytes": KIB, **changed})


def endless(sock: socket.socket, piece: bytes, most: int) -> Got:
    """Send until the server has had enough; its answer."""
    for _ in range(most):
        send(sock, piece)
    (got,) = answers(read_all(sock))
    return got


@pytest.mark.parametrize(
    ("start", "piece", "status"),
    [
        (b"GET /health HTTP/1.1\r\nX: ", b"x" * 256, 431),
        (b"GET /health HTTP/1.1\r\n", b"X: y\r\n" * 50, 431),
        (b"GET /", b"x" * 256, 414),
        (b"G", b"E" * 256, 414),
        (
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n1;",
            b"x" * 256,
            400,
        ),
        (
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n0\r\n",
            b"X: y\r\n" * 50,
            400,
        ),
    ],
    ids=["one header", "many headers", "target", "method", "chunk extension", "trailers"],
)
def test_a_head_without_end_is_refused_before_it_is_large(start: bytes, piece: bytes, status: int) -> None:
    with Server(settings()) as server:
        with server.client() as sock:
            send(sock, start)
            got = endless(sock, piece, 64)
        assert (got.status, got.headers["connection"]) == (status, "close")
        assert got.error()["code"]
        assert server.still_serves()


def test_a_head_at_its_limits_is_read() -> None:
    with Server(settings()) as server:
        lines = ["Connection: close", *[f"X-{i}: {'x' * 8}" for i in range(98)]]
        assert [g.status for g in server.ask(get("/health", *lines))] == [200]
        assert [g.status for g in server.ask(get("/health", *lines, "X-One: more"))] == [431]
        target = "/health?" + "x" * (512 - len("/health?"))
        assert [g.status for g in server.ask(get(target, "Connection: close"))] == [200]
        assert [g.status for g in server.ask(get(target + "x"))] == [414]


@pytest.mark.parametrize("length", ["262145", "9" * 18, "9" * 4000, "0" * 30 + "9" * 30])
def test_a_body_that_says_it_is_too_large_is_refused_before_it_comes(length: str) -> None:
    with Server(settings(header_bytes=8 * KIB)) as server:
        for lines in ([], ["Expect: 100-continue"]):
            head = request("POST", "/v1/chat/completions", f"Content-Length: {length}", *lines)
            (got,) = server.ask(head)
            assert (got.status, got.error()["code"]) == (413, "body_too_large")
        assert server.still_serves()


def test_a_body_in_chunks_is_refused_once_it_is_too_large() -> None:
    with Server(settings()) as server, server.client() as sock:
        head = ("Content-Type: application/json", "Transfer-Encoding: chunked")
        send(sock, request("POST", "/v1/chat/completions", *head))
        got = endless(sock, b"4000\r\n" + b" " * 0x4000 + b"\r\n", 40)
        assert (got.status, got.error()["code"]) == (413, "body_too_large")
        assert server.still_serves()


def test_a_body_in_dust_is_refused() -> None:
    with Server(settings(chunks=1000)) as server, server.client() as sock:
        head = ("Content-Type: application/json", "Transfer-Encoding: chunked")
        send(sock, request("POST", "/v1/chat/completions", *head))
        assert endless(sock, b"1\r\n \r\n" * 100, 20).status == 413
        assert server.still_serves()


def test_bodies_beyond_what_fits_are_turned_away_and_small_ones_are_not() -> None:
    run = CountingRun(waits=True)
    with Server(settings(), run) as server:
        with server.client() as first:
            send(first, post("/v1/chat/completions", padded(150 * KIB)))
            assert settled(lambda: run.serving == 1)
            assert server.books.body_bytes > 150 * KIB
            (got,) = server.ask(post("/v1/chat/completions", padded(150 * KIB)))
            assert (got.status, got.headers["retry-after"], got.error()["code"]) == (503, "1", "busy")
            assert [g.status for g in server.ask(get("/health", "Connection: close"))] == [200]
            with server.client() as small:
                send(small, post("/v1/chat/completions", CHAT, "Connection: close"))
                assert settled(lambda: run.serving == 2)
                run.go.set()
                assert [g.status for g in answers(read_all(small))] == [200]
        assert server.still_serves()
        assert [
            g.status for g in server.ask(post("/v1/chat/completions", padded(150 * KIB), "Connection: close"))
        ] == [200]


def test_a_body_in_chunks_counts_as_it_comes() -> None:
    with Server(settings()) as server, server.client() as first, server.client() as second:
        head = request(
            "POST", "/v1/chat/completions", "Content-Type: application/json", "Transfer-Encoding: chunked"
        )
        for sock in (first, second):
            send(sock, head)
        send(first, b"28000\r\n" + b" " * 0x28000)
        assert settled(lambda: server.books.body_bytes >= 0x28000)
        send(second, b"28000\r\n" + b" " * 0x28000)
        assert [g.status for g in answers(read_all(second))] == [503]
        first.close()
        assert server.still_serves()


def test_a_value_too_many_in_a_body_is_refused() -> None:
    with Server(HttpSettings(values=1000)) as server:
        many = {**CHAT, "note": [1] * 1100, "text": "x" * 70_000}
        (got,) = server.ask(post("/v1/chat/completions", many, "Connection: close"))
        assert (got.status, got.error()["code"]) == (413, "body_too_large")
        for end in (b'"' + b"a" * 500_000, b'"' + b'\\"' * 250_000, b"[" * 70_000, b'"\\'):
            (got,) = server.ask(
                post(
                    "/v1/chat/completions", b'{"note": "' + b"," * 70_000 + b'", ' + end, "Connection: close"
                )
            )
            assert got.status in (400, 413)
        text = {**CHAT, "note": 'a, b, [c], {d} "e", \\' * 10_000}
        assert [g.status for g in server.ask(post("/v1/chat/completions", text, "Connection: close"))] == [
            200
        ]


def test_an_object_counts_as_several_values_in_small_bodies_too() -> None:
    with Server(HttpSettings(values=1000)) as server:
        for count, status in ((100, 200), (130, 413)):
            body = {**CHAT, "prediction": {"a": [{}] * count}}
            (got,) = server.ask(post("/v1/chat/completions", body, "Connection: close"))
            assert got.status == status


def test_connections_beyond_the_limit_take_the_place_of_silent_ones() -> None:
    with Server(settings(connections=4)) as server:
        silent = [socket.create_connection(("127.0.0.1", server.port), timeout=20) for _ in range(4)]
        assert settled(lambda: len(server.books.connections) == 4)
        for _ in range(3):
            assert [g.status for g in server.ask(get("/health", "Connection: close"))] == [200]
        gone, _, _ = select.select(silent, [], [], LIMIT_S)
        assert [sock.recv(1) for sock in gone] == [b""]
        for sock in silent:
            sock.close()
        assert settled(lambda: not server.books.connections)


def test_a_gateway_that_is_late_takes_nothing_more_in_until_it_is_in_time() -> None:
    never_in_time = settings(late_s=1e-6)
    with Server(never_in_time) as server:
        assert settled(lambda: server.books.overloaded)
        (got,) = server.ask(post("/v1/chat/completions", CHAT))
        assert (got.status, got.headers["retry-after"], got.error()["code"]) == (503, "1", "overloaded")
        assert server.run.serving == 0
        assert [g.status for g in server.ask(get("/health", "Connection: close"))] == [200]
        server.books.settings = settings()
        assert not server.books.overloaded
        assert server.still_serves()


def test_connections_beyond_the_limit_are_turned_away_while_all_are_being_served() -> None:
    run = CountingRun(waits=True)
    with Server(settings(connections=3), run) as server:
        busy = [socket.create_connection(("127.0.0.1", server.port), timeout=20) for _ in range(3)]
        for sock in busy:
            send(sock, post("/v1/chat/completions", CHAT, "Connection: close"))
        assert settled(lambda: run.serving == 3)
        (got,) = server.ask(get("/health"))
        assert (got.status, got.headers["retry-after"], got.error()["code"]) == (503, "1", "busy")
        run.go.set()
        assert [[g.status for g in answers(read_all(sock))] for sock in busy] == [[200]] * 3
        for sock in busy:
            sock.close()
        assert server.still_serves()


@pytest.mark.parametrize(
    ("sent", "statuses"),
    [
        (b"", []),
        (b"\r\n", []),
        (b"GET /health HTTP/1.1\r\nHost: loc", [408]),
        (post("/v1/chat/completions", CHAT)[:-5], [408]),
        (
            request("POST", "/v1/chat/completions", "Content-Type: application/json", "Content-Length: 9"),
            [408],
        ),
        (
            request(
                "POST", "/v1/chat/completions", "Content-Type: application/json", "Transfer-Encoding: chunked"
            )
            + b"5\r\n12345\r\n",
            [408],
        ),
    ],
)
def test_who_stops_sending_is_told_so_and_disconnected(sent: bytes, statuses: list[int]) -> None:
    with Server(settings(header_s=0.2, quiet_s=0.2)) as server:
        with server.client() as sock:
            send(sock, sent)
            got = answers(read_all(sock, 20))
        assert [g.status for g in got] == statuses
        assert all(g.error()["code"] == "request_timeout" for g in got)
        assert server.still_serves()
        assert settled(lambda: not server.books.connections)


@pytest.mark.parametrize(
    "start", [b"GET /health HTTP/1.1\r\nX: ", post("/v1/chat/completions", padded(2000))[:200]]
)
def test_who_sends_by_the_drop_is_disconnected_too(start: bytes) -> None:
    with Server(settings(header_s=0.5, body_s=0.5)) as server:
        with server.client() as sock:
            send(sock, start)
            data = b""
            while not data:
                send(sock, b"x")
                data = read_all(sock, 0.02)
            assert [g.status for g in answers(data)] == [408]
        assert server.still_serves()


def test_a_connection_nobody_uses_any_more_is_closed() -> None:
    with Server(settings(keep_alive_s=0.2)) as server, server.client() as sock:
        send(sock, get("/health"))
        assert [g.status for g in answers(read_all(sock, 20))] == [200]
        assert settled(lambda: not server.books.connections)


@pytest.mark.slow
def test_a_client_that_reads_nothing_is_cut_off_and_its_work_ends() -> None:
    piece = Delta(choice=0, text="word " * 20_000, tokens=1)
    run = CountingRun(*[piece] * 500)
    with Server(settings(stall_s=0.3), run) as server, server.client() as sock:
        send(sock, post("/v1/chat/completions", {**CHAT, "stream": True}))
        assert settled(lambda: run.asked and run.serving == 0)
        assert not read_all(sock).endswith(b"[DONE]\n\n\r\n0\r\n\r\n")
        assert server.still_serves()


def test_a_client_that_reads_nothing_is_cut_off_although_more_and_more_is_written() -> None:
    class Unread(asyncio.Transport):
        """Whatever is written stays unread."""

        def __init__(self) -> None:
            super().__init__()
            self.size = 0
            self.aborted = False

        def write(self, data: Any) -> None:
            self.size += len(data)

        def get_write_buffer_size(self) -> int:
            return self.size

        def is_closing(self) -> bool:
            return self.aborted

        def abort(self) -> None:
            self.aborted = True

    transport = Unread()
    outlet = Outlet(transport, stall_s=30.0)
    for second in range(0, 45, 15):  # a comment of a silent stream
        outlet.write(b": still here")
        outlet.look(float(second))
        assert not transport.aborted
        transport.size -= second == 0  # it read a byte, once
    outlet.look(44.0)
    assert not transport.aborted
    outlet.look(46.0)
    assert transport.aborted


def test_a_client_that_never_reads_a_whole_answer_is_cut_off() -> None:
    from tests.build.asgi import DONE

    run = CountingRun(Answer(served=DONE, texts=("word " * 5_000_000,), completion_tokens=2))
    with Server(settings(stall_s=0.3), run) as server, server.client() as sock:
        send(sock, post("/v1/chat/completions", CHAT, "Connection: close"))
        assert settled(lambda: run.asked)
        assert settled(lambda: not server.books.connections)


def test_the_rest_of_a_refused_body_is_read_so_that_its_client_sees_why() -> None:
    with Server() as server, server.client() as sock:
        body = padded(8 * 1024 * KIB)
        head = request(
            "POST", "/v1/nothing", "Content-Type: application/json", f"Content-Length: {len(body)}"
        )
        sock.sendall(head + body)
        assert [g.status for g in answers(read_all(sock))] == [404]
        assert server.still_serves()


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"header_s": 0}, "header_s"),
        ({"body_s": float("inf")}, "body_s"),
        ({"connections": 0}, "connections"),
        ({"headers": -1}, "headers"),
        ({"body_bytes": 10**12}, "body_bytes"),
        ({"bodies_bytes": 1024}, "bodies_bytes"),
        ({"allow_hosts": ["a/b"]}, "allow_hosts"),
        ({"allow_origins": ["evil.example"]}, "allow_origins"),
        ({"max_headers": 5}, "max_headers"),
    ],
)
def test_limits_that_make_no_sense_are_refused(fields: dict[str, Any], named: str) -> None:
    with pytest.raises(ValidationError, match=named):
        HttpSettings.model_validate(fields)


def test_a_stream_nobody_reads_ends_as_aborted_and_its_node_is_told() -> None:
    async def without_end(work: Work) -> AsyncIterator[Delta | Answer]:
        while True:
            yield Delta(choice=0, text="word " * 20_000, tokens=1)

    gateway = Gateway()
    gateway.replicas.streaming["d0"].append(without_end)
    with Server(settings(stall_s=0.3), gateway.dispatcher) as server, server.client() as sock:  # type: ignore[arg-type]
        send(sock, post("/v1/completions", {"model": "m", "prompt": "go on", "stream": True}))
        assert settled(gateway.batch.ends)
        assert settled(lambda: gateway.nodes["d0"].cancelled)
        assert settled(lambda: not server.books.connections)
    ((request_id, outcome, *_),) = gateway.batch.ends()
    assert outcome == "aborted"
    assert gateway.nodes["d0"].cancelled == [(request_id, 1)]
    assert gateway.path.ends == [("d0", "aborted")]
    assert not gateway.dispatcher.flights
