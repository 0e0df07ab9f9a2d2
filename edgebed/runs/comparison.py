"""Schemes times seeds on one scenario, paired: every scheme gets the same requests and the same events."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import TypeAdapter

from edgebed.commands.console import progress_bar, say
from edgebed.report import Comparison, ParityReport, compare_runs, write_csv, write_report
from edgebed.runs.layout import Layout
from edgebed.runs.virtual import Task, run_tasks
from edgebed.wiring.controllers import build_controllers, find_scheme
from edgebed.wiring.reasoners import check_reasoner
from emulation.domain.events import Event
from emulation.domain.scenario import Scenario
from emulation.files import ConfigError
from emulation.metrics.summary import Summary, summarise
from emulation.recording import Run, read_run

_EVENT: TypeAdapter[Event] = TypeAdapter(Event)


def check(scenario: Scenario, schemes: Sequence[str], live: bool = False) -> None:
    """Everything that can be wrong with names and parameters, before anything runs. Raises `ConfigError`."""
    doubled = {s for s in schemes if list(schemes).count(s) > 1}
    if doubled:
        raise ConfigError(f"schemes must differ: {sorted(doubled)} is named twice")
    for name in schemes:
        row = find_scheme(name)
        check_reasoner(row, scenario, live)
        if live or row.router != "oracle":
            build_controllers(row, scenario, 0)


def compare_virtual(
    scenario: Scenario, schemes: Sequence[str], seeds: Sequence[int], layout: Layout, quiet: bool = False
) -> list[Run]:
    """Run every scheme on every seed in virtual time, on all cores; records are in the layout's folders.

    Ctrl-C stops early: what was finished is returned.
    """
    layout.save_scenario(scenario)
    tasks = [Task(s, k, layout.run_folder(s, k)) for s in schemes for k in seeds]
    runs: dict[tuple[str, int], Run] = {}
    with progress_bar(f"{scenario.name}, virtual", len(tasks), quiet) as bar:
        try:
            for task in run_tasks(scenario, tasks):
                run = read_run(task.folder)
                runs[task.scheme, task.seed] = run
                bar.step(figures(summarise(run)))
        except KeyboardInterrupt:
            say(f"interrupted: reporting the {len(runs)} of {len(tasks)} runs that were finished")
    return [runs[t.scheme, t.seed] for t in tasks if (t.scheme, t.seed) in runs]


def conclude(
    runs: Sequence[Run],
    scenario: Scenario,
    layout: Layout,
    parity: ParityReport | None = None,
    note: str = "",
) -> Comparison:
    """Measure the runs, and write report and CSV. Raises `ValueError` if there is no run."""
    sites = {n.id: n.site for n in scenario.testbed.nodes}
    comparison = compare_runs(
        runs, played_events(runs, scenario), sites=sites, parity=parity, note=note or scenario.note
    )
    write_report(comparison, layout.report)
    write_csv(comparison, layout.root / "summary.csv")
    return comparison


def played_events(runs: Sequence[Run], scenario: Scenario) -> list[Event]:
    """The scenario's plan, followed by what was injected by hand while the runs went on, as their records have it."""
    events = list(scenario.events)
    injected = {
        r.event: r.detail["spec"]
        for run in runs
        for r in run.events
        if r.event >= len(events) and "spec" in r.detail
    }
    for number in sorted(injected):
        events.append(_EVENT.validate_python(injected[number]))
    return events


def figures(summary: Summary) -> str:
    """One run in a few words, for progress bars."""
    latency = "no request done" if summary.mean_latency_s is None else f"mean {summary.mean_latency_s:.1f} s"
    success = "" if summary.success_ratio is None else f", success {summary.success_ratio:.2f}"
    return f"{summary.scheme} seed {summary.seed}: {latency}{success}"
