"""For whom a request is, and from whose page it comes: strangers' pages reach neither models nor control."""

from __future__ import annotations

import socket

import pytest

from emulation.files import ConfigError
from serve_apps.gateway.server import listener
from serve_apps.gateway.server.hosts import host_of, is_ours
from serve_apps.gateway.server.listener import open_socket
from serve_apps.gateway.server.settings import HttpSettings
from tests.build.http_server import CHAT, Server, get, post, request

CLOSE = "Connection: close"
PAGE = "https://page.example"


@pytest.fixture(scope="module")
def server():
    with Server(HttpSettings(allow_hosts=("gateway.lan", "*.edge.example"), allow_origins=(PAGE,))) as found:
        yield found


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8000", "localhost.evil.example", "edge.example", "xlocalhost"]
)
@pytest.mark.parametrize("path", ["/health", "/v1/models", "/control/progress", "/nothing"])
def test_a_request_for_somebody_else_is_misdirected(server: Server, host: str, path: str) -> None:
    (got,) = server.ask(get(path, f"Host: {host}"))
    assert (got.status, got.error()["code"]) == (421, "wrong_host")
    (got,) = server.ask(request("GET", f"http://{host}{path}", f"Host: {host}"))
    assert got.status == 421


@pytest.mark.parametrize(
    "host",
    [
        "localhost", "LOCALHOST:1234", "localhost.", "127.0.0.1", "127.0.0.1:8000", "127.1.2.3", "[::1]:8000",
        "10.1.2.3", "gateway.lan", "Gateway.LAN:80", "n1.edge.example",
    ],
)  # fmt: skip
def test_a_request_for_us_is_answered(server: Server, host: str) -> None:
    assert [g.status for g in server.ask(get("/health", f"Host: {host}", CLOSE))] == [200]


def test_the_name_it_listens_on_is_its_own() -> None:
    assert is_ours("box.lan", "Box.lan", ())
    assert not is_ours("box.lan", "0.0.0.0", ())
    assert is_ours("anything.example", "0.0.0.0", ("*",))
    assert host_of("[fe80::1]:80") == "fe80::1"


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://localhost:9999", "file://", "https://page.example.evil"]
)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_a_stranger_s_page_is_refused(server: Server, origin: str, method: str) -> None:
    lines = ("Access-Control-Request-Method: POST",) if method == "OPTIONS" else ()
    raw = (
        post("/v1/chat/completions", CHAT, f"Origin: {origin}")
        if method == "POST"
        else request(method, "/v1/models", f"Origin: {origin}", *lines)
    )
    (got,) = server.ask(raw)
    assert (got.status, got.error()["code"]) == (403, "wrong_origin")
    assert "access-control-allow-origin" not in got.headers
    assert not server.run.asked


def test_its_own_page_may_call(server: Server) -> None:
    lines = ("Host: localhost:8000", "Origin: http://localhost:8000", CLOSE)
    assert [g.status for g in server.ask(get("/health", *lines))] == [200]


