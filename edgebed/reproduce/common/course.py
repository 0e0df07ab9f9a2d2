"""The course of a reproduction: each part is run on all cores and concluded, then everything is written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from os import cpu_count
from pathlib import Path
from time import perf_counter
from typing import Any, Generic, TypeVar

import orjson

from edgebed.commands.console import progress_bar, say, warn
from edgebed.report.page import Line, plain_page
from edgebed.report.text_table import TextTable
from edgebed.report.theme import Drawing
from edgebed.reproduce.common.findings import Finding, findings_table, summary
from edgebed.runs.layout import fresh_folder
from edgebed.runs.pool import each_ended
from emulation.recording import write_whole

Item = TypeVar("Item")
Left = TypeVar("Left")


@dataclass(frozen=True, slots=True)
class Paper:
    """What the page of a reproduction says beside its tables and figures."""

    name: str
    """Of the sub-command."""
    title: str
    intro: str
    """`{took}` stands for what the runs took."""
    deviations: tuple[str, ...]
    """Where ours differs from the paper, and why."""
    ours: tuple[str, ...]
    """Schemes whose rows stand out."""


@dataclass(slots=True)
class Reproduction:
    """What was found, and where it is written."""

    folder: Path
    tables: dict[str, TextTable] = field(default_factory=dict)
    """Stem of its CSV to table, in the order of the page."""
    pictures: dict[str, Drawing] = field(default_factory=dict)
    """Stem of its PNG to picture."""
    findings: list[Finding] = field(default_factory=list)
    """What the paper or a reference states, and whether it was found here: the page begins with it."""
    found: dict[str, Any] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    """Title of a part that was finished to the wall seconds of its runs."""
    failed: dict[str, str] = field(default_factory=dict)
    """A run that is missing to the error that it failed with."""
    interrupted: bool = False
    unwritten: str = ""
    """Which file could not be written, and why."""

    def to_json(self) -> dict[str, Any]:
        """Everything that was found, what the runs took, and the folder."""
        states = {"failed": self.failed, "complete": self.complete}
        return {**self.found, "seconds": self.seconds, **states, "folder": str(self.folder)}

    @property
    def complete(self) -> bool:
        """Whether every run was made."""
        return not self.failed and not self.interrupted and not self.unwritten

    def unless_full(self, write: Callable[[], None]) -> None:
        """Write something; where that fails, note why: hours of runs must not end without their tables."""
        try:
            write()
        except OSError as error:
            self.unwritten = f"{error.filename}: not written: {error.strerror}"

    def _missing(self) -> list[Line]:
        """What was not made and is in no figure."""
        cut = "This reproduction was interrupted; every figure is over the runs that were made."
        failed = [
            Line("FAILED", f"{item}, in no figure: {said}", "bad") for item, said in self.failed.items()
        ]
        return [*([Line("CUT", cut, "bad")] if self.interrupted else []), *failed]

    def write(self, paper: Paper) -> None:
        """Tables and figures as HTML, CSV, PNG and JSON, each file whole or not at all."""
        for stem, picture in self.pictures.items():
            write_whole(self.folder / f"{stem}.png", picture.png())
        tables = {"findings": findings_table(self.findings)} if self.findings else {}
        tables |= self.tables
        for stem, table in tables.items():
            write_whole(self.folder / f"{stem}.csv", table.csv())
        options = orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY
        write_whole(self.folder / "results.json", orjson.dumps(self.to_json(), option=options))
        took = ", ".join(f"{title} {seconds:.0f} s" for title, seconds in self.seconds.items())
        page = plain_page(
            paper.title,
            [paper.intro.format(took=took or "none was finished")],
            [*self._missing(), *summary(self.findings)],
            tuple(tables.values()),
            tuple(self.pictures.values()),
            "Where ours differs from the paper, and why",
            paper.deviations,
            paper.ours,
        )
        write_whole(self.folder / "report.html", page)


@dataclass(frozen=True, slots=True)
class Part(Generic[Item, Left]):
    """Runs to make, and what becomes of them."""

    title: str
    items: Sequence[Item]
    work: Callable[[Item], Left | None]
    """Picklable; None for a run that was cut short, which is left out."""
    take: Callable[[Item, Left], None]
    conclude: Callable[[Reproduction], None]
    """Adds tables, figures and JSON of what was taken, which an interrupt may have left incomplete or empty."""

    def run(self, done: Reproduction, paper: Paper, quiet: bool, workers: int | None) -> None:
        """Make every run and conclude. On Ctrl-C what was finished is concluded before `KeyboardInterrupt` goes on."""
        start_s = perf_counter()
        try:
            with progress_bar(f"reproduce {paper.name}, {self.title}", len(self.items), quiet) as bar:
                for ended in each_ended(self.work, self.items, workers, bar.reach):
                    if ended.failure is not None:
                        done.failed[str(ended.item)] = ended.failure.said
                        warn(f"FAILED {ended.item}: {ended.failure.said}")
                    elif ended.result is not None:
                        self.take(ended.item, ended.result)
                    bar.say(str(ended.item))
            done.seconds[self.title] = round(perf_counter() - start_s, 1)
            say(f"{self.title}: {done.seconds[self.title]:.0f} s on {workers or cpu_count()} cores")
        finally:
            done.unless_full(lambda: self.conclude(done))


def reproduce(
    paper: Paper,
    folder: Path,
    parts: Sequence[Part[Any, Any]],
    quiet: bool = False,
    workers: int | None = None,
) -> Reproduction:
    """Run, measure and write. Ctrl-C reports what was finished; a run that fails is left out, and named.

    Raises `ConfigError` unless the folder is empty.
    """
    done = Reproduction(fresh_folder(folder))
    try:
        for part in parts:
            part.run(done, paper, quiet, workers)
    except KeyboardInterrupt:
        done.interrupted = True
        warn("interrupted: reporting the runs that were finished")
    done.unless_full(lambda: done.write(paper))
    return done
