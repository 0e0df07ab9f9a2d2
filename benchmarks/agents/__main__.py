"""MA and e3 with a real, small language model, beside rules, choosers without judgement, and AL.

`python -m benchmarks.agents --server PYTHON` (`make agents-demo`): the small scenario, in virtual time and live on Ray
at speedup 1. `--judge`: a hundred slots in ten epochs in virtual time; its tables go to `results/agents.md`. Each run
of the model is replayed without it. Exit code 1 where an answer was not well formed, fewer than 95 in 100 were
accepted, a role was asked nothing, a request is not accounted for, a replay decides otherwise, or the live comparison
failed.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from benchmarks.agents.accounts import (
    ASKED_COLUMNS,
    DID_COLUMNS,
    OUTCOME_COLUMNS,
    ROLES,
    Answers,
    answers_of,
    asked_rows,
    broken_laws,
    did_rows,
    differing,
    outcome_row,
)
from benchmarks.agents.bed import HERE, MODEL, SEED, folder_of, ran, serving
from controller.agents.reasoner import OPENAI
from edgebed.commands.console import out, print_rows, say
from edgebed.commands.options import default_folder
from edgebed.wiring.preflight import look_at_models
from edgebed.wiring.reasoners import with_reasoner
from emulation.files import load_scenario
from emulation.recording import Run, read_run, write_whole

RESULT = HERE.parent / "results" / "agents.md"
CHOOSERS = ("rules", "random", "first")
LIVE_SLOTS = 8
SHOWN = 8
"""Decisions of a run that are printed; the rest are in its folder."""
Table = tuple[str, Sequence[str], list[tuple[str, ...]]]


@dataclass(slots=True)
class Found:
    """What the runs came to so far."""

    outcomes: list[tuple[str, ...]] = field(default_factory=list)
    asked: list[tuple[str, ...]] = field(default_factory=list)
    did: list[tuple[str, ...]] = field(default_factory=list)
    answers: list[Answers] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def take(self, run: Run) -> None:
        """Add a run; one of a language model is judged."""
        self.outcomes.append(outcome_row(run))
        self.asked += asked_rows(run)
        if run.header.reasoner == OPENAI:
            self.did += did_rows(run)
            self.answers += answers_of(run)
            self.wrong += broken_laws(run)

    def tables(self, where: str) -> list[Table]:
        """What came of the runs, and what was asked."""
        return [
            (f"What came of it, {where}", OUTCOME_COLUMNS, self.outcomes),
            ("What was asked", ASKED_COLUMNS, self.asked),
        ]


def in_virtual_time(scenario_file: Path, root: Path) -> Found:
    """AL, then every scheme that asks by every reasoner; each run of the model is replayed without it."""
    scenario, found = load_scenario(scenario_file), Found()
    look_at_models(with_reasoner(scenario, OPENAI), tuple(ROLES))
    found.take(ran(scenario, "AL", "rules", root))
    for scheme in ROLES:
        for reasoner in (*CHOOSERS, OPENAI):
            say(f"{scheme} by {reasoner}, in virtual time ...")
            found.take(run := ran(scenario, scheme, reasoner, root))
        again = ran(scenario, scheme, f"replay:{folder_of(root, scheme, OPENAI)}", root)
        if others := differing(run, again):
            found.wrong.append(f"{scheme}: its replay without the model differs in {others} decisions")
    return found


def live(root: Path) -> Found:
    """The first slots of the small scenario on Ray, at speedup 1: AL, and what asks the model."""
    small = yaml.safe_load((HERE / "scenario.yaml").read_text())
    small |= {"name": "agents-demo-live", "slots": LIVE_SLOTS, "testbed": str(HERE / "testbed.yaml")}
    root.mkdir(parents=True, exist_ok=True)
    file, folder, found = root / "live.yaml", root / "live", Found()
    write_whole(file, yaml.safe_dump(small, sort_keys=False).encode())
    schemes = ("AL", *ROLES)
    say(f"the first {LIVE_SLOTS} slots of {', '.join(schemes)}, live ...")
    command = [
        sys.executable,
        "-m",
        "edgebed",
        "compare",
        str(file),
        "--schemes",
        ",".join(schemes),
        "--live",
    ]
    done = subprocess.run(
        [*command, "--reasoner", OPENAI, "--seeds", str(SEED), "--out", str(folder)], check=False
    )
    if done.returncode != 0:
        found.wrong.append(f"the live comparison ended with exit code {done.returncode}")
        return found
    for scheme in schemes:
        found.take(read_run(folder / scheme / f"seed-{SEED}"))
    return found


def show(found: Found, where: str, root: Path) -> None:
    """Print the tables, and write what every decision did into the folder."""
    for title, columns, rows in found.tables(where):
        out.print(f"\n{title}")
        print_rows(columns, rows)
    out.print(f"\nWhat the model's choices did (the first {SHOWN} of {len(found.did)})")
    print_rows(DID_COLUMNS, found.did[:SHOWN])
    file = root / f"decisions-{where.split()[0]}.md"
    write_whole(file, _markdown("What the model's choices did", DID_COLUMNS, found.did).encode())
    out.print(f"all of them: {file}", soft_wrap=True)


def page(found: Found, where: str) -> str:
    """The figures of the judged run as a page, whatever they are."""
    answered: list[tuple[str, ...]] = [
        (a.role, str(a.given), str(a.well_formed), str(a.accepted)) for a in found.answers
    ]
    tables: list[Table] = [
        ("Answers of the model", ("role", "answers", "well formed", "accepted"), answered),
        *found.tables(where),
    ]
    verdict = [f"- NOT AS IT MUST BE: {fault}" for fault in found.wrong] or [
        "Every law holds: all answers well formed, at least 95 in 100 accepted, all requests accounted for, and the"
        " replays without the model decide the same."
    ]
    head = [
        f"# What {MODEL} decides",
        "",
        "By `python -m benchmarks.agents --server PYTHON --judge`: ten epochs of ten slots in virtual time, a schema",
        "with every question and a menu of good options; thinking is charged as it took. `random` and `first` choose",
        "without looking.",
        "",
    ]
    return "\n".join([*head, *verdict, "", *(_markdown(*table) for table in tables)])


def _markdown(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [f"## {title}", "", f"| {' | '.join(columns)} |", f"|{'|'.join('---' for _ in columns)}|"]
    return "\n".join(lines + [f"| {' | '.join(row)} |" for row in rows]) + "\n"


def main(argv: Sequence[str] | None = None) -> int:
    """Run it all; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.agents", description=__doc__)
    parser.add_argument("--server", required=True, help="Python of the environment that has the model")
    parser.add_argument("--out", type=Path, help="folder of all files; runs that stand there whole are kept")
    parser.add_argument("--judge", action="store_true", help="the long run that the model is judged by")
    parser.add_argument("--no-live", action="store_true", help="leave Ray out")
    given = parser.parse_args(argv)
    root: Path = given.out or default_folder("agents-judged" if given.judge else "agents-demo")
    with serving(given.server) as url:
        os.environ |= {"EDGEBED_LLM_BASE_URL": url, "EDGEBED_LLM_MODEL": MODEL}
        say(f"{MODEL} answers at {url}")
        found = in_virtual_time(HERE / ("judged.yaml" if given.judge else "scenario.yaml"), root)
        show(found, "virtual time", root)
        wrong = found.wrong
        if given.judge:
            write_whole(RESULT, page(found, "virtual time").encode())
        elif not given.no_live:
            on_ray = live(root)
            show(on_ray, "live", root)
            wrong = wrong + on_ray.wrong
    for fault in wrong:
        out.print(f"NOT AS IT MUST BE: {fault}", soft_wrap=True)
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