def test_an_allowed_page_may_call_the_models_and_not_control(server: Server) -> None:
    asks = (
        "Access-Control-Request-Method: POST",
        "Access-Control-Request-Headers: authorization, content-type",
        CLOSE,
    )
    (got,) = server.ask(request("OPTIONS", "/v1/chat/completions", f"Origin: {PAGE}", *asks))
    assert (got.status, got.headers["access-control-allow-origin"]) == (200, PAGE)
    assert "authorization" in got.headers["access-control-allow-headers"]
    (got,) = server.ask(get("/v1/models", f"Origin: {PAGE}", CLOSE))
    assert (got.status, got.headers["access-control-allow-origin"]) == (200, PAGE)
    assert "x-request-id" in got.headers["access-control-expose-headers"]
    for raw in (
        get("/control/progress", f"Origin: {PAGE}"),
        post("/control/block", {"seconds": 1}, f"Origin: {PAGE}"),
    ):
        assert [g.status for g in server.ask(raw)] == [403]


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (request("POST", "/v1/responses", "Content-Length: 99999999999", f"Origin: {PAGE}"), 413),
        (request("POST", "/v1/responses", "Content-Length: x", f"Origin: {PAGE}"), 400),
        (post("/v1/responses", CHAT, "Expect: much", f"Origin: {PAGE}"), 417),
        (get("/" + "x" * 9000, f"Origin: {PAGE}"), 414),
        (get("/v1/zz", f"Origin: {PAGE}", CLOSE), 404),
        (post("/v1/responses", {"model": 5}, f"Origin: {PAGE}", CLOSE), 400),
    ],
)
def test_an_allowed_page_can_read_why_it_was_refused(server: Server, raw: bytes, status: int) -> None:
    (got,) = server.ask(raw)
    assert (got.status, got.headers.get("access-control-allow-origin")) == (status, PAGE)
    assert got.headers["vary"] == "Origin"
    (got,) = server.ask(raw.replace(PAGE.encode(), b"http://evil.example"))
    assert "access-control-allow-origin" not in got.headers


def test_a_preflight_for_what_is_not_allowed_is_refused_in_the_same_shape(server: Server) -> None:
    asks = (f"Origin: {PAGE}", "Access-Control-Request-Method: DELETE", "X-Request-ID: mine", CLOSE)
    (got,) = server.ask(request("OPTIONS", "/v1/models", *asks))
    assert (got.status, got.error()["code"]) == (400, "wrong_preflight")
    assert (got.headers["content-type"], got.headers["x-request-id"]) == ("application/json", "mine")
    assert got.headers["access-control-allow-methods"] == "GET, POST"


def test_an_allowed_page_of_the_internet_may_call_a_gateway_of_a_private_network(server: Server) -> None:
    asks = ("Access-Control-Request-Method: POST", "Access-Control-Request-Private-Network: true", CLOSE)
    (got,) = server.ask(request("OPTIONS", "/v1/responses", f"Origin: {PAGE}", *asks))
    assert (got.status, got.headers["access-control-allow-private-network"]) == (200, "true")


@pytest.mark.parametrize("raw", [get("/v1/models", CLOSE), get("/" + "x" * 9000)])
def test_where_all_pages_are_allowed_every_answer_says_so_alike(raw: bytes) -> None:
    with Server(HttpSettings(allow_origins=("*",))) as server:
        (got,) = server.ask(raw.replace(b"\r\n\r\n", f"\r\nOrigin: {PAGE}\r\n\r\n".encode()))
        assert got.headers["access-control-allow-origin"] == "*"


def test_without_allowed_pages_nothing_is_said_to_any() -> None:
    with Server() as server:
        (got,) = server.ask(request("OPTIONS", "/v1/chat/completions", CLOSE))
        assert (got.status, got.headers["allow"]) == (405, "POST")
        assert [g.status for g in server.ask(get("/v1/models", f"Origin: {PAGE}"))] == [403]


def test_a_port_that_is_answered_on_is_nobody_else_s() -> None:
    with open_socket("127.0.0.1", 0) as ours, socket.socket() as theirs:
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        with pytest.raises(OSError, match="in use"):
            theirs.bind(ours.getsockname())


def test_a_stranger_that_took_the_port_in_between_shares_nothing_with_us(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(listener, "_PAUSE_S", 0.0)
    with socket.socket() as theirs:
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        theirs.bind(("127.0.0.1", 0))
        theirs.listen()
        host, port = theirs.getsockname()
        with pytest.raises(ConfigError, match=f"port {port} .* is in use; give another with --port"):
            open_socket(host, port)
    open_socket(host, port).close()


def test_several_gateways_of_ours_share_a_port() -> None:
    with open_socket("127.0.0.1", 0, shared=True) as one:
        open_socket("127.0.0.1", one.getsockname()[1], shared=True).close()
