"""Random damage to requests: never two answers to one, never a hang, nothing left over."""

from __future__ import annotations

import contextlib
import socket

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from serve_apps.gateway.server.settings import HttpSettings
from tests.build.http_server import CHAT, Server, answers, get, post, read_all, request, send, settled

BODY = orjson.dumps(CHAT)
WHOLE = (
    post("/v1/chat/completions", CHAT),
    post("/v1/completions", {"model": "gpt2", "prompt": "x", "stream": True}),
    request("POST", "/v1/chat/completions", "Content-Type: application/json", "Transfer-Encoding: chunked")
    + b"10\r\n" + BODY[:16] + b"\r\n%x\r\n" % (len(BODY) - 16) + BODY[16:] + b"\r\n0\r\nX-T: y\r\n\r\n",
    post("/v1/responses", {"model": "gpt2", "input": "x"}, "Expect: 100-continue"),
    post("/v1/chat/completions", CHAT, "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c"),
    get("/v1/models/gpt2", "Connection: keep-alive"),
    request("HEAD", "http://localhost/metrics?x=%20"),
)  # fmt: skip
SCRAPS = (
    b"\r\n", b"\n", b"\r", b"\0", b" ", b"\t", b":", b",", b";", b"%", b"\xff", b"0\r\n\r\n", b"\r\n ", b"HTTP/1.1",
    b"chunked", b"Content-Length: 1\r\n", b"Transfer-Encoding: chunked\r\n", b"Host: x\r\n",
    b"Upgrade: h2c\r\nConnection: upgrade\r\n",
    b"-1", b"99999999999", b"ffffffffffffffffff", b"GET / HTTP/1.1\r\n\r\n",
)  # fmt: skip


@st.composite
def corrupted(draw: st.DrawFn) -> list[bytes]:
    """A request with up to four wounds, in up to three packets."""
    raw = draw(st.sampled_from(WHOLE))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(raw)))
        to = min(len(raw), at + draw(st.integers(0, 12)))
        put = draw(st.one_of(st.sampled_from((b"", *SCRAPS)), st.binary(max_size=4)))
        raw = raw[:at] + put + raw[to:]
    cuts = sorted(draw(st.lists(st.integers(0, len(raw)), max_size=2)))
    return [raw[a:b] for a, b in zip([0, *cuts], [*cuts, len(raw)], strict=True) if a < b]


@pytest.fixture(scope="module")
def server():
    with Server(HttpSettings(header_s=0.3, body_s=0.6, quiet_s=0.3, keep_alive_s=0.3, linger_s=0.3)) as found:
        yield found


@pytest.mark.slow
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(pieces=corrupted(), last_word=st.sampled_from((True, True, True, False)))
def test_a_damaged_request_is_answered_at_most_once_and_leaves_nothing(
    server: Server, pieces: list[bytes], last_word: bool
) -> None:
    asked = len(server.run.asked)
    with server.client() as sock:
        for piece in pieces:
            send(sock, piece)
        if last_word:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_WR)
        got = answers(read_all(sock, 20))  # until the server closes: a hang fails below
    assert len(server.run.asked) - asked <= 1
    assert all(g.headers.get("connection") != "close" for g in got[:-1])
    for g in got:
        assert g.status in (200, *range(400, 432), 500, 501, 503, 505)
        assert g.status != 500
        if g.status >= 400 and g.body:
            assert g.error()["message"]
    assert settled(lambda: server.run.serving == 0 and server.books.body_bytes == 0)
    assert settled(lambda: not server.books.connections)
