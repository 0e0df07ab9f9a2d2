"""Case memory of the planner: what was tried under which telemetry, and how it went (MA section V-C).

Bounded and, where it has a file, persistent: the file is rewritten whole after every new case, so that a planner that
restarts, or a later run, begins with the cases of the one before.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from emulation.domain.cluster import Mode, Strict
from emulation.domain.quantities import CountOrNone, Fraction, Range, Seconds, SomeLine
from emulation.jsonl import read_lines
from emulation.recording import write_whole

Demand = Annotated[float, Range(0, 1_000_000_000, "prompts per s")]
Figure = Annotated[float, Range(-1_000_000, 1_000_000)]


class Telemetry(Strict):
    """What cases are compared by: demand and who is there."""

    prompts_per_s: dict[str, Demand]
    """Model to prompts (or requests, for models counted in tokens) that enter per second."""
    absent: tuple[str, ...] = ()
    """Nodes that are away, sorted."""

    def distance(self, other: Telemetry) -> float:
        """0 for equal telemetry: root mean square log ratio of the rates, and 1 for every node that differs."""
        models = sorted(set(self.prompts_per_s) | set(other.prompts_per_s))
        ratios = [
            math.log((self.prompts_per_s.get(m, 0.0) + _LEAST) / (other.prompts_per_s.get(m, 0.0) + _LEAST))
            for m in models
        ]
        demand = math.sqrt(sum(r * r for r in ratios) / max(len(ratios), 1))
        return demand + len(set(self.absent) ^ set(other.absent))


class Case(Strict):
    """One epoch: h = (telemetry, policy, F_norm, T_norm) of the paper, with what its sentences need."""

    telemetry: Telemetry
    p: dict[str, dict[str, Fraction]]
    roles: dict[str, dict[str, Mode]]
    success: dict[str, Fraction]
    """Model to share of requests served in time."""
    latency_s: dict[str, Seconds]
    """Model to mean latency of those, seconds."""
    fairness_norm: Figure
    latency_norm: Figure
    objective: Figure
    """J of MA eq. 10 as it was measured; lower is better."""
    epoch: CountOrNone


class MemoryConfig(Strict):
    """Size and place of the case memory."""

    size: Annotated[int, Range(0, 10_000, "cases")] = 64
    """Cases kept; 0: none, every epoch begins from nothing."""
    file: SomeLine | None = None
    """JSON lines; None: the memory ends with its planner."""
    near: Annotated[float, Range(0.000001, 1_000_000)] = 0.7
    """Distance within which a case counts as like the present one."""


class CaseMemory:
    """Bounded: of more cases than `size`, the oldest that is neither the best nor the worst of its kind goes."""

    def __init__(self, config: MemoryConfig | None = None) -> None:
        self.config = config or MemoryConfig()
        self.cases: list[Case] = []
        if self.config.file is not None:
            self.cases = _read(Path(self.config.file))[-self.config.size :] if self.config.size else []

    def __setstate__(self, state: dict[str, Any]) -> None:
        """In another process, perhaps after the one before died: what the file has by now counts."""
        self.__dict__.update(state)
        file = self.config.file
        if file is not None and self.config.size and Path(file).exists():
            self.cases = _read(Path(file))[-self.config.size :]

    def add(self, case: Case) -> None:
        """Remember a case; with a file, it is there when this returns. Raises `OSError` if it cannot be written.

        Two planners that share this memory both tell of an epoch: the second time it is the same case, though they may
        differ in what they know of its telemetry.
        """
        if self.config.size == 0 or (self.cases and _same(case, self.cases[-1])):
            return
        self.cases.append(case)
        while len(self.cases) > self.config.size:
            self.cases.pop(self._dispensable())
        if self.config.file is not None:
            lines = "".join(c.model_dump_json() + "\n" for c in self.cases)
            write_whole(Path(self.config.file), lines.encode())

    def like(self, telemetry: Telemetry) -> list[tuple[float, Case]]:
        """(distance, case) of the cases within `near`, closest first; the newest first where they are as close."""
        distances = [(telemetry.distance(c.telemetry), -i, c) for i, c in enumerate(self.cases)]
        near = [one for one in distances if one[0] <= self.config.near]
        return [(d, c) for d, _, c in sorted(near, key=lambda one: one[:2])]

    def precedents(self, telemetry: Telemetry, good: int = 2, bad: int = 1) -> tuple[list[Case], list[Case]]:
        """The cases like this one that went best, best first, and worst, worst first.

        No policy is there twice, and none is both good and bad.
        """
        by_policy: dict[str, list[Case]] = {}
        for _, case in self.like(telemetry):
            by_policy.setdefault(_key(case.roles), []).append(case)
        newest = sorted((cases[0] for cases in by_policy.values()), key=lambda c: (c.objective, c.epoch))
        return newest[:good], newest[good:][::-1][:bad]

    def _dispensable(self) -> int:
        order = sorted(range(len(self.cases)), key=lambda i: self.cases[i].objective)
        keep = {*order[: max(len(order) // 4, 1)], order[-1], len(self.cases) - 1}
        return next((i for i in range(len(self.cases)) if i not in keep), 0)


_LEAST = 1e-6
"""Prompts per second below which a rate counts as none."""


def _same(one: Case, other: Case) -> bool:
    return one.model_copy(update={"telemetry": other.telemetry}) == other


def _key(roles: Mapping[str, Mapping[str, Mode]]) -> str:
    active = {n: {m: v for m, v in sorted(r.items()) if v != "off"} for n, r in sorted(roles.items())}
    return repr(active)


def _read(file: Path) -> list[Case]:
    """Cases of a file, oldest first; none if it is not there. Raises `ValueError` naming file and line."""
    if not file.exists():
        return []
    remedy = "; remove the line or the file to begin anew"
    return read_lines(file, Case.model_validate_json, by_hand=True, remedy=remedy)
