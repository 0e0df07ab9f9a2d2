"""Schemes times seeds on one scenario, paired: every scheme gets the same requests and the same events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from edgebed.commands.console import progress_bar, warn
from edgebed.report import Comparison, ParityReport, compare_runs, write_csv, write_report
from edgebed.runs.failure import Failure
from edgebed.runs.folder_runs import FolderRuns, kept_runs
from edgebed.runs.layout import Layout
from edgebed.runs.manifest import check_baseline, manifest_of
from edgebed.runs.virtual import Task, run_tasks
from edgebed.wiring.controllers import build_controllers, check_parameters
from edgebed.wiring.parts import find_scheme
from edgebed.wiring.reasoners import check_reasoner, seeds_apart
from edgebed.wiring.switching import check_switches
from emulation.domain.scenario import Scenario
from emulation.files import ConfigError
from emulation.metrics.shares import share_text
from emulation.metrics.summary import Summary, summarise
from emulation.outside_faults import check_outside_faults
from emulation.recording import Run, read_run
from workloads.accounting import Accounting, summed
from workloads.outside import check_outside
from workloads.traces import check_traces


def check(
    scenario: Scenario, schemes: Sequence[str], live: bool = False, seeds: Sequence[int] = (0,)
) -> None:
    """Everything that can be wrong with names, parameters, recordings and traces, before anything runs on these seeds.
    Raises `ConfigError`.

    What is allowed and yet hardly meant is said as a warning.
    """
    doubled = {s for s in schemes if list(schemes).count(s) > 1}
    if doubled:
        raise ConfigError(f"schemes must differ: {sorted(doubled)} is named twice")
    for name in schemes:
        row = find_scheme(name)
        check_reasoner(row, scenario, live)
        if live or row.router != "oracle":
            for seed in seeds_apart(row, scenario, seeds):
                build_controllers(row, scenario, seed)
    check_parameters(scenario)
    check_switches(scenario, schemes, live, seeds)
    check_traces(scenario)
    check_outside(scenario)
    check_outside_faults(scenario.events)
    for doubt in scenario.doubts():
        warn(doubt)


def compare_virtual(
    scenario: Scenario, schemes: Sequence[str], seeds: Sequence[int], layout: Layout, quiet: bool = False,
    baseline: str | None = None, resume: bool = False, workers: int | None = None,
) -> Outcome:  # fmt: skip
    """Run every scheme on every seed in virtual time, seed by seed; records are in the layout's folders.

    `workers`: runs at a time, by default as `run_tasks` has it. With `resume` what is there and whole is not run again.
    Ctrl-C stops early. Raises `ConfigError` if the folder is not this comparison's.
    """
    wanted = manifest_of(scenario, schemes, seeds, "virtual", baseline)
    manifest = layout.claim(scenario, wanted, resume)
    known = kept_runs(layout).whole if resume else {}
    tasks = [Task(*pair, layout.run_folder(*pair)) for pair in manifest.pairs() if pair not in known]
    outcome = Outcome(dict(known))
    with progress_bar(f"{scenario.name}, virtual", len(tasks), quiet) as bar:
        try:
            for task, failure in run_tasks(scenario, tasks, workers, bar.reach):
                outcome.note(task, failure)
                if failure is None:
                    bar.say(figures(summarise(outcome.runs[task.scheme, task.seed])))
                else:
                    bar.say(f"{task}: {'cut' if failure.refused else 'FAILED'}")
        except KeyboardInterrupt:
            outcome.interrupted = True
            warn("interrupted: reporting what was finished")
    return outcome


@dataclass(slots=True)
class Outcome:
    """What the runs of one command came to."""

    runs: dict[tuple[str, int], Run] = field(default_factory=dict)
    failed: dict[tuple[str, int], str] = field(default_factory=dict)
    """Why a run has no record."""
    interrupted: bool = False
    refused: str = ""
    """Why a reasoner never answers again: that ended one run, and others that would have asked it were not begun."""
    broken: str = ""
    """What else could not be done."""
    parity: ParityReport | None = None

    def note(self, task: Task, failure: Failure | None) -> None:
        """One run ended."""
        pair = (task.scheme, task.seed)
        if failure is None:
            self.runs[pair] = read_run(task.folder)
        elif failure.refused:
            self.refused = failure.said
            warn(f"{task} was cut: {failure.said}")
        else:
            self.failed[pair] = failure.said
            warn(f"{task} FAILED: {failure.said}")


def conclude(
    layout: Layout, outcome: Outcome | None = None, baseline: str | None = None, note: str = ""
) -> Comparison | None:
    """What a folder holds as a comparison; None if no run of it is whole.

    A report that is asked for of cut runs alone (no `outcome`) shows these, each marked.

    The same for the command that made the runs and for a report later. Raises `ConfigError` or `RecordError` if
    something in the folder does not belong there, and for a baseline that it does not have.
    """
    scenario = layout.scenario()
    made = outcome or Outcome()
    kept = kept_runs(layout, made.runs, made.failed)
    runs = kept.runs() or (list(kept.cut.values()) if outcome is None else [])
    if not runs:
        return None
    chosen = _baseline(baseline or kept.baseline, runs, given=baseline is not None)
    return comparison_of(kept, runs, scenario, chosen, made.parity or layout.parity(), note)


def comparison_of(
    kept: FolderRuns,
    runs: Sequence[Run],
    scenario: Scenario,
    baseline: str | None = None,
    parity: ParityReport | None = None,
    note: str = "",
) -> Comparison:
    """Runs of one experiment as tables and reports want them, with every check that what is kept allows.

    Raises `ValueError` for a baseline that was not run.
    """
    return compare_runs(
        runs,
        scenario.events,
        baseline=baseline,
        sites={n.id: n.site for n in scenario.testbed.nodes},
        testbed=scenario.testbed,
        slo=scenario.slo,
        parity=parity,
        note=note or scenario.note,
        left_out=kept.left_out,
        remarks=kept.said(),
        workload=_read(kept.workload, runs),
    )


def _read(found: Mapping[tuple[str, int], tuple[Accounting, ...]], runs: Sequence[Run]) -> list[Accounting]:
    """What the sources read, summed over seeds: each seed once, as all schemes are asked the same; of a seed, a run
    whose sources do not add up if there is one."""
    shown = {(run.header.scheme, run.header.seed) for run in runs}
    by_seed: dict[int, tuple[Accounting, ...]] = {}
    for pair, own in found.items():
        if pair in shown and (pair[1] not in by_seed or not all(account.adds_up for account in own)):
            by_seed[pair[1]] = own
    return summed(account for own in by_seed.values() for account in own)


def _baseline(wanted: str | None, runs: Sequence[Run], given: bool) -> str | None:
    schemes = list(dict.fromkeys(run.header.scheme for run in runs))
    if given:
        check_baseline(wanted, schemes)
    return wanted if wanted in schemes else None  # the comparison's own may have no whole run


def nothing_whole(layout: Layout, failed: Mapping[tuple[str, int], str] | None = None) -> str:
    """Why there is nothing to show of a folder."""
    left_out = kept_runs(layout, failed=failed).left_out
    if not left_out:
        return f"{layout.root}: holds no run; give a folder that `edgebed compare` wrote"
    first = ", ".join(f"{o.scheme} seed {o.seed} ({o.how}: {o.why})" for o in left_out[:3])
    more = f" and {len(left_out) - 3} more" if len(left_out) > 3 else ""
    return f"{layout.root}: holds no whole run, so there is nothing to compare: {first}{more}"


def write_files(comparison: Comparison, layout: Layout) -> None:
    """Report and CSV beside the records. Raises `OSError` if they cannot be written; neither is left half-written."""
    if comparison.parity is not None:
        layout.save_parity(comparison.parity)
    write_report(comparison, layout.report)
    write_csv(comparison, layout.root / "summary.csv")


def figures(summary: Summary) -> str:
    """One run in a few words, for progress bars."""
    latency = "no request done" if summary.mean_latency_s is None else f"mean {summary.mean_latency_s:.1f} s"
    success = "" if summary.success_ratio is None else f", success {share_text(summary.success_ratio, 3)}"
    return f"{summary.decided_by} seed {summary.seed}: {latency}{success}"
