"""The summary of a reproduction: counted as the tables judge, nothing measured counted as found."""

from __future__ import annotations

from edgebed.report.page import plain_page
from edgebed.report.palette import series_looks
from edgebed.report.text_table import TextTable
from edgebed.report.theme import Drawing, line_style
from edgebed.reproduce.common.findings import Finding, findings_table, summary
from edgebed.reproduce.ma.findings import claim_findings, reference_findings
from tests.build.accessible import parsed, problems

FIGURE_5 = TextTable(
    "Figure 5",
    "",
    ("testbed", "scheme", "Tw s", "F_norm", "reference Tw / F_norm", "", "paper"),
    (
        ("A", "RR", "230 ± 3", "0.66", "227 / 0.665", "inside", ""),
        ("A", "RF", "300 ± 3", "0.90", "261 / 0.906", "outside: +15%, -0.006", ""),
        ("A", "MA", "90 ± 2", "0.90", "–", "", "74 s"),
        ("A", "LL", "–", "–", "239 / 0.933", "–", ""),
    ),
    keys=2,
)
CLAIMS = TextTable(
    "What the paper says",
    "",
    ("the paper", "A", "", "B", ""),
    (
        ("RF is slowest", "RF 300 s", "holds", "RR 310 s", "does not hold"),
        ("RL is fair", "–", "", "1.0", "holds"),
    ),
)


def test_rows_inside_and_outside_of_the_reference_are_told_apart() -> None:
    assert [(f.said, f.holds) for f in reference_findings(FIGURE_5)] == [
        ("RR 227 / 0.665", True), ("RF 261 / 0.906", False), ("LL 239 / 0.933", None),
    ]  # fmt: skip


def test_statements_of_the_text_are_judged_per_testbed() -> None:
    assert [(f.where, f.said, f.holds) for f in claim_findings(CLAIMS)] == [
        ("The paper's text, A", "RF is slowest", True),
        ("The paper's text, A", "RL is fair", None),
        ("The paper's text, B", "RF is slowest", False),
        ("The paper's text, B", "RL is fair", True),
    ]


def test_the_summary_counts_and_names_what_was_not_found() -> None:
    lines = summary([*reference_findings(FIGURE_5), *claim_findings(CLAIMS)])
    assert [(line.word, line.text) for line in lines] == [
        (
            "in part",
            "Independent reference, A: 1 of 2; not: RF 261 / 0.906 (here 300 ± 3 / 0.90); 1 not measured",
        ),
        ("reproduced", "The paper's text, A: 1 of 1; 1 not measured"),
        ("in part", "The paper's text, B: 1 of 2; not: RF is slowest (here RR 310 s)"),
    ]


def test_what_was_not_measured_is_not_reproduced() -> None:
    assert summary([Finding("T", "x", "–", None)])[0].word == "not measured"
    assert summary([Finding("T", "x", "y", False)])[0].word == "not reproduced"
    assert summary([]) == []


def test_long_lists_of_what_was_not_found_are_cut_and_counted() -> None:
    (line,) = summary([Finding("T", f"s{i}", "y", False) for i in range(9)])
    assert line.text.endswith("; and 5 more")


def test_a_page_of_a_reproduction_has_no_finding_of_accessibility_and_escapes_what_it_shows() -> None:
    wide = TextTable("Wide", "note", tuple(f"c{i}" for i in range(14)), (("<b>x</b>",) * 14,) * 3, keys=2)
    found = [Finding("T", "<i>s</i>", "y", False)]
    (look,) = series_looks(["one"]).values()
    picture = Drawing(
        "line", "A <line>", "A line that goes up from nothing to one and never comes back.", (3, 2),
        lambda figure: figure.subplots().plot([0, 1], **line_style(look)) and None,
    )  # fmt: skip
    page = plain_page(
        "<T>",
        ["<p>"],
        summary(found),
        [findings_table(found), FIGURE_5, wide],
        [picture],
        "Notes",
        ["<n>"],
        ["RR"],
    ).decode()
    assert problems(page) == []
    root = parsed(page)
    assert next(root.all("h1")).text() == "<T>"
    assert not [e for e in root.all("b", "i") if e.text() in ("x", "s")]
    assert [e.text() for e in root.all("h2")][:2] == ["What was reproduced", "Figure 5"]
    assert page.index(">not reproduced<") < page.index("<nav")
