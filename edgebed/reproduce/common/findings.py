"""What a paper or a reference states, and whether it was found here: what the page of a reproduction begins with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from edgebed.report.page import Line
from edgebed.report.text_table import TextTable


@dataclass(frozen=True, slots=True)
class Finding:
    """One statement beside what was measured."""

    where: str
    """Table, figure or testbed."""
    said: str
    """By the paper or the reference, with the tolerance within which it counts as found."""
    found: str
    holds: bool | None
    """None: it was not measured."""

    @property
    def word(self) -> str:
        """The result in words."""
        return {True: "reproduced", False: "not reproduced", None: "not measured"}[self.holds]


def findings_table(findings: Sequence[Finding]) -> TextTable:
    """Every statement with its result."""
    rows = tuple((f.where, f.said, f.found, f.word) for f in findings)
    return TextTable("What was reproduced", "", ("where", "statement", "found here", "result"), rows, keys=2)


NAMED = 4
"""Statements that were not found are named, up to this many of one place."""


def summary(findings: Sequence[Finding]) -> list[Line]:
    """How many statements were found, by where they stand; and what was not, by name."""
    places = dict.fromkeys(f.where for f in findings)
    return [_line(where, [f for f in findings if f.where == where]) for where in places]


def _line(where: str, findings: Sequence[Finding]) -> Line:
    count = Counter(f.holds for f in findings)
    measured = count[True] + count[False]
    missing = [f"{f.said} (here {f.found})" for f in findings if f.holds is False]
    text = f"{where}: {count[True]} of {measured}"
    text += f"; not: {'; '.join(missing[:NAMED])}" if missing else ""
    text += f"; and {len(missing) - NAMED} more" if len(missing) > NAMED else ""
    text += f"; {count[None]} not measured" if count[None] else ""
    if not measured:
        return Line("not measured", text, "muted")
    if not missing:
        return Line("reproduced", text, "good")
    return Line("in part", text, "muted") if count[True] else Line("not reproduced", text, "bad")
