"""Running schemes on seeds, and reading what was run: in virtual time or live, as the command does."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

from edgebed.api.arguments import check_live_only, check_workers, schemes_of, seeds_of, spoken_here
from edgebed.api.result import Result
from edgebed.api.scenarios import scenario_of
from edgebed.commands.console import hushed
from edgebed.commands.options import adjusted, default_folder
from edgebed.report.model import Comparison, compare_runs
from edgebed.runs.asked import Asked, carry_out
from edgebed.runs.comparison import Outcome, check, conclude, nothing_whole
from edgebed.runs.failure import WorkError
from edgebed.runs.layout import Layout, layout_of
from edgebed.runs.virtual import simulate_in_memory
from emulation.domain.mistakes import ConfigError
from emulation.domain.scenario import Lifecycle, Scenario
from emulation.outside import take_up_edits


def compare(
    scenario: Scenario | str | Path,
    schemes: str | Sequence[str],
    seeds: int | Iterable[int] = 0,
    *,
    out: str | Path | None = None,
    resume: bool = False,
    baseline: str | None = None,
    reasoner: str | None = None,
    agents_mode: Literal["choice", "free", "auto"] | None = None,
    live: bool = False,
    speedup: float | None = None,
    lifecycle: Lifecycle | None = None,
    gateways: int | None = None,
    backend: str | None = None,
    address: str | None = None,
    check_parity: bool = False,
    workers: int | None = None,
    quiet: bool = True,
) -> Result:
    """Run every scheme on every seed, on the same requests and events, and return what came of it.

    `scenario`: a packaged name, the path of a file, or a scenario of `load_scenario` or `build_scenario`. `schemes`:
    names as `edgebed schemes` lists them, or `package.module:NAME` of your own. `out`: the folder of the records, by
    default a new one in `runs/` here; with `resume` what it holds already is not run again. `baseline`: the scheme the
    others are compared with, by default the first. `reasoner`: who thinks for agents (`rules`, `openai`, ...).

    In virtual time `workers` run at a time, by default one per core, and of those that ask a language model one.
    `live=True` runs it on Ray under real HTTP load, and takes also `speedup`
    (virtual seconds per wall second), `lifecycle`, `gateways` (processes), `backend` (`emulated`, `real-tiny`),
    `address` (of a Ray cluster) and `check_parity`. Not `quiet`: it says on standard error how far it is.

    A run that fails does not stop the others: `Result.left_out` says why; but where a language model refuses for good,
    no further one that asks it is begun. Raises `ConfigError` naming argument, value
    and fix before anything runs, `WorkError` if no run came to an end, and `KeyboardInterrupt` after an interrupt, when
    what was finished is in the folder.
    """
    given: dict[str, Any] = {
        "speedup": speedup,
        "lifecycle": lifecycle,
        "backend": backend,
        "address": address,
    }
    given["check_parity"] = check_parity
    check_live_only(live, given)
    check_workers(live, workers)
    with spoken_here(), hushed(quiet):
        take_up_edits()
        loaded = adjusted(scenario_of(scenario), speedup, lifecycle, gateways)
        layout = Layout(default_folder(loaded.name) if out is None else Path(out))
        outcome = carry_out(
            Asked(
                scenario=loaded, schemes=schemes_of(schemes), seeds=seeds_of(seeds), layout=layout, reasoner=reasoner,
                agents_mode=agents_mode, baseline=baseline, resume=resume, workers=workers, quiet=quiet, live=live,
                speedup=speedup,
                backend=backend or "emulated", address=address, check_parity=check_parity,
            )
        )  # fmt: skip
        return _concluded(layout, outcome)


def _concluded(layout: Layout, outcome: Outcome) -> Result:
    if outcome.interrupted:
        raise KeyboardInterrupt(f"what was finished is in {layout.root}; give out= and resume=True to go on")
    comparison = conclude(layout, outcome)
    if comparison is None:
        raise WorkError(nothing_whole(layout, outcome.failed))
    return Result(comparison, layout.scenario(), layout.root)


def simulate(scenario: Scenario | str | Path, scheme: str, seed: int = 0) -> Result:
    """Run one scheme on one seed in virtual time, here and in memory: nothing is written.

    Raises `ConfigError` naming argument, value and fix.
    """
    with spoken_here():
        take_up_edits()
        loaded = scenario_of(scenario)
        (name,), (number,) = schemes_of([scheme]), seeds_of(seed)
        check(loaded, [name], seeds=[number])
        return Result(_of_runs([simulate_in_memory(loaded, name, number)], loaded), loaded, None)


def read(folder: str | Path, baseline: str | None = None) -> Result:
    """What a folder holds that `compare`, `simulate`, `demo` or `up` wrote, here or on the command line.

    Raises `ConfigError` for a folder that is none of these, and `emulation.jsonl.RecordError` for a record that cannot
    be read.
    """
    with spoken_here():
        if not isinstance(folder, str | Path):
            raise ConfigError(f"folder {folder!r:.80}: must be the path of a folder")
        layout = layout_of(Path(folder))
        comparison = conclude(layout, baseline=baseline)
        if comparison is None:
            raise ConfigError(nothing_whole(layout))
        return Result(comparison, layout.scenario(), layout.root)


def _of_runs(runs: Sequence[Any], scenario: Scenario) -> Comparison:
    return compare_runs(
        runs,
        scenario.events,
        sites={n.id: n.site for n in scenario.testbed.nodes},
        testbed=scenario.testbed,
        slo=scenario.slo,
        note=scenario.note,
    )
