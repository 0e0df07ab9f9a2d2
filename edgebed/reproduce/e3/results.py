"""Everything that was run, and the rows every table and file is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

from edgebed.report.stats import Interval, mean_interval
from edgebed.reproduce.common.cells import Results, Setting
from edgebed.reproduce.e3.gaps import Gap, easy, gap
from edgebed.reproduce.e3.runs import TaskRun

SAFE, COURTEOUS, ORACLE, PRIOR = "oracle-safe", "oracle-courteous", "oracle", "e3-prior"


@dataclass(frozen=True, slots=True)
class GapRow:
    """Every figure of one scheme in one setting."""

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


class GapResults(Results[TaskRun]):
    """Runs by setting and scheme, compared with the Oracle's; `order` is that of schemes in tables."""

    def __init__(self, settings: Sequence[Setting], order: Sequence[str] = ()) -> None:
        super().__init__(order)
        self.settings = {setting.name: setting for setting in settings}

    def gap(self, setting: str, label: str, reference: str = ORACLE, skip: int = 0) -> Gap | None:
        """Gap over the seeds both have; None where either is missing."""
        ours, best = self.runs(setting, label), self.runs(setting, reference)
        shared = [seed for seed in ours if seed in best]
        if not shared:
            return None
        return gap([ours[s].latencies_s for s in shared], [best[s].latencies_s for s in shared], skip)

    def rows(self) -> list[GapRow]:
        """Every scheme of every setting that has an Oracle beside it."""
        return [
            row
            for setting in self.settings
            for label in self.labels(setting)
            if (row := self.row(setting, label)) is not None
        ]

    def row(self, setting: str, label: str) -> GapRow | None:
        """One row, None if it was not run."""
        ours, to_oracle = list(self.runs(setting, label).values()), self.gap(setting, label)
        mean_s = mean_interval([fmean(o.latencies_s) for o in ours])
        if to_oracle is None or mean_s is None:
            return None
        never, known = self.gap(setting, PRIOR), self.settings[setting]
        stated = sum(o.predictions for o in ours)
        return GapRow(
            setting=setting,
            title=known.title,
            label=label,
            mean_s=mean_s,
            gap=to_oracle,
            gap_after_warmup=self.gap(setting, label, skip=known.skip) if known.skip else None,
            gap_safe=self.gap(setting, label, SAFE),
            gap_courteous=self.gap(setting, label, COURTEOUS),
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
