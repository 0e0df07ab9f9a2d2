"""All outcomes of a reproduction, and the rows every table, file and figure is made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

from edgebed.report.stats import Interval, mean_interval
from edgebed.reproduce.e3.gaps import Gap, easy, gap
from edgebed.reproduce.e3.runs import Outcome, Setting

SAFE, COURTEOUS, ORACLE, PRIOR = "oracle-safe", "oracle-courteous", "oracle", "e3-prior"


@dataclass(frozen=True, slots=True)
class Row:
    """One scheme in one setting."""

    setting: str
    title: str
    label: str
    mean_s: Interval
    """Mean over seeds of the mean latency of all tasks."""
    gap: Gap
    gap_after_warmup: Gap | None
    gap_safe: Gap | None
    """To the Oracle that avoids stutter, where it was run."""
    gap_courteous: Gap | None
    """To the Oracle that is not myopic."""
    stutter_rate: float
    overloaded: float | None
    """Share of pools in which some type is overloaded at some time; None outside the random pools."""
    overloaded_avoiding: float | None
    easy: bool
    reasoner_calls: float
    tool_calls: float
    within_80: float | None
    within_95: float | None

    def to_json(self) -> dict[str, Any]:
        """Plain data; the first three keys are an interface."""
        return {
            "oracle_gap": self.gap.mean.mean,
            "mean_latency_ms": 1000.0 * self.mean_s.mean,
            "stutter_rate": self.stutter_rate,
            **asdict(self),
        }


class Results:
    """Outcomes by setting and label, seeds in order."""

    def __init__(self, settings: Sequence[Setting], order: Sequence[str] = ()) -> None:
        self.settings = list(settings)
        self._order = tuple(order)
        self._found: dict[tuple[str, str], dict[int, Outcome]] = {}

    def add(self, outcome: Outcome) -> None:
        """Take one run in."""
        self._found.setdefault((outcome.setting, outcome.label), {})[outcome.seed] = outcome

    def labels(self, setting: str) -> list[str]:
        """Schemes that were run in a setting, in the order of `order`."""
        place = {label: i for i, label in enumerate(self._order)}
        found = [label for name, label in self._found if name == setting]
        return sorted(found, key=lambda label: place.get(label, len(place)))

    def outcomes(self, setting: str, label: str, seeds: Iterable[int] | None = None) -> list[Outcome]:
        """Runs of one scheme in one setting, by seed."""
        of = self._found.get((setting, label), {})
        return [of[s] for s in sorted(of) if seeds is None or s in set(seeds)]

    def gap(self, setting: str, label: str, reference: str = ORACLE, skip: int = 0) -> Gap | None:
        """Gap over the seeds both have; None where either is missing."""
        shared = (
            self._found.get((setting, label), {}).keys() & self._found.get((setting, reference), {}).keys()
        )
        if not shared:
            return None
        ours, best = self.outcomes(setting, label, shared), self.outcomes(setting, reference, shared)
        return gap([o.latencies_s for o in ours], [o.latencies_s for o in best], skip)

    def rows(self) -> list[Row]:
        """Every scheme of every setting that has an Oracle beside it."""
        return [
            row
            for setting in self.settings
            for label in self.labels(setting.name)
            if (row := self._row(setting, label)) is not None
        ]

    def row(self, setting: str, label: str) -> Row | None:
        """One row, None if it was not run."""
        found = next((s for s in self.settings if s.name == setting), None)
        return None if found is None else self._row(found, label)

    def _row(self, setting: Setting, label: str) -> Row | None:
        ours, to_oracle = self.outcomes(setting.name, label), self.gap(setting.name, label)
        mean_s = mean_interval([fmean(o.latencies_s) for o in ours])
        if to_oracle is None or mean_s is None:
            return None
        never = self.gap(setting.name, PRIOR)
        stated = sum(o.predictions for o in ours)
        return Row(
            setting=setting.name,
            title=setting.title,
            label=label,
            mean_s=mean_s,
            gap=to_oracle,
            gap_after_warmup=self.gap(setting.name, label, skip=setting.skip) if setting.skip else None,
            gap_safe=self.gap(setting.name, label, SAFE),
            gap_courteous=self.gap(setting.name, label, COURTEOUS),
            stutter_rate=fmean(fmean(o.stutters) for o in ours),
            overloaded=_share([o.peak_load for o in ours]),
            overloaded_avoiding=_share([o.peak_load_avoiding for o in ours]),
            easy=never is not None and easy(to_oracle, never),
            reasoner_calls=fmean(o.reasoner_calls for o in ours),
            tool_calls=fmean(o.tool_calls for o in ours),
            within_80=sum(o.within_80 for o in ours) / stated if stated else None,
            within_95=sum(o.within_95 for o in ours) / stated if stated else None,
        )


def _share(loads: Sequence[float | None]) -> float | None:
    known = [load for load in loads if load is not None]
    return sum(load > 1.0 for load in known) / len(known) if known else None
