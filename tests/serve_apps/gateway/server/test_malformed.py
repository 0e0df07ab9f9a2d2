"""What two servers in a row could understand differently is refused: one answer, the connection closed, nothing run."""

from __future__ import annotations

import orjson
import pytest

from tests.build.http_server import CHAT, Server, get, post, request

BODY = orjson.dumps(CHAT)
HIDDEN = post("/control/block", {"seconds": 0.01})
"""A request that would be run if a server took the end of another one's body for its own."""
CHUNKED = b"%x\r\n" % len(BODY) + BODY + b"\r\n0\r\n\r\n"


def chat(*lines: str, body: bytes = BODY, version: str = "1.1") -> bytes:
    head = request("POST", "/v1/chat/completions", "Content-Type: application/json", *lines, version=version)
    return head + body


LENGTH = f"Content-Length: {len(BODY)}"
MALFORMED = {
    "length and chunks": chat(LENGTH, "Transfer-Encoding: chunked", body=CHUNKED),
    "chunks and length": chat("Transfer-Encoding: chunked", "Content-Length: 4", body=CHUNKED),
    "two lengths": chat(LENGTH, "Content-Length: 4"),
    "two equal lengths": chat(LENGTH, LENGTH),
    "a list of lengths": chat(f"{LENGTH}, {len(BODY)}"),
    "a signed length": chat(f"Content-Length: +{len(BODY)}"),
    "a negative length": chat("Content-Length: -1"),
    "a hexadecimal length": chat("Content-Length: 0x10"),
    "an empty length": chat("Content-Length:"),
    "a length with an underscore": chat("Content-Length: 1_0"),
    "unknown coding": chat("Transfer-Encoding: xchunked", body=CHUNKED),
    "coding twice": chat("Transfer-Encoding: chunked", "Transfer-Encoding: chunked", body=CHUNKED),
    "a list of codings": chat("Transfer-Encoding: gzip, chunked", body=CHUNKED),
    "identity coding": chat("Transfer-Encoding: identity", LENGTH),
    "coding hidden by a tab": chat("Transfer-Encoding:\tchunked,", body=CHUNKED),
    "chunks in HTTP/1.0": chat("Transfer-Encoding: chunked", body=CHUNKED, version="1.0"),
    "a negative chunk": chat("Transfer-Encoding: chunked", body=b"-1\r\nx\r\n0\r\n\r\n"),
    "a chunk that is no number": chat("Transfer-Encoding: chunked", body=b"zz\r\nx\r\n0\r\n\r\n"),
    "a chunk with 0x": chat("Transfer-Encoding: chunked", body=b"0x1\r\nx\r\n0\r\n\r\n"),
    "a huge chunk number": chat("Transfer-Encoding: chunked", body=b"f" * 40 + b"\r\nx\r\n0\r\n\r\n"),
    "a chunk longer than it says": chat("Transfer-Encoding: chunked", body=b"1\r\nxyz\r\n0\r\n\r\n"),
    "a chunk that ends in LF": chat("Transfer-Encoding: chunked", body=b"1\nx\n0\n\n"),
    "a bad trailer": chat("Transfer-Encoding: chunked", body=b"0\r\nno colon\r\n\r\n"),
    "a folded header": chat("X-A: b\r\n c", LENGTH),
    "a folded length": chat("Content-Length:\r\n 5"),
    "a folded first header": get("/health", version="1.1\r\n X: y"),
    "bare LF": chat(LENGTH).replace(b"\r\n", b"\n"),
    "one bare LF": chat("X-A: b\nX-B: c", LENGTH),
    "bare CR": chat("X-A: b\rX-B: c", LENGTH),
    "a blank before the colon": chat(f"Content-Length : {len(BODY)}"),
    "NUL in a header": chat("X-A: a\0b", LENGTH),
    "a control character": chat("X-A: a\x01b", LENGTH),
    "NUL in a name": chat("X-\0A: ab", LENGTH),
    "no colon": chat("X-A", LENGTH),
    "an empty name": chat(": b", LENGTH),
    "a name with a blank": chat("X A: b", LENGTH),
    "two hosts": chat("Host: localhost", "Host: 127.0.0.1", LENGTH),
    "an empty host": chat("Host:", LENGTH),
    "a host with a path": chat("Host: localhost/x", LENGTH),
    "a host with a user": chat("Host: me@localhost", LENGTH),
    "a host with a bad port": chat("Host: localhost:http", LENGTH),
    "no host": get("/health").replace(b"Host: localhost\r\n", b""),
    "a URL for another host": request("GET", "http://evil.example/health"),
    "no version": b"GET /health\r\nHost: localhost\r\n\r\n",
    "a lower-case version": b"GET /health http/1.1\r\nHost: localhost\r\n\r\n",
    "two blanks": b"GET  /health HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a blank at the start": b" GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a tab in the line": b"GET\t/health HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a target that is no path": request("GET", "health"),
    "an asterisk": request("GET", "*"),
    "a fragment": request("GET", "/health#x"),
    "another scheme": request("GET", "ftp://localhost/health"),
    "a bad escape": get("/%zz"),
    "half an escape": get("/health%2"),
    "an escaped NUL": get("/health%00"),
    "an escaped line end": get("/health%0d%0aX: y"),
    "bytes that are no UTF-8": get("/%ff%fe"),
    "a byte beyond ASCII": get("/h\xe4lth"),
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(200)),
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
}
STATUSES = {"HTTP/2": 505}


@pytest.fixture(scope="module")
def server():
    with Server() as found:
        yield found


@pytest.mark.parametrize("case", MALFORMED)
def test_what_is_malformed_is_refused_once_and_nothing_is_run(server: Server, case: str) -> None:
    before, raw = len(server.run.asked), MALFORMED[case] + HIDDEN
    for pieces in ((raw,), (raw[:60], raw[60:])):
        (got,) = server.ask(*pieces)
        assert got.status == STATUSES.get(case, 400)
        assert (got.headers["connection"], got.error()["type"]) == ("close", "invalid_request_error")
        assert len(server.run.asked) == before
        assert server.still_serves()


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (get("/health", version="1.2"), 505),
        (get("/health", version="2.0"), 505),
        (get("/health", version="0.9"), 505),
        (request("BREW", "/health", "Connection: close"), 405),
        (request("get", "/health", "Connection: close"), 405),
        (request("QUERY", "/nothing", "Connection: close"), 404),
        (request("X" * 8000, "/health", "Connection: close"), 405),
        (request("CONNECT", "localhost:80"), 405),
        (request("TRACE", "/health", "Connection: close"), 405),
        (request("DELETE", "/v1/models", "Connection: close"), 405),
        (request("OPTIONS", "*", "Connection: close"), 404),
        (get("//v1/models", "Connection: close"), 404),
        (get("/v1/../health", "Connection: close"), 404),
        (get("/%63ontrol/progress", "Connection: close"), 404),
        (get("/control/%70rogress", "Connection: close"), 404),
    ],
)
def test_what_nobody_serves_is_refused_in_the_same_shape(server: Server, raw: bytes, status: int) -> None:
    (got,) = server.ask(raw)
    assert got.status == status
    assert got.error()["message"]
    assert server.still_serves()


def test_trailers_are_read_over_and_change_nothing(server: Server) -> None:
    with_trailer = CHUNKED[:-2] + b"Authorization: Bearer x\r\nX-Request-ID: other\r\n\r\n"
    (got,) = server.ask(
        chat("Transfer-Encoding: Chunked", "X-Request-ID: mine", "Connection: close", body=with_trailer)
    )
    assert (got.status, got.headers["x-request-id"]) == (200, "mine")
