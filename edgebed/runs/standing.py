"""A live testbed that stays: `up` leaves it standing in the background, `down` ends it, `inject` plays events on it."""

from __future__ import annotations

import logging
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from edgebed.commands.console import Failed, say
from edgebed.places import standing_file
from edgebed.runs.deaths import note_deaths
from edgebed.runs.layout import UP_LOG, Layout, fresh_folder
from edgebed.runs.live import start_cluster
from edgebed.runs.live_run import run_plan
from edgebed.runs.manifest import manifest_of
from edgebed.runs.room import control_room
from edgebed.runs.virtual import note_of
from edgebed.wiring.preflight import look_at_hosted_model
from emulation.domain.scenario import Scenario
from emulation.files import ConfigError
from serve_apps.observe.logs import logging_to
from serve_apps.records.segments import ENDLESS_S, finish
from serve_apps.records.store import OPEN_FOLDER
from serve_apps.testbed.live import LiveCluster, LiveOptions
from serve_apps.testbed.ports import checked_port
from serve_apps.testbed.standing import say_how_it_ended, stand
from serve_apps.testbed.state import Standing, claimed, read_standing, refuse_second
from serve_apps.wire.messages import RunPlan

logger = logging.getLogger("edgebed")

UP_TIMEOUT_S = 240.0
SAY_S = 10.0
"""Wall seconds between two words that it is still starting."""


def up(options: LiveOptions, layout: Layout, arguments: Sequence[str]) -> Standing:
    """Start the testbed in a process of its own and wait until it serves.

    `arguments` are those `edgebed up` was called with. Raises `ConfigError` if one stands already, the port is taken,
    or it does not come up; its words are in `up.log` in the layout's folder.
    """
    _check_place(options)
    with claimed(standing_file()):
        pass  # the owner does so for good; whoever calls hears at once that it will be refused
    log = fresh_folder(layout.root) / UP_LOG
    options_too = [*arguments, "--foreground", "--out", str(layout.root)]
    command = [sys.executable, "-m", "edgebed.commands.main", "up", *options_too]
    say(f"starting Ray and a process for each model of each node; what they say is in {log} ...")
    with log.open("wb") as words:
        owner = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=words, stderr=words, start_new_session=True
        )
    return _wait_until_up(owner, log)


def _check_place(options: LiveOptions) -> None:
    """Raise `ConfigError` if a testbed stands already or the gateway cannot listen there; writes nothing."""
    refuse_second(standing_file())
    if options.address is None:  # elsewhere it is settled on the machine of the gateway
        checked_port(options.host, options.port)


def serve_in_foreground(
    scenario: Scenario,
    scheme: str,
    seed: int,
    options: LiveOptions,
    layout: Layout,
    keep_bytes: int | None = None,
    ui_port: int | None = None,
) -> None:
    """Own a testbed until SIGTERM or Ctrl-C, then close its record and leave nothing running.

    `keep_bytes`: how much of the record is kept; None: all of it. `ui_port`: of the control room; None: there is none.
    Raises `ConfigError` if a testbed stands already.
    """
    _check_place(options)
    with claimed(standing_file()):
        scenario = scenario.model_copy(update={"events": ()})  # what goes wrong is injected by hand
        layout.claim(scenario, manifest_of(scenario, [scheme], [seed], "live", None))
        with layout.released_unless_begun():
            plan = run_plan(scenario, scheme, seed, layout.run_folder(scheme, seed))
            header = replace(plan.header, horizon_s=ENDLESS_S)
            endless = replace(plan, header=header, endless=True, keep_bytes=keep_bytes)
            lost = _until_taken_down(endless, options, layout, ui_port)
    if lost is not None:
        raise Failed(f"the testbed ended by itself: {lost}; its records are in {layout.root}")


def _until_taken_down(plan: RunPlan, options: LiveOptions, layout: Layout, ui_port: int | None) -> str | None:
    """Stand until SIGTERM or Ctrl-C, or until the testbed cannot go on: then why."""
    scenario, scheme = plan.scenario, plan.header.scheme
    folder, note = layout.run_folder(scheme, plan.seed), note_of(scenario)
    with (
        control_room(layout.root, ui_port),
        logging_to(str(layout.logs.resolve()), "driver"),
        start_cluster(scenario, options) as cluster,
    ):
        look_at_hosted_model(scenario, [scheme])
        note.write(folder)
        cluster.begin_run(plan)
        say(
            f"gateway at {cluster.url}/v1, scheme {scheme}, speedup {scenario.live.speedup:g}; Ctrl-C ends it"
        )
        logger.info("gateway at %s, scheme %s", cluster.url, scheme)
        lost = None
        try:
            lost = stand(cluster, standing_file(), layout.root)
        finally:
            try:
                close_run(cluster, folder, lost)
            finally:
                note_deaths(cluster.lookout.watch, note, folder)
                logger.info("is taken down")
    return lost


def close_run(cluster: LiveCluster, folder: Path, lost: str | None = None) -> None:
    """End the run of a testbed that stayed, and leave word of how that went for whoever took it down.

    `lost`: why it could not go on. Raises what went wrong; what was recorded is kept as far as it came.
    """
    failure = lost or ""
    try:
        try:
            cluster.end_run(interrupted=lost is not None)
        finally:
            if not (
                folder / OPEN_FOLDER
            ).exists():  # else its recorder may still be at work, or `recover` will
                finish(folder)
    except Exception as error:
        failure = "; ".join(filter(None, (lost, f"{type(error).__name__}: {error}")))
        if lost is None:
            raise
    finally:
        say_how_it_ended(standing_file(), failure)


def _wait_until_up(owner: subprocess.Popen[bytes], log: Path) -> Standing:
    began = said = time.monotonic()
    while time.monotonic() < began + UP_TIMEOUT_S:
        if time.monotonic() - said >= SAY_S:
            said = time.monotonic()
            say(f"still starting after {said - began:.0f} s ...")
        standing = read_standing(standing_file())
        if standing is not None and standing.pid == owner.pid:
            return standing
        if owner.poll() is not None:
            break
        time.sleep(0.2)
    owner.terminate()
    last = [line for line in log.read_text(errors="replace").splitlines() if line.strip()][-3:]
    raise ConfigError(f"the testbed did not come up; the end of {log}: " + " | ".join(last))
