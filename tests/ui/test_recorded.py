"""A recorded comparison, looked at as a visitor does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest.importorskip("playwright", reason="not installed: playwright (make test-ui)")
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from edgebed.runs.layout import Layout
from tests.build.browser import NARROW, WIDE, PageServer, Visit, Visitor

TABS = ("Live / replay", "Decisions", "Comparison", "Faults & steering", "Costs")


def serious_findings(visitor: Visitor) -> list[str]:
    """What axe-core finds on the page as it is, that keeps somebody out; a dialog that still opens is waited for."""
    expect(visitor.page.locator(".q-dialog__inner--animating")).to_have_count(0)
    visitor.page.wait_for_function(
        "[...document.querySelectorAll('.q-dialog')].every((d) => !d.getAnimations({subtree: true}).length)"
    )
    return [
        f"{v['id']}: {v['help']}: {v['nodes'][0]['html'][:200]}"
        for v in Axe().run(visitor.page).response["violations"]
        if v["impact"] in ("serious", "critical")
    ]


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_every_tab_opens_and_nothing_runs_out_of_the_window(
    visit: Visit, served: PageServer, width: int
) -> None:
    visitor = visit(served.url, width=width).ready()
    for name in TABS:
        visitor.tab(name)
        expect(visitor.page.locator(".nicegui-tab-panel")).to_be_visible()
        too_wide = visitor.page.evaluate("document.documentElement.scrollWidth > window.innerWidth")
        assert not too_wide, f"{name} is wider than {width} px"


def test_the_slider_shows_the_world_as_it_was(visit: Visit, served: PageServer) -> None:
    visitor = visit(served.url).ready()
    visitor.go_to(100)
    expect(visitor.card("arc-b60")).to_contain_text("×3 slower")
    visitor.go_to(40)
    expect(visitor.card("arc-b60")).not_to_contain_text("slower")


def test_the_slider_answers_to_the_keyboard(visit: Visit, served: PageServer) -> None:
    visitor = visit(served.url).ready()
    visitor.go_to(100)
    slider = visitor.page.get_by_role("slider", name="Moment of the run")
    slider.focus()
    before = float(slider.input_value())
    visitor.page.keyboard.press("ArrowLeft")
    assert float(slider.input_value()) < before


def test_playing_moves_on(visit: Visit, served: PageServer) -> None:
    visitor = visit(served.url).ready()
    visitor.go_to(20)
    visitor.page.get_by_role("combobox", name="Speed").select_option("30")
    visitor.page.get_by_role("button", name=re.compile("Play")).click()
    expect(visitor.page.locator(".room-time output")).to_contain_text(re.compile(r"^(1\d\d|2\d\d) s of"))
    visitor.page.get_by_role("button", name=re.compile("Pause|Play")).click()


def test_a_decision_opens_with_its_scores(visit: Visit, served: PageServer) -> None:
    visitor = visit(served.url).ready()
    visitor.go_to(100)
    visitor.page.locator(".room-feed button").filter(has_text="router").first.click()
    detail = visitor.page.locator(".detail")
    expect(detail).to_contain_text(re.compile(r"\d+\.\d+ s"))
    expect(detail).to_contain_text("arc-b60/")
    assert serious_findings(visitor) == []
    visitor.page.keyboard.press("Escape")
    expect(detail).to_be_hidden()


def test_the_comparison_says_who_was_better_and_what_was_done(visit: Visit, served: PageServer) -> None:
    visitor = visit(served.url).ready()
    visitor.tab("Comparison")
    compare = visitor.page.locator(".compare")
    expect(compare.locator(".said")).to_contain_text(re.compile(r"best|No scheme"))
    expect(compare).to_contain_text("At 80 s arc-b60 became 3 times slower, until 160 s.")
    expect(compare.locator("figure svg")).to_have_count(2)
    for scheme in ("AL", "MA (rules)", "sect"):
        expect(compare.get_by_role("rowheader", name=scheme).first).to_be_visible()
    visitor.page.get_by_role("combobox", name="Difference to").click()
    visitor.page.get_by_role("option", name="AL").click()
    expect(compare).to_contain_text("Difference to AL")


def test_two_look_at_different_moments(visit: Visit, served: PageServer) -> None:
    one, other = visit(served.url).ready(), visit(served.url).ready()
    one.go_to(100)
    other.go_to(40)
    expect(one.card("arc-b60")).to_contain_text("×3 slower")
    expect(other.card("arc-b60")).not_to_contain_text("slower")


def test_another_run_is_opened(visit: Visit, served: PageServer) -> None:
    visitor = visit(served.url).ready()
    visitor.page.get_by_label("Run", exact=True).click()
    visitor.page.get_by_role("option", name=re.compile("^AL")).click()
    expect(visitor.page.locator(".chip")).to_have_text("AL")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("tab", TABS)
def test_nobody_is_kept_out(visit: Visit, served: PageServer, scheme: str, tab: str) -> None:
    visitor = visit(served.url, scheme=scheme).ready()
    visitor.tab(tab)
    if tab == "Comparison":
        visitor.page.locator(".compare .said").wait_for()
    assert serious_findings(visitor) == []


def test_a_node_opens_by_keyboard_and_gives_the_focus_back(visit: Visit, served: PageServer) -> None:
    visitor = visit(served.url).ready()
    visitor.go_to(100)
    card = visitor.page.get_by_role("button", name=re.compile("^arc-b60: "))
    first = visitor.page.locator("g.card[tabindex='0']")
    expect(first).to_have_count(1)
    first.focus()
    for _ in range(visitor.page.locator("g.card").count()):
        if card.evaluate("e => e === document.activeElement"):
            break
        visitor.page.keyboard.press("ArrowRight")
    expect(card).to_be_focused()
    visitor.page.keyboard.press("Enter")
    dialog = visitor.page.get_by_role("dialog")
    expect(dialog).to_contain_text("3 times slower than usual")
    assert serious_findings(visitor) == []
    visitor.page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(card).to_be_focused()


REACHED = {
    "map": "g.card",
    "feed": ".room-feed",
    "time": ".room-time",
    "tabs": ".q-tab",
    "runs": ".runs",
    "models": ".bar",
}


def test_everything_can_be_reached_with_the_tab_key(visit: Visit, served: PageServer) -> None:
    page = visit(served.url).ready().page
    missing = dict(REACHED)
    for _ in range(80):
        page.keyboard.press("Tab")
        within = [
            k for k, s in missing.items() if page.evaluate("(s) => !!document.activeElement.closest(s)", s)
        ]
        for name in within:
            del missing[name]
    assert missing == {}


def test_the_window_is_named_after_the_scenario(visit: Visit, served: PageServer, recorded: Path) -> None:
    visitor = visit(served.url).ready()
    expect(visitor.page).to_have_title(f"{Layout(recorded).scenario().name} · edgebed control room")
