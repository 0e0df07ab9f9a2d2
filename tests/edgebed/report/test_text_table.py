"""Tables cannot be built ragged, and a terminal of any width shows every number of them whole."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from typer.testing import CliRunner

from edgebed.commands import console as commands_console
from edgebed.commands.console import print_rows
from edgebed.commands.main import app
from edgebed.report.figures import number
from edgebed.report.tables import main_rows, paired_rows
from edgebed.report.terminal import print_table
from edgebed.report.text_table import TextTable, print_cells
from edgebed.runs.load_summary import print_load
from tests.build.comparisons import synthetic_comparison
from tests.build.terminals import WIDTHS, cut, numbers, shown, terminal, text_of


@pytest.mark.parametrize("cells", [("a", "1"), ("a", "1", "2", "3")], ids=["one too few", "one too many"])
def test_a_table_with_a_row_of_another_length_cannot_be_built(cells: tuple[str, ...]) -> None:
    with pytest.raises(
        ValueError, match=rf"table 'Latency': row 2 has {len(cells)} cells for 3 columns: a, 1"
    ):
        TextTable("Latency", "", ("who", "s", "n"), (("b", "1", "2"), cells))


def test_what_a_command_prints_cannot_be_ragged_either() -> None:
    with pytest.raises(ValueError, match="row 1 has 1 cells for 2 columns"):
        print_rows(("model", "mean"), [("gpt2",)])
    with pytest.raises(ValueError, match="row 1 has 3 cells for 2 columns"):
        print_cells(Console(), "load", ("model", "mean"), [("gpt2", "1", "2")])


words = st.text("abcdefgh", min_size=1, max_size=12)
figures = st.builds(number, st.floats(-9e6, 9e6), st.integers(0, 3))
cells = st.one_of(
    figures,
    st.just(""),
    st.builds("{} ± {}".format, figures, figures),
    st.builds(lambda parts: " ".join(parts), st.lists(st.one_of(words, figures), min_size=1, max_size=12)),
)


@st.composite
def tables(draw: st.DrawFn) -> TextTable:
    """Tables of any shape: prose, intervals, empty cells, headings of several words."""
    width = draw(st.integers(2, 14))
    columns = draw(
        st.lists(st.lists(words, min_size=1, max_size=5).map(" ".join), min_size=width, max_size=width)
    )
    rows = draw(st.lists(st.lists(cells, min_size=width, max_size=width).map(tuple), min_size=1, max_size=5))
    return TextTable("T", "", tuple(columns), tuple(rows), keys=draw(st.integers(1, min(3, width - 1))))


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(tables(), st.sampled_from(WIDTHS))
def test_no_number_is_cut_broken_or_left_out_at_any_width(table: TextTable, width: int) -> None:
    assert not cut(table, width)
    assert "…" not in shown(table, width)


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(tables(), st.sampled_from(WIDTHS))
def test_no_line_is_longer_than_the_terminal(table: TextTable, width: int) -> None:
    assert max(len(line) for line in shown(table, width).splitlines()) <= width


def test_a_wide_table_stands_in_blocks_that_each_say_whose_row_it_is() -> None:
    columns = ("scheme", *(f"figure-{n}" for n in range(12)))
    rows = tuple((name, *(f"{n}.{n}5 ± 0.{n}" for n in range(12))) for name in ("AL", "MA"))
    blocks = shown(TextTable("T", "", columns, rows), 80).count("scheme")
    assert blocks == shown(TextTable("T", "", columns, rows), 80).count("MA ") > 1
    assert shown(TextTable("T", "", columns, rows), 250).count("scheme") == 1


def test_where_one_column_beside_the_keys_is_too_wide_every_row_is_a_list() -> None:
    table = TextTable(
        "T", "", ("scenario", "scheme", "mean"), (("bristol-A-planned", "MA+sect", "98.7 ± 1.2"),), keys=2
    )
    assert shown(table, 28).splitlines() == ["T", "bristol-A-planned · MA+sect", "  mean: 98.7 ± 1.2"]


@pytest.mark.parametrize("width", WIDTHS)
def test_a_comparison_shows_every_figure_whole_at_any_width(width: int) -> None:
    comparison, console = synthetic_comparison(), terminal(width)
    print_table(comparison, console)
    wanted = [c for row in (*main_rows(comparison), *paired_rows(comparison)) for c in row.cells]
    assert not numbers("  ".join(f"{c.text} {c.aside}" for c in wanted)) - numbers(text_of(console))


@pytest.mark.parametrize("width", WIDTHS)
def test_a_load_shows_every_figure_whole_at_any_width(width: int) -> None:
    spread = {"mean": 1234.56, "p50": 1000.25, "p95": 9876.54, "p99": 12345.67}
    row: dict[str, Any] = {
        "sent": 1201, "ends": {"done": 1100, "error": 77, "expired": 24}, "success_ratio": 0.916, "unsent": 3,
        "latency_s": spread, "first_token_s": spread,
        "reasons": [{"reason": "503 overloaded", "count": 77}, {"reason": "too late", "count": 24}],
    }  # fmt: skip
    console = terminal(width)
    print_load({"all": row, "gpt2-large": row}, console)
    found = numbers(text_of(console))
    for figure in ("1201", "1100", "77", "24", "0.916", "1234.56", "9876.54", "12345.67"):
        assert found[figure] >= 2, figure


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("command", ["schemes", "scenarios", "profiles"])
def test_lists_break_no_word_and_no_number(command: str, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    printed, whole = terminal(width), terminal(10_000)
    for console in (printed, whole):
        monkeypatch.setattr(commands_console, "out", console)
        assert CliRunner().invoke(app, [command]).exit_code == 0
    missing = set(text_of(whole).split()) - set(text_of(printed).replace(":", "").split()) - {"·"}
    assert not {word for word in missing if any(c.isdigit() for c in word) and ":" not in word}
