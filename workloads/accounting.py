"""What became of everything a source read: rows of a trace, planned turns, draws. The sums are checked, not assumed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Accounting:
    """What became of everything a source read: read = emitted + sum of dropped."""

    source: str
    kind: str
    read: int
    emitted: int
    dropped: Mapping[str, int]
    """Reason to count."""

    @property
    def adds_up(self) -> bool:
        """Whether everything read was emitted or dropped for a reason."""
        return self.read == self.emitted + sum(self.dropped.values())

    @property
    def said(self) -> str:
        """`400 read = 383 requests + 17 dropped (empty 17)`; with the sign that holds."""
        lost = sum(self.dropped.values())
        why = ", ".join(f"{reason} {n}" for reason, n in sorted(self.dropped.items()) if n)
        sign = "=" if self.adds_up else "≠"
        return f"{self.read} read {sign} {self.emitted} requests + {lost} dropped" + (
            f" ({why})" if why else ""
        )


def summed(accounts: Iterable[Accounting]) -> list[Accounting]:
    """One account per source over several seeds, in order of the sources."""
    by_source: dict[str, list[Accounting]] = {}
    for account in accounts:
        by_source.setdefault(account.source, []).append(account)
    return [_sum(own) for own in by_source.values()]


def _sum(own: list[Accounting]) -> Accounting:
    dropped: Counter[str] = Counter()
    for account in own:
        dropped.update(account.dropped)
    read, emitted = sum(a.read for a in own), sum(a.emitted for a in own)
    return Accounting(own[0].source, own[0].kind, read, emitted, dict(dropped))
