"""What came of a comparison: figures with their intervals, records, data frames and pictures."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgebed.report.columns import TABLES, Columns
from edgebed.report.figures import SCALARS
from edgebed.report.model import Comparison, LeftOut
from edgebed.report.stats import Interval
from emulation.domain.mistakes import ConfigError, did_you_mean
from emulation.domain.scenario import Scenario
from emulation.metrics.summary import Summary
from emulation.recording import Run

if TYPE_CHECKING:
    import pandas as pd

    from edgebed.report.theme import Drawing


@dataclass(frozen=True, slots=True)
class Result:
    """Schemes on one scenario over the same seeds. Times are in virtual seconds, latencies of served requests only: a
    latency says nothing without the success ratio beside it."""

    comparison: Comparison
    """All that a report is made of."""
    scenario: Scenario
    folder: Path | None
    """Where the records are; None: nowhere but here."""

    @property
    def schemes(self) -> list[str]:
        """In the order of tables and pictures."""
        return list(self.comparison.schemes)

    @property
    def seeds(self) -> list[int]:
        """Every seed that was run, ascending."""
        return list(self.comparison.seeds)

    @property
    def sound(self) -> bool:
        """Whether all was run, the books balance, faults landed and, if that was checked, the two worlds agree."""
        return self.comparison.sound

    @property
    def left_out(self) -> tuple[LeftOut, ...]:
        """Runs that count in no mean, and why."""
        return self.comparison.left_out

    def run(self, scheme: str, seed: int) -> Run:
        """The records of one run: `header`, `requests`, `decisions`, `events`, `executors`. Raises `ConfigError`."""
        return self._found(scheme, seed)[0]

    def summary(self, scheme: str, seed: int) -> Summary:
        """Every figure of one run. Raises `ConfigError`."""
        return self._found(scheme, seed)[1]

    def interval(self, scheme: str, figure: str) -> Interval | None:
        """Mean over seeds and its 95% interval (Student's t, from three seeds on) of a figure of `Summary`, as
        `mean_latency_s`; None if no run measured it. Raises `ConfigError`."""
        self._known(scheme, figure)
        return self.comparison.interval(scheme, figure)

    def difference(self, scheme: str, figure: str) -> Interval | None:
        """The same of the difference to the baseline, paired by seed; None of the baseline. Raises `ConfigError`."""
        self._known(scheme, figure)
        return self.comparison.difference(scheme, figure)

    def columns(self, table: str) -> Columns:
        """A table as plain lists: `requests`, `decisions`, `executors`, `events`, `summaries`, `models` or
        `tenants`.

        A column's name has its unit: `_s` virtual seconds, `_bytes`; shares and ratios are from 0 to 1. None: not
        measured. Raises `ConfigError` for another table.
        """
        if table not in TABLES:
            raise ConfigError(f"table {table!r}: is none; {did_you_mean(str(table), list(TABLES))}")
        return TABLES[table](self.comparison)

    def frame(self, table: str) -> pd.DataFrame:
        """The same as a pandas data frame, a row per request, decision, ... Raises `ConfigError`, or without pandas."""
        try:
            import pandas as pd
        except ImportError as error:
            raise ConfigError(
                "data frames: pandas is not installed; pip install 'edgebed[frames]'"
            ) from error
        return pd.DataFrame(self.columns(table))

    def plots(self) -> dict[str, Drawing]:
        """Every picture of the report by name. A notebook shows one as it is; `save("x.pdf")` writes it as PDF, SVG or
        PNG, and `data()` is what it shows, as columns."""
        from edgebed.report.pictures import pictures

        return pictures(self.comparison)

    def plot(self, name: str) -> Drawing:
        """One of them: `latency-over-time`, `per-model`, ... Raises `ConfigError` for a name that there is not."""
        found = self.plots()
        if name not in found:
            raise ConfigError(
                f"plot {name!r}: is none of this result; {did_you_mean(str(name), list(found))}"
            )
        return found[name]

    def report(self, path: str | Path) -> Path:
        """Write the report, one HTML file that needs nothing else; returns the path. Raises `OSError`."""
        from edgebed.report.html import write_report

        write_report(self.comparison, Path(path))
        return Path(path)

    def paper(self, folder: str | Path) -> Path:
        """Write what a paper takes in, as `edgebed report --paper` does: figures as PDF and SVG, tables in LaTeX, data
        as CSV and (with pyarrow) Parquet; returns the folder. Raises `OSError`."""
        from edgebed.report.paper import write_paper

        write_paper(self.comparison, Path(folder))
        return Path(folder)

    def __str__(self) -> str:
        """The table that the command prints."""
        from rich.console import Console

        from edgebed.report.terminal import print_table

        out = io.StringIO()
        print_table(self.comparison, Console(file=out, width=200, color_system=None, force_jupyter=False))
        return "\n".join(line.rstrip() for line in out.getvalue().splitlines())

    def __repr__(self) -> str:
        where = "in memory" if self.folder is None else f"in {self.folder}"
        seeds = ", ".join(map(str, self.seeds))
        return f"<Result of {self.scenario.name}: {', '.join(self.schemes)}; seeds {seeds}; {where}>"

    def _found(self, scheme: str, seed: int) -> tuple[Run, Summary]:
        self._known(scheme)
        for result in self.comparison.schemes[scheme]:
            if result.summary.seed == seed:
                return result.run, result.summary
        seeds = [r.summary.seed for r in self.comparison.schemes[scheme]]
        raise ConfigError(f"seed {seed!r}: was not run of {scheme}; there are {', '.join(map(str, seeds))}")

    def _known(self, scheme: str, figure: str | None = None) -> None:
        if scheme not in self.comparison.schemes:
            raise ConfigError(f"scheme {scheme!r}: was not run; {did_you_mean(str(scheme), self.schemes)}")
        if figure is not None and figure not in SCALARS:
            hint = did_you_mean(str(figure), list(SCALARS))
            raise ConfigError(f"figure {figure!r}: is none of a run; {hint}")
