"""Many comparisons at once: which of them differ by more than so many would by chance.

Twelve live means, each held against its own 95% range, have one outside in 46 of 100 runs although all is well. So a
mean outside its range counts as a disagreement only if it stays one by Holm's procedure over all comparisons of the
check (S. Holm, A simple sequentially rejective multiple test procedure, Scand. J. Statist. 6, 1979): then a check in
which all is well fails in 5 of 100 runs at most, however the comparisons hang together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from edgebed.report.model import ParityRow


def judged(rows: Sequence[ParityRow], risk: float) -> tuple[ParityRow, ...]:
    """The rows; of those that lie outside their range, the ones that chance may have put there are no disagreement.

    `risk`: probability of even one false disagreement among them, if the two worlds are alike.
    """
    tested = [i for i, row in enumerate(rows) if row.chance is not None]
    differ = {tested[i] for i in rejected([rows[i].chance or 0.0 for i in tested], risk)}
    return tuple(
        replace(row, ok=None) if row.outside and row.chance is not None and i not in differ else row
        for i, row in enumerate(rows)
    )


def rejected(chances: Sequence[float], risk: float) -> set[int]:
    """Holm's procedure: places of the probabilities that are too low for chance, from the lowest on."""
    found: set[int] = set()
    for rank, i in enumerate(sorted(range(len(chances)), key=chances.__getitem__)):
        if chances[i] > risk / (len(chances) - rank):
            break
        found.add(i)
    return found
