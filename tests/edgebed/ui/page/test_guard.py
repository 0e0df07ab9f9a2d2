"""Who may read the page, by HTTP and by websocket: no stranger's name, no stranger's page, nobody without the token."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

from edgebed.ui.page import guard
from edgebed.ui.page.guard import COOKIE, Guard
from serve_apps.wire.secret import Secret

TOKEN = "open sesame"
OURS = "http://127.0.0.1:8080"


async def page(request: Any) -> PlainTextResponse:
    return PlainTextResponse("inside")


async def talk(socket: WebSocket) -> None:
    await socket.accept()
    await socket.send_text("inside")
    await socket.close()


def client(token: str | None = None, allow_hosts: tuple[str, ...] = ()) -> TestClient:
    app = Starlette(routes=[Route("/", page), WebSocketRoute("/ws", talk)])
    secret = None if token is None else Secret(token)
    return TestClient(Guard(app, "127.0.0.1", secret, allow_hosts), base_url=OURS, follow_redirects=False)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "SLOW_S", 0.0)


def status(of: TestClient, headers: dict[str, str]) -> tuple[int, bool]:
    """Status of the page, and whether the websocket opens."""
    try:
        with of.websocket_connect("ws://127.0.0.1:8080/ws", headers=headers) as socket:
            opened = socket.receive_text() == "inside"
    except WebSocketDisconnect:
        opened = False
    return of.get("/", headers=headers).status_code, opened


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, (200, True)),
        ({"host": "localhost:8080", "origin": "http://localhost:8080"}, (200, True)),
        ({"host": "rebound.example:8080"}, (421, False)),
        ({"host": ""}, (421, False)),
        ({"host": "a@b"}, (421, False)),
        ({"origin": "http://elsewhere.example"}, (403, False)),
        ({"origin": "http://127.0.0.1:9999"}, (403, False)),
        ({"origin": "null"}, (403, False)),
        ({"origin": OURS}, (200, True)),
    ],
)
def test_only_our_name_and_our_own_page_are_served(
    headers: dict[str, str], expected: tuple[int, bool]
) -> None:
    assert status(client(), headers) == expected


def test_a_name_that_is_allowed_is_ours() -> None:
    assert status(client(allow_hosts=("*.lan",)), {"host": "box.lan:8080"}) == (200, True)


@pytest.mark.parametrize(
    "headers", [{}, {"authorization": "Bearer wrong"}, {"cookie": f"{COOKIE}=wrong"}, {"cookie": ";;=\x01"}]
)
def test_without_the_token_nothing_is_read(headers: dict[str, str]) -> None:
    assert status(client(TOKEN), headers) == (401, False)


def test_whoever_gives_the_token_once_reads_on_without_it() -> None:
    reader = client(TOKEN)
    answer = reader.post("/enter", data={"token": TOKEN}, headers={"origin": OURS})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert {"HttpOnly", "SameSite=Strict"} <= set(answer.headers["set-cookie"].split("; "))
    assert TOKEN not in answer.headers["set-cookie"]
    assert status(reader, {}) == (200, True)


@pytest.mark.parametrize("token", ["wrong", "", TOKEN + "x", "ü", "x" * 100_000])
def test_a_wrong_token_is_refused(token: str) -> None:
    answer = client(TOKEN).post("/enter", data={"token": token})
    assert (answer.status_code, "set-cookie" in answer.headers) == (401, False)


def test_a_strangers_page_cannot_give_a_token() -> None:
    answer = client(TOKEN).post(
        "/enter", data={"token": TOKEN}, headers={"origin": "http://elsewhere.example"}
    )
    assert answer.status_code == 403


def test_a_bearer_of_the_token_reads() -> None:
    assert status(client(TOKEN), {"authorization": f"Bearer {TOKEN}"}) == (200, True)


def test_every_answer_forbids_what_comes_from_elsewhere() -> None:
    for answer in (client().get("/"), client(TOKEN).get("/")):
        assert "default-src 'self'" in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_what_a_stranger_is_called_is_no_markup() -> None:
    answer = client().get("/", headers={"origin": "<script>alert(1)</script>"})
    assert "<script>" not in answer.text
