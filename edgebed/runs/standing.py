"""A live testbed that stays: `up` leaves it standing in the background, `down` ends it, `load` and `inject` use it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import httpx2
from pydantic import TypeAdapter, ValidationError

from edgebed.commands.console import say
from edgebed.runs.layout import UP_LOG, Layout, fresh_folder
from edgebed.runs.live import run_plan, start_cluster, start_load, stop_load
from edgebed.runs.manifest import manifest_of
from edgebed.runs.virtual import note_of
from emulation.domain.events import Event
from emulation.domain.records import Record, RequestRecord, RunFooter, RunHeader
from emulation.domain.scenario import Scenario
from emulation.domain.slots import slots_until
from emulation.files import ConfigError
from emulation.recording import rows_of, write_records
from serve_apps.testbed.live import LiveCluster, LiveOptions
from serve_apps.testbed.ports import checked_port
from serve_apps.testbed.standing import (
    Standing,
    how_it_ended,
    read_standing,
    read_state,
    say_how_it_ended,
    stand,
)

STATE = Path(os.environ.get("EDGEBED_STATE", Path.home() / ".edgebed" / "testbed.json"))
UP_TIMEOUT_S = 240.0
_ENDLESS_S = 1e9
"""Horizon of a testbed that stays, until it is taken down and its true length is known."""


def up(options: LiveOptions, layout: Layout, arguments: Sequence[str]) -> Standing:
    """Start the testbed in a process of its own and wait until it serves.

    `arguments` are those `edgebed up` was called with. Raises `ConfigError` if one stands already, the port is taken,
    or it does not come up; its words are in `up.log` in the layout's folder.
    """
    standing = read_standing(STATE)
    if standing is not None:
        raise ConfigError(f"a testbed stands already at {standing.url}; end it with `edgebed down`")
    checked_port(options.host, options.port)
    log = fresh_folder(layout.root) / UP_LOG
    options_too = [*arguments, "--foreground", "--out", str(layout.root)]
    command = [sys.executable, "-m", "edgebed.commands.main", "up", *options_too]
    with log.open("wb") as words:
        owner = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=words, stderr=words, start_new_session=True
        )
    return _wait_until_up(owner, log)


def serve_in_foreground(
    scenario: Scenario, scheme: str, seed: int, options: LiveOptions, layout: Layout
) -> None:
    """Own a testbed until SIGTERM or Ctrl-C, then close its record and leave nothing running."""
    checked_port(options.host, options.port)
    scenario = scenario.model_copy(update={"events": ()})  # what goes wrong is injected by hand
    layout.claim(scenario, manifest_of(scenario, [scheme], [seed], "live", None))
    folder = layout.run_folder(scheme, seed)
    note_of(scenario).write(folder)
    plan = run_plan(scenario, scheme, seed, folder)
    endless = replace(plan, header=replace(plan.header, horizon_s=_ENDLESS_S), endless=True)
    with start_cluster(scenario, options) as cluster:
        cluster.begin_run(endless)
        say(
            f"gateway at {cluster.url}/v1, scheme {scheme}, speedup {scenario.live.speedup:g}; Ctrl-C ends it"
        )
        try:
            stand(cluster, STATE, layout.root)
        finally:
            close_run(cluster, folder)


def close_run(cluster: LiveCluster, folder: Path) -> None:
    """End the run of a testbed that stayed, and leave word of how that went for whoever took it down.

    Raises what went wrong; what was recorded is kept as far as it came.
    """
    failure = ""
    try:
        try:
            cluster.end_run()
        finally:
            close_endless(folder)
    except Exception as error:
        failure = f"{type(error).__name__}: {error}"
        raise
    finally:
        say_how_it_ended(STATE, failure)


@dataclass(frozen=True, slots=True)
class Down:
    """A testbed that stood and is gone."""

    folder: str
    failure: str
    """What went wrong on the way, in a line; empty if nothing did."""


def down() -> Down | None:
    """Take the standing testbed down; None if there is none. Raises `ConfigError` if it does not go."""
    standing = read_state(STATE)
    if standing is None:
        return None
    if not standing.end():
        raise ConfigError(f"process {standing.pid} did not end within a minute; look at its up.log")
    STATE.unlink(missing_ok=True)
    return Down(standing.folder, how_it_ended(STATE, standing))


def load(
    scenario: Path | str,
    seed: int,
    speedup: float,
    url: str,
    log: Path,
) -> int:
    """Send a scenario's requests to an OpenAI-compatible URL; returns locust's exit code."""
    log.parent.mkdir(parents=True, exist_ok=True)
    process = start_load(scenario, seed, url, time.time() + 2.0, speedup, log)
    try:
        return process.wait()
    finally:
        stop_load(process)


def inject(url: str, event: dict[str, object], for_s: float) -> int:
    """Play an event on the live testbed from now on for `for_s` virtual seconds; returns its number.

    Raises `ConfigError` with the gateway's own words if it refuses, or if nothing answers.
    """
    token = os.environ.get("EDGEBED_TOKEN")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        progress = httpx2.get(f"{url}/control/progress", headers=headers, timeout=10)
        now_s = float(progress.raise_for_status().json()["t_s"])
        body = {**event, "at_s": now_s, "until_s": now_s + for_s}
        TypeAdapter(Event).validate_python(body)
        answer = httpx2.post(f"{url}/control/inject", json=body, headers=headers, timeout=10)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(p) for p in first["loc"][1:])
        raise ConfigError(f"{event['kind']}: {where} = {first.get('input')!r}: {first['msg']}") from error
    except (httpx2.HTTPError, KeyError, ValueError) as error:
        raise ConfigError(f"no testbed answers at {url} ({error}); start one with `edgebed up`") from error
    if answer.status_code != 200:
        raise ConfigError(f"{url} refused the event: {answer.json()['error']['message']}")
    return int(answer.json()["event"])


def standing_url(url: str | None) -> str:
    """The URL given, or that of the standing testbed. Raises `ConfigError` if there is neither."""
    if url:
        return url.rstrip("/").removesuffix("/v1")
    standing = read_standing(STATE)
    if standing is None:
        raise ConfigError("no testbed stands here; start one with `edgebed up`, or give --url")
    return standing.url


def speedup_of(url: str) -> float | None:
    """Virtual seconds per second of the edgebed testbed at this URL; None for any other server."""
    try:
        return float(httpx2.get(f"{url}/health", timeout=5).json()["speedup"])
    except (httpx2.HTTPError, KeyError, TypeError, ValueError):
        return None


def close_endless(folder: Path) -> None:
    """Give the record of a testbed that stayed its true horizon; every request in it counts. One that was cut stays."""
    rows = rows_of(folder)
    end_s = next((r.t_s for r, _ in rows if isinstance(r, RunFooter)), None)
    if end_s is None:  # it was cut
        return
    slot_s = next(r.slot_s for r, _ in rows if isinstance(r, RunHeader))

    def closed(record: Record) -> Record:
        if isinstance(record, RunHeader):
            return replace(record, horizon_s=end_s, slots=max(1, slots_until(end_s, slot_s)))
        return replace(record, counted=True) if isinstance(record, RequestRecord) else record

    write_records(folder, [(closed(record), side) for record, side in rows])


def _wait_until_up(owner: subprocess.Popen[bytes], log: Path) -> Standing:
    deadline = time.monotonic() + UP_TIMEOUT_S
    while time.monotonic() < deadline:
        standing = read_standing(STATE)
        if standing is not None and standing.pid == owner.pid:
            return standing
        if owner.poll() is not None:
            break
        time.sleep(0.2)
    owner.terminate()
    last = [line for line in log.read_text(errors="replace").splitlines() if line.strip()][-3:]
    raise ConfigError(f"the testbed did not come up; the end of {log}: " + " | ".join(last))
