"""What strangers say is shown and never obeyed: by terminals, by spreadsheets, by whoever reads JSON in a terminal."""

from __future__ import annotations

import io
import json

import pytest
from rich.table import Table

from edgebed.commands import console
from edgebed.harmless import Terminal, harmless_cell, harmless_json

CLEARS = "\x1b[2J"
RENAMES = "\x1b]0;owned\x07"
CLEARS_IN_ONE_BYTE = "\x9b2J"
BACKWARDS = "\u202egnp.exe\u2066"


@pytest.mark.parametrize(
    "evil", [CLEARS, RENAMES, CLEARS_IN_ONE_BYTE, BACKWARDS, "\x08\x08\x08ok", "fail\rok  "]
)
def test_a_terminal_shows_what_would_command_it(evil: str) -> None:
    terminal = Terminal(file=io.StringIO(), width=60, force_terminal=False)
    table = Table("name")
    table.add_row(evil)
    terminal.print(evil)
    terminal.print(table)
    shown = terminal.file.getvalue()  # type: ignore[attr-defined]
    assert all(character.isprintable() or character == "\n" for character in shown)
    assert any(part in shown for part in ("owned", "2J", "gnp.exe", "ok"))


def test_brackets_are_brackets_and_colours_are_ours() -> None:
    terminal = Terminal(file=io.StringIO(), width=60, force_terminal=True, color_system="standard")
    terminal.print("[/red] [link=http://evil.example]x[/link]", style="red", highlight=False)
    shown = terminal.file.getvalue()  # type: ignore[attr-defined]
    assert shown == "\x1b[31m[/red] [link=http://evil.example]x[/link]\x1b[0m\n"


@pytest.mark.parametrize("evil", [CLEARS, RENAMES, CLEARS_IN_ONE_BYTE, BACKWARDS])
def test_json_says_the_same_and_commands_nothing(evil: str) -> None:
    text = json.dumps({"said": evil, "fine": "grüße"}, ensure_ascii=False)
    safe = harmless_json(text)
    assert safe.isprintable()
    assert json.loads(safe) == {"said": evil, "fine": "grüße"}


@pytest.mark.parametrize(
    "formula",
    ["=1+1", "@SUM(A1)", "\t=1", "=cmd|'/c calc'!A1", "+1+cmd|'/c calc'!A1", '-HYPERLINK("http://x")'],
)
def test_a_spreadsheet_computes_no_cell(formula: str) -> None:
    assert harmless_cell(formula).startswith("'")


@pytest.mark.parametrize(
    "cell", ["sect", "+0.672", "-1", "+0.3 (-0.1 to 0.7)", "+12% s", "–", "", 3, None, "a=b", "-"]
)
def test_figures_and_names_stay_as_they_are(cell: object) -> None:
    assert harmless_cell(cell) == cell


def test_a_bar_shows_what_a_server_said_as_it_was_said(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal(file=io.StringIO(), width=200, force_terminal=True)
    monkeypatch.setattr(console, "err", terminal)
    with console.progress_bar("load [/x]", 2) as bar:
        bar.update(1, "1 failed: HTTP 400: \x1b[2J[red]no[/bold]")
    shown = terminal.file.getvalue()  # type: ignore[attr-defined]
    assert "load [/x]" in shown
    assert "[red]no[/bold" in shown
    assert "\x1b[2J" not in shown
