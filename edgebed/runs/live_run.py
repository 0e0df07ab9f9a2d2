"""One run on a live testbed: controllers to their actors, load from locust, the event plan on wall time, one record."""

from __future__ import annotations

import logging
import subprocess
import time
from pathlib import Path

from edgebed.commands.console import progress_bar, say, warn
from edgebed.runs.answered import check_answered
from edgebed.runs.client_log import CLIENT_LOG, join_client_log
from edgebed.runs.comparison import figures
from edgebed.runs.failure import Failure, WorkError
from edgebed.runs.layout import CASES_FILE, SCENARIO_FILE, Layout
from edgebed.runs.load_process import start_load, stop_load
from edgebed.runs.processes import process_figures, process_line
from edgebed.wiring.controllers import build_controllers, run_header
from edgebed.wiring.parts import find_scheme
from edgebed.wiring.switching import LiveSchemes
from emulation.domain.scenario import Scenario
from emulation.metrics.summary import summarise
from emulation.recording import Run
from serve_apps.testbed.live import LiveCluster
from serve_apps.wire.messages import RunPlan
from workloads.mismatch import world_truth
from workloads.open_loop import GRACE_S, WITHOUT_DEADLINE_S, request_timeout_s

log = logging.getLogger("edgebed")

LEAD_S = 4.0
"""Wall seconds between begin of a run and its virtual time 0, in which locust starts."""
LOOK_S = 0.25
PATIENCE_S = 60.0
"""Wall seconds past the end of a run and what its clients wait for before the load generator is given up."""


def run_live(
    cluster: LiveCluster, scenario: Scenario, scheme: str, seed: int, layout: Layout, quiet: bool = False
) -> Run:
    """One run: controllers to their actors, load from locust, the plan's events, and the joined record."""
    folder = layout.run_folder(scheme, seed)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CLIENT_LOG).unlink(missing_ok=True)
    log.info("run of %s, seed %d, begins", scheme, seed)
    plan = run_plan(scenario, scheme, seed, folder)
    t0_wall = cluster.begin_run(plan, lead_s=LEAD_S)
    load = start_load(
        layout.root / SCENARIO_FILE, seed, cluster.url, t0_wall, scenario.live.speedup, folder / CLIENT_LOG,
        own_run=True,
    )  # fmt: skip
    try:
        _watch(cluster, scenario, scheme, load, t0_wall, quiet)
    except BaseException:
        stop_load(load)
        _end_cut(cluster)
        log.info("run of %s, seed %d, was cut", scheme, seed)
        raise
    stop_load(load)
    cluster.end_run()
    log.info("run of %s, seed %d, is over", scheme, seed)
    run = join_client_log(folder)
    check_answered(folder, cluster.url)
    say(figures(summarise(run)))
    processes = process_figures([run])
    if processes is not None:
        say(f"real processes: {process_line(processes)}")
    return run


def _end_cut(cluster: LiveCluster) -> None:
    """Close the record of a run that was cut, if that can be done: its user is told first why it was cut."""
    try:
        cluster.end_run(interrupted=True)
    except Exception as error:
        warn(f"its record could not be closed: {Failure.of(error).said}")


def _watch(
    cluster: LiveCluster,
    scenario: Scenario,
    scheme: str,
    load: subprocess.Popen[bytes],
    t0_wall: float,
    quiet: bool,
) -> None:
    """Show how far the run is until the load generator is done and every event is undone."""
    speedup, settled_s = scenario.live.speedup, settled_at_s(scenario, 0.0)
    client_s = request_timeout_s(scenario, speedup, WITHOUT_DEADLINE_S, GRACE_S) + GRACE_S  # `load_command`
    last_wall = t0_wall + settled_s / speedup + client_s + PATIENCE_S
    with progress_bar(f"{scheme}, live", settled_s, quiet) as bar:
        while load.poll() is None or _goes_on(scenario, (time.time() - t0_wall) * speedup):
            if cluster.lookout.watch.lost is not None:
                raise WorkError(cluster.lookout.watch.lost)
            progress = cluster.progress()
            said = f"t {max(progress.t_s, 0):.0f} s: {progress.arrived} arrived, {progress.ended} ended"
            bar.update(min(max(progress.t_s, 0.0), settled_s), said)
            if load.poll() is None and time.time() > last_wall:
                warn(f"the load generator did not end {PATIENCE_S:.0f} s after the run; stopping it")
                return
            time.sleep(LOOK_S)
        bar.update(settled_s, said)
    if load.returncode not in (0, None):
        warn(f"locust ended with code {load.returncode}; its words are in locust.log")


def _goes_on(scenario: Scenario, now_s: float) -> bool:
    return now_s < settled_at_s(scenario, now_s)


def settled_at_s(scenario: Scenario, now_s: float) -> float:
    """Virtual seconds until which a run goes on though everybody is served, as known at `now_s`.

    To the end of arrivals and of every event that has begun, unless that would end long after everybody has given up.
    """
    late = [e.until_s for e in scenario.events if scenario.end_s <= e.at_s <= now_s]
    late = [until_s for until_s in late if until_s <= scenario.latest_s]
    return max([scenario.end_s, scenario.settled_s, *late])


def run_plan(scenario: Scenario, scheme: str, seed: int, folder: Path) -> RunPlan:
    """Everything the live processes need for one run; the controllers are those of the virtual world.

    Keep it as long as the run goes on: what agents have spent goes with it.
    """
    row = find_scheme(scheme)
    with_cases = _with_case_file(scenario, folder)
    schemes = LiveSchemes(scheme, with_cases, seed)
    controllers = build_controllers(row, with_cases, seed, accounts=schemes.accounts)
    return RunPlan(
        run_id=f"{scenario.name}-{scheme}-{seed}-{time.time_ns()}",
        scenario=scenario,
        seed=seed,
        header=run_header(scenario, row, seed, "live"),
        truth=world_truth(scenario, seed),
        fast_path=controllers.fast_path,
        folder=str(folder.resolve()),
        planner=controllers.planner,
        scheduler=controllers.scheduler,
        deployers=controllers.deployers,
        schemes=schemes,
    )


def _with_case_file(scenario: Scenario, folder: Path) -> Scenario:
    """The scenario with the planner's cases kept in the run's folder, where it names no file: a live planner may be
    restarted. Cases of an earlier run in that folder are removed."""
    (folder / CASES_FILE).unlink(missing_ok=True)
    controllers = dict(scenario.controllers)
    for name in ("search", "agents"):
        given = dict(controllers.get(name, {}))
        given["memory"] = {"file": str(folder.resolve() / CASES_FILE), **given.get("memory", {})}
        controllers[name] = given
    return scenario.model_copy(update={"controllers": controllers})
