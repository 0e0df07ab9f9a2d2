"""All that is known of one decision, as text that nobody takes for markup."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from nicegui import ui

from edgebed.harmless import harmless
from edgebed.ui.page.panel_table import PanelTable
from edgebed.ui.page.words import one_line, seconds
from edgebed.ui.views import DecisionDetail

LONGEST = 20_000
"""Characters that are shown of a text."""


def show_decision(detail: DecisionDetail, close: Callable[[], object]) -> None:
    """Fill the dialog that is open."""
    view = detail.view
    with ui.element("div").classes("bar").style("justify-content: space-between; width: 100%"):
        with ui.element("h2"):
            ui.label(f"{one_line(view.actor, 60)} at {seconds(view.t_s)}: {one_line(view.outcome, 40)}")
        ui.button("Close", on_click=close).props("flat dense no-caps autofocus")
    ui.label(one_line(view.said, 400)).classes("said")
    with ui.element("dl").classes("facts"):
        for word, value in facts(detail):
            with ui.element("dt"):
                ui.label(word)
            with ui.element("dd"):
                ui.label(value)
    if detail.candidates:
        _part("Candidates, best first")
        PanelTable(("Executor", "Score", "Masked"), ("Score",)).show(
            [
                (i, (one_line(name, 80), "–" if masked else seconds(score), "masked at that moment" if masked else ""))
                for i, (name, score, masked) in enumerate(detail.candidates)
            ]
        )  # fmt: skip
    _part("Choice")
    _text(pretty(detail.choice))
    for i, exchange in enumerate(detail.exchanges):
        with ui.expansion(f"Exchange {i + 1} with the reasoner").props("dense"):
            _text(pretty(exchange))


def facts(detail: DecisionDetail) -> list[tuple[str, str]]:
    """What it was asked for, on what, and what became of it; what was not recorded is left out."""
    landed = "never" if detail.landed_s is None else f"at {seconds(detail.landed_s)}"
    found = [
        ("Asked for by", detail.cause),
        ("Age of its inputs", seconds(detail.inputs_age_s)),
        ("Reasoner", detail.view.reasoner),
        ("Thought for", f"{seconds(detail.thinking_s)}, landed {landed}"),
        ("Reason", detail.reason),
        ("Promised", detail.promised or ""),
        ("What became of it", detail.became or ""),
        ("Refused because", "; ".join(detail.violations)),
    ]
    return [(word, shortened(value)) for word, value in found if value]


def pretty(value: Any) -> str:
    """Whatever was recorded, as indented JSON."""
    return shortened(json.dumps(value, indent=1, ensure_ascii=False, default=str))


def shortened(text: str) -> str:
    """Text of strangers: no control character, and an end."""
    shown = harmless(text)
    return (
        shown if len(shown) <= LONGEST else f"{shown[:LONGEST]}\n… {len(shown) - LONGEST:,} more characters"
    )


def _part(title: str) -> None:
    with ui.element("h3"):
        ui.label(title)


def _text(text: str) -> None:
    ui.label(text).classes("code")
