"""Schemes compared live: every run of a comparison, on as many testbeds as that takes; one run is `live_run.py`."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from edgebed.commands.console import progress_bar, say, warn
from edgebed.runs.client_log import join_client_log
from edgebed.runs.comparison import Outcome
from edgebed.runs.deaths import note_deaths
from edgebed.runs.failure import Failure, WorkError
from edgebed.runs.folder_runs import kept_runs
from edgebed.runs.layout import Layout, clear_run
from edgebed.runs.live_run import run_live
from edgebed.runs.manifest import manifest_of
from edgebed.runs.parity import CLOSED_LOOP_RUNS, parity
from edgebed.runs.room import called, control_room
from edgebed.runs.virtual import note_failure, note_of
from edgebed.wiring.agent_llm import with_agent_llm
from edgebed.wiring.preflight import look_at_hosted_model
from emulation.domain.scenario import Scenario
from emulation.files import ConfigError
from emulation.jsonl import RecordError
from emulation.metrics.view import cut
from serve_apps.engines.loading import LoadFacts
from serve_apps.observe.logs import logging_to
from serve_apps.replica.choice import checked as checked_backends
from serve_apps.testbed.live import LOOPBACK, LiveCluster, LiveOptions
from serve_apps.testbed.ports import checked_port
from workloads.generate import Arrivals

log = logging.getLogger("edgebed")


def compare_live(
    scenario: Scenario,
    schemes: Sequence[str],
    seeds: Sequence[int],
    layout: Layout,
    port: int = 0,
    check_parity: bool = False,
    quiet: bool = False,
    backend: str = "emulated",
    address: str | None = None,
    raylets: bool = False,
    baseline: str | None = None,
    resume: bool = False,
    unprotected: bool = False,
    host: str = LOOPBACK,
    ui_port: int | None = None,
) -> Outcome:
    """Run every scheme on every seed, seed by seed, on one live cluster.

    With `resume` what is there and whole is not run again. Ctrl-C ends the present run early and keeps what was
    recorded. A run that fails leaves why beside its record; the others go on. Nothing is left running. Raises
    `ConfigError` if the folder is not this comparison's, or parity is asked of lifecycle cold: virtual time has no real
    processes to agree with.
    """
    cold = scenario.live.lifecycle == "cold"
    if cold and check_parity:
        raise ConfigError(
            "--check-parity needs lifecycle warm: with cold, start times are this machine's, which virtual time"
            " does not know"
        )
    options = LiveOptions(
        host=host,
        port=port,
        lifecycle=scenario.live.lifecycle,
        backend=backend,
        address=address,
        raylets=raylets,
        gateways=scenario.live.gateways,
        unprotected=unprotected,
    )
    if address is None:  # elsewhere it is settled on the machine of the gateway
        found = checked_port(host, port)  # before anything is started or written
        if ui_port is not None:  # the page must know it, and all testbeds of this comparison have it
            options = replace(options, port=found)
    manifest = layout.claim(scenario, manifest_of(scenario, schemes, seeds, "live", baseline), resume)
    outcome = Outcome(dict(kept_runs(layout).whole) if resume else {})
    left = [pair for pair in manifest.pairs() if pair not in outcome.runs]
    if not left:
        if check_parity:
            _add_parity(outcome, scenario, quiet)
        return outcome
    room = control_room(layout.root, ui_port, None if address else f"http://{called(host)}:{options.port}")
    with layout.released_unless_begun(), room:
        _run_all(scenario, options, left, layout, outcome, quiet)
    if check_parity and not outcome.interrupted:
        _add_parity(outcome, scenario, quiet)
    return outcome


def _run_all(
    scenario: Scenario, options: LiveOptions, left: list[tuple[str, int]], layout: Layout, outcome: Outcome, quiet: bool
) -> None:  # fmt: skip
    """Run all that is left, on as many testbeds as it takes."""
    while left and not outcome.interrupted:
        try:
            left = _run_on_one_testbed(scenario, options, left, layout, outcome, quiet)
        except Exception as error:
            if not (outcome.runs or outcome.failed):
                raise
            why = f"no testbed to run on: {Failure.of(error).said}"
            warn(why)
            left = [pair for pair in left if pair not in outcome.runs and pair not in outcome.failed]
            outcome.failed |= dict.fromkeys(left, why)  # what was made is reported all the same
            left = []


def _run_on_one_testbed(
    scenario: Scenario, options: LiveOptions, left: Sequence[tuple[str, int]], layout: Layout, outcome: Outcome,
    quiet: bool,
) -> list[tuple[str, int]]:  # fmt: skip
    """Run on one testbed what it lasts for; returns what is left to be run on another one, if it could not go on.

    The run in which it broke counts as failed, so that this comes to an end.
    """
    cold = options.lifecycle == "cold"
    replicas = "replicas as they are asked for" if cold else f"{len(scenario.testbed.executors())} replicas"
    say(f"starting Ray, {replicas} on {len(scenario.testbed.nodes)} edge nodes ...")
    began = time.time()
    with logging_to(str(layout.logs.resolve()), "driver"), start_cluster(scenario, options) as cluster:
        say(f"gateway at {cluster.url}/v1 after {time.time() - began:.0f} s")
        look_at_hosted_model(scenario, [scheme for scheme, _ in left])
        for done, pair in enumerate(left):
            if cluster.lookout.settled() is not None:
                warn(
                    f"the testbed cannot go on: {cluster.lookout.watch.lost}; the rest is run on another one"
                )
                return list(left[done:])
            _run_and_note(cluster, scenario, pair, layout, outcome, quiet)
            if outcome.interrupted:
                break
    return []


def _run_and_note(
    cluster: LiveCluster,
    scenario: Scenario,
    pair: tuple[str, int],
    layout: Layout,
    outcome: Outcome,
    quiet: bool,
) -> None:
    """One run, and beside its record what became of it: why it failed, and who died meanwhile."""
    folder = layout.run_folder(*pair)
    sent = Arrivals(scenario, pair[1]).accounting()
    note = note_of(scenario).model_copy(update={"url": cluster.url, "workload": sent})
    try:
        clear_run(folder)
        note.write(folder)
        run = run_live(cluster, scenario, *pair, layout, quiet)
        note_deaths(cluster.lookout.watch, note, folder)
        outcome.runs[pair] = run
    except KeyboardInterrupt:
        outcome.interrupted = True
        warn("interrupted: reporting what was recorded")
        with suppress(RecordError, OSError):  # then there is nothing to report of it
            outcome.runs[pair] = join_client_log(folder)
    except Exception as error:
        failure = Failure.of(error)
        if (lost := cluster.lookout.look()) is not None:
            failure = Failure(lost, failure.trace)
        log.exception("run of %s, seed %d, failed", *pair)
        outcome.failed[pair] = failure.said
        warn(f"{pair[0]}, seed {pair[1]} FAILED: {failure.said}")
        note_failure(folder, note_deaths(cluster.lookout.watch, note, folder), failure, keep_record=True)


def as_live(scenario: Scenario, backend: str = "emulated") -> Scenario:
    """The scenario as it can run live: no true output length crosses HTTP, so `exact` becomes `predicted`.

    Raises `ConfigError` if a backend cannot do what is asked of it; `backend`: where the testbed names none.
    """
    live = scenario.live
    testbed = checked_backends(scenario.testbed, backend, live.speedup, live.lifecycle)
    scenario = with_agent_llm(scenario.model_copy(update={"testbed": testbed}))
    if scenario.length_knowledge != "exact":
        return scenario
    say("live, output lengths are predicted: the scenario's `exact` knowledge of them cannot cross HTTP")
    return scenario.model_copy(update={"length_knowledge": "predicted"})


def start_cluster(scenario: Scenario, options: LiveOptions) -> LiveCluster:
    """Bring the testbed up, and say what loading real models cost. Raises `ConfigError`, as `LiveCluster.start`."""
    cluster = LiveCluster.start(scenario.testbed, options)
    if scenario.testbed.agent_llm is not None:
        say(f"the agents' model at {scenario.testbed.agent_llm.url}")
    try:
        for node, model, facts in cluster.load_facts():
            say(f"{model} on {node}: {said_of(facts)}")
    except BaseException:
        cluster.stop()
        raise
    return cluster


def said_of(facts: LoadFacts) -> str:
    """What loading a real model cost, in a line."""
    held = f"{facts.ram_mb:.0f} MB of RAM"
    if facts.vram_mb:
        held += f", {facts.vram_mb:.0f} MB of vRAM"
    return (
        f"{facts.parameters / 1e6:.1f} M parameters, {facts.dtype}, {facts.device}, {facts.threads} thread(s), {held}; "
        f"import {facts.import_s:.1f} s, weights {facts.weights_s:.1f} s, first call {facts.first_call_s:.2f} s"
    )


def _add_parity(outcome: Outcome, scenario: Scenario, quiet: bool) -> None:
    """Hold every whole run against virtual time; what goes wrong there takes no table of the live runs with it."""
    runs = [run for run in outcome.runs.values() if not cut(run)]
    try:
        with progress_bar("parity with virtual time", len(runs) * (CLOSED_LOOP_RUNS + 1), quiet) as bar:
            outcome.parity = parity(runs, scenario, on_run=bar.step)
    except KeyboardInterrupt:
        outcome.interrupted = True
        warn("interrupted: parity was not checked to the end, and is left out")
    except (WorkError, RecordError) as error:
        outcome.broken = f"parity could not be checked: {error}"
        warn(outcome.broken)
