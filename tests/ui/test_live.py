"""A testbed that stands, looked at and steered: what somebody does on the page happens there, and is seen."""

from __future__ import annotations

import re
from collections.abc import Iterator
from statistics import median
from typing import Any

import pytest

pytest.importorskip("playwright", reason="not installed: playwright (make test-ui)")

from playwright.sync_api import expect

from tests.build.browser import SLOW_MS, PageServer, Visit, Visitor
from tests.build.standing import Bed

pytestmark = pytest.mark.ray


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    made = Bed(tmp_path_factory.mktemp("bed"), "AL")
    with made.loaded():
        yield made
    made.down()


@pytest.fixture(scope="module")
def watched(bed: Bed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageServer]:
    server = PageServer([], tmp_path_factory.mktemp("server") / "ui.log", **bed.environment).start()
    yield server
    server.stop()


def series_of(visitor: Visitor, chart: int = 0) -> dict[str, Any]:
    """Points of the lines of a chart, by the id of the line."""
    options = visitor.page.evaluate(
        "(i) => { const e = document.querySelectorAll('.nicegui-echart')[i];"
        " return getElement(Number(e.id.slice(1))).chart.getOption().series; }",
        chart,
    )
    return {s["id"]: s["data"] for s in options}


def test_a_slowdown_is_injected_seen_and_taken_back(visit: Visit, bed: Bed, watched: PageServer) -> None:
    visitor = visit(watched.url).ready()
    page = visitor.page
    expect(page.locator(".room-facts")).to_contain_text(re.compile(r"served in time\s*[1-9]"))
    visitor.tab("Faults & steering")
    page.get_by_role("combobox", name="What happens").click()
    page.get_by_role("option", name="slowdown", exact=True).click()
    page.get_by_role("combobox", name="node").click()
    page.get_by_role("option", name="n1", exact=True).click()
    page.get_by_label("factor").fill("6")
    page.get_by_role("button", name="Let it happen").click()
    expect(visitor.card("n1")).to_contain_text("×6 slower")
    page.get_by_role("button", name=re.compile("^Undo event")).first.click()
    expect(visitor.card("n1")).not_to_contain_text("slower")


def test_a_slowdown_is_in_the_latency_once_it_bites(visit: Visit, bed: Bed, watched: PageServer) -> None:
    visitor = visit(watched.url).ready()
    before = median(y for _, y in series_of(visitor)["own-p95"] if y is not None)
    bed.command("inject", "slowdown", "--node", "n1", "--factor", "20", "--for", "400")
    bed.command("inject", "slowdown", "--node", "n2", "--factor", "20", "--for", "400")
    expect(visitor.card("n2")).to_contain_text("×20 slower")
    visitor.page.wait_for_function(
        "(usual) => { const e = document.querySelectorAll('.nicegui-echart')[0];"
        " const all = getElement(Number(e.id.slice(1))).chart.getOption().series.find((s) => s.id === 'own-p95').data;"
        " return all.slice(-12).filter((p) => p[1] > 3 * usual).length > 2; }",
        arg=before,
        timeout=3 * SLOW_MS,
    )


def test_one_may_go_back_and_return_to_now(visit: Visit, watched: PageServer) -> None:
    visitor = visit(watched.url).ready()
    now = visitor.page.locator(".room-now")
    expect(now).to_have_text("● Live")
    visitor.go_to(10)
    expect(now).to_have_text("Go to now")
    now.click()
    expect(now).to_have_text("● Live")


def test_the_scheme_is_switched_while_it_runs(visit: Visit, watched: PageServer) -> None:
    visitor = visit(watched.url).ready()
    visitor.tab("Faults & steering")
    visitor.page.get_by_role("combobox", name="Scheme").click()
    visitor.page.get_by_role("option", name="sect", exact=True).click()
    visitor.page.get_by_role("button", name="Switch to it").click()
    expect(visitor.page.locator(".about")).to_contain_text("sect decides")
    expect(visitor.page.locator(".chip")).to_contain_text("sect")
