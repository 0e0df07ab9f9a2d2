"""Who may not read the page, what nobody may smuggle into it, and how it comes back after its server was gone."""

from __future__ import annotations

import shutil
from pathlib import Path

import httpx2
import orjson
import pytest

pytest.importorskip("playwright", reason="not installed: playwright (make test-ui)")
from playwright.sync_api import expect

from emulation.recording import RECORD_FILE
from tests.build.browser import PageServer, Visit

TOKEN = "look-at-me-5c1e"
SOCKET = "/_nicegui_ws/socket.io/?EIO=4&transport=websocket"
EVIL = '<img src=x onerror="window.evil = 1">'


@pytest.mark.parametrize("path", ["/", SOCKET])
@pytest.mark.parametrize(
    "headers", [{"Host": "evil.example"}, {"Origin": "https://evil.example"}, {"Origin": "null"}], ids=str
)
def test_strangers_are_refused(served: PageServer, path: str, headers: dict[str, str]) -> None:
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
    upgrade |= {"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}
    given = headers | (upgrade if path == SOCKET else {})
    answer = httpx2.get(served.url + path, headers=given)
    assert answer.status_code in (403, 421)
    assert "nicegui" not in answer.text.lower()


def test_a_wrong_token_is_refused_and_the_right_one_opens(
    visit: Visit, recorded: Path, tmp_path: Path
) -> None:
    server = PageServer([str(recorded)], tmp_path / "ui.log", EDGEBED_TOKEN=TOKEN).start()
    try:
        visitor = visit(server.url)
        visitor.page.get_by_label("Token").fill("wrong")
        visitor.page.get_by_role("button", name="Enter").click()
        expect(visitor.page.get_by_role("status")).to_contain_text("not the token")
        visitor.page.get_by_label("Token").fill(TOKEN)
        visitor.page.get_by_role("button", name="Enter").click()
        visitor.ready()
        assert TOKEN not in visitor.page.content()
        assert TOKEN not in server.said()
        visitor.wrong = [w for w in visitor.wrong if "401" not in w]
    finally:
        server.stop()


@pytest.fixture
def hostile(recorded: Path, tmp_path: Path) -> Path:
    """The same comparison, with markup wherever a request, a model or an agent has a word in its record."""
    root = tmp_path / "hostile"
    shutil.copytree(recorded, root)
    for record in root.glob(f"*/seed-*/{RECORD_FILE}"):
        lines = [_smeared(orjson.loads(line)) for line in record.read_bytes().splitlines()]
        record.write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in lines))
    return root


def _smeared(line: dict[str, object]) -> dict[str, object]:
    if line["kind"] == "decision":
        line |= {"reason": EVIL, "cause": EVIL, "promised": EVIL, "violations": [EVIL]}
        if line["actor"] == "scheduler":
            line |= {"choice": {"answer": EVIL}}
    if line["kind"] == "request":
        line |= {"reason": EVIL, "request_id": f"{line['request_id']}{EVIL}"}
    if line["kind"] == "event":
        line |= {"detail": dict(line["detail"]) | {"hint": EVIL}}  # type: ignore[call-overload]
    return line


def test_text_of_others_is_text(visit: Visit, hostile: Path, tmp_path: Path) -> None:
    server = PageServer([str(hostile)], tmp_path / "ui.log").start()
    try:
        visitor = visit(server.url).ready()
        visitor.go_to(100)
        visitor.page.locator(".room-feed button").filter(has_text="router").first.click()
        expect(visitor.page.locator(".detail")).to_contain_text(EVIL)
        visitor.page.keyboard.press("Escape")
        for tab in ("Decisions", "Comparison", "Faults & steering", "Costs"):
            visitor.tab(tab)
            if tab == "Comparison":
                visitor.page.locator(".compare .said").wait_for()
        assert visitor.page.evaluate("window.evil") is None
        assert visitor.page.locator("img[src=x]").count() == 0
    finally:
        server.stop()


def test_the_page_comes_back_with_its_server(visit: Visit, recorded: Path, tmp_path: Path) -> None:
    server = PageServer([str(recorded)], tmp_path / "ui.log").start()
    try:
        visitor = visit(server.url).ready()
        server.stop()
        expect(visitor.page.get_by_role("alertdialog")).to_be_visible()
        server.start()
        expect(visitor.page.get_by_role("alertdialog")).to_be_hidden()
        visitor.ready()
        visitor.go_to(100)
        expect(visitor.card("arc-b60")).to_contain_text("×3 slower")
    finally:
        server.stop()
