"""Decisions of agents that wait for somebody: approved, edited and rejected by whoever looks at the page."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("playwright", reason="not installed: playwright (make test-ui)")

from playwright.sync_api import Locator, Page, expect

from edgebed.runs.layout import Layout
from emulation.recording import RECORD_FILE, read_run
from tests.build.browser import PageServer, Visit
from tests.build.standing import Bed

pytestmark = pytest.mark.ray

PATIENT = {"agents": {"approve": {"timeout_s": 100_000.0}}}
WHY = "tried by <b>hand</b>"


@pytest.fixture
def bed(tmp_path: Path) -> Iterator[Bed]:
    made = Bed(tmp_path, "MA", "--reasoner", "random", "--approve", controllers=PATIENT)
    with made.loaded():
        yield made
    made.down()


def test_a_proposal_is_approved_edited_and_rejected(visit: Visit, bed: Bed, tmp_path: Path) -> None:
    server = PageServer([], tmp_path / "ui.log", **bed.environment).start()
    try:
        visitor = visit(server.url).ready()
        visitor.tab("Faults & steering")
        page = visitor.page
        _settle(page, "Approve", "approved")
        edited = _settle(page, "Approve", "edited", _unchanged)
        _settle(page, "Reject", "rejected")
    finally:
        server.stop()
    bed.down()
    run = read_run(Layout(bed.folder).run_folder("MA", 0) / RECORD_FILE)
    verdicts = [d.choice["proposal"] for d in run.decisions if "proposal" in d.choice]
    assert {"approved", "edited", "rejected"} <= {v["outcome"] for v in verdicts}
    assert WHY in {v["why"] for v in verdicts}
    assert edited


def _settle(page: Page, word: str, outcome: str, edit: Any = None) -> str:
    """Do this with the first that waits, and see it among the settled ones; its number."""
    card = page.locator("section.proposal").first
    heading = card.locator("h3").inner_text()
    number = re.findall(r"Proposal (\d+)", heading)[0]
    card = page.locator("section.proposal").filter(has_text=re.compile(rf"Proposal {number} of"))
    if edit is not None:
        edit(card)
    card.get_by_label("reason for the record").fill(WHY)
    card.get_by_role("button", name=f"{word} proposal {number}").click()
    row = page.get_by_role("row", name=re.compile(rf"^{number} \w+"))
    expect(row).to_contain_text(outcome)
    expect(card).to_have_count(0)
    return number


def _unchanged(card: Locator) -> None:
    """Written anew with other spaces: another text, the same command; and what is no JSON cannot be sent."""
    card.get_by_text("The whole of it, to be edited").click()
    text = card.get_by_label(re.compile("as it is to be$"))
    given = text.input_value()
    text.fill("{")
    expect(card.get_by_role("button", name=re.compile("^Approve"))).to_be_disabled()
    text.fill(json.dumps(json.loads(given)))
    expect(card.get_by_role("button", name=re.compile("^Approve"))).to_be_enabled()
