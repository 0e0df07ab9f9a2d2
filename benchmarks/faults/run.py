"""One kind of fault, so many times: on one testbed where that is whole again afterwards, else each on a fresh one."""

from __future__ import annotations

import asyncio
import errno
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from math import inf
from pathlib import Path

import yaml

from benchmarks.faults.bed import LOOK_S, SCENARIO, Bed, NoBed
from benchmarks.faults.kinds import Kind
from benchmarks.faults.laws import Repetition, between, fate, fates, not_in_record, recovery_s
from edgebed.runs.client_log import CLIENT_LOG
from edgebed.runs.load_process import start_load, stop_load
from edgebed.ui.steering.client import Control, NotDone
from serve_apps.testbed.processes import Process
from workloads.load import ClientResult, client_log

RATE_PER_S = 20
SEED = 1
LEAD_S = 4.0
"""Wall seconds in which the load generator starts."""
STARTS_S = 60.0
"""Wall seconds more that it may take on a busy machine; what it should have sent by then it sends at once."""
WARM_S = 2.0
APART_S = 6.0
"""Wall seconds from the end of a fault to the next one, at least."""
STAYS_S = 20.0
"""Wall seconds of load after a machine is gone, until its processes and everybody else must have noticed."""
BACK_S = 45.0
"""Wall seconds within which another process must have taken the place of one that was killed."""
ENDING_S = (0.2, 3.0)
"""Wall seconds after a testbed was asked to end, within which it is struck: what is in flight still ends, or the books
are being closed."""
GONE_S = 90.0
"""Wall seconds within which a testbed that cannot survive must have ended."""
TRIES = 3
"""So often a fault is tried until it lands: a run in which it did not does not count."""
DISK_MB, DISK_MB_PER_S = 8, 0.25
"""Size of the small disk, and what it is larger by for every second of the run: what is recorded meanwhile must find
room, twice when its record is put in order."""


def run(kind: Kind, times: int, folder: Path) -> list[Repetition]:
    """All repetitions of a kind. Everything they write is under the folder, which is made anew."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    if kind.last:
        return [_ending(kind, number, folder / str(number)) for number in range(times)]
    if kind.wears:  # one that is gone stays away
        return [
            replace(_surviving(kind, 1, folder / str(number), number)[0], number=number)
            for number in range(times)
        ]
    return _surviving(kind, times, folder / "all")


def _surviving(kind: Kind, times: int, folder: Path, first: int = 0) -> list[Repetition]:
    length_s = LEAD_S + WARM_S + times * (kind.hold_s + APART_S + 2 * BACK_S)
    with (
        _disk(kind, folder, DISK_MB + int(times * (kind.hold_s + APART_S) * DISK_MB_PER_S)),
        Bed(folder, kind) as bed,
    ):
        marks: list[tuple[float, bool]] = []
        with _loaded(bed, length_s) as t0_wall:
            for number in range(times):
                began_s = time.time() - t0_wall
                landed = any(_strike(kind, bed, first + number) for _ in range(TRIES))
                over_s = time.time() - t0_wall
                _within(BACK_S, lambda over_s=over_s: _answers_since(bed, over_s) or not bed.owner.alive())  # type: ignore[misc]
                time.sleep(STAYS_S if kind.wears else APART_S)
                marks.append((began_s, landed))
                if not bed.owner.alive():
                    break  # it should have survived
        survived = bed.owner.alive()
        code = bed.down()
        left = bed.left_over()
        log = client_log(bed.log)
        done, twice = bed.recorded()
    found = []
    ends_s = [*(from_s for from_s, _ in marks[1:]), inf]
    for number, ((from_s, landed), until_s) in enumerate(zip(marks, ends_s, strict=True)):
        results = between(log, from_s, until_s)
        row = replace(_counted(kind, number, landed, results), recovery_s=recovery_s(results, from_s))
        found.append(replace(row, lost=not_in_record(results, done)))
    everywhere = not_in_record(log, done) - sum(row.lost for row in found)
    last = found[-1]
    found[-1] = replace(
        last, lost=last.lost + everywhere, duplicates=twice, left=left, exit_code=code,
        recovery_s=last.recovery_s if survived else None,
    )  # fmt: skip
    return found


def _answers_since(bed: Bed, over_s: float) -> bool:
    """Whether the last request that ended was answered, and sent after this second of the log."""
    last = client_log(bed.log)[-1]
    return last.sent_s is not None and last.sent_s > over_s and fate(last) == "answered"


def _ending(kind: Kind, number: int, folder: Path) -> Repetition:
    """On a fresh testbed each time, until it landed; one that ends may be gone before it is struck."""
    row = Repetition(kind.name, number, landed=False)
    for attempt in range(TRIES):
        drawn = random.Random(f"{kind.name} {number} {attempt}")
        after_s = drawn.uniform(ENDING_S[0], ENDING_S[1] / (attempt + 1))
        try:
            row = _ended(kind, number, folder / str(attempt), after_s)
        except NoBed as error:
            if attempt == TRIES - 1:
                raise
            print(f"{kind.name} {number}: {error}", file=sys.stderr, flush=True)
        if row.landed:
            break
    return row


def _ended(kind: Kind, number: int, folder: Path, after_s: float) -> Repetition:
    """`after_s`: wall seconds after it was asked to end at which it is struck, where it is."""
    folder.mkdir(parents=True)
    scenario = _short_scenario(folder.with_name(f"{folder.name}.yaml")) if kind.compares else SCENARIO
    with Bed(folder, kind, scenario) as bed:
        with _loaded(bed, LEAD_S + WARM_S + 60.0, own=kind.compares) as t0_wall:
            struck = time.monotonic()
            from_s = time.time() - t0_wall
            if kind.at_end:
                bed.ask_down()
                time.sleep(after_s)
            landed = _strike(kind, bed, number)
            code = bed.ended(GONE_S)
            while time.monotonic() < struck + GONE_S and bed.find(""):
                time.sleep(LOOK_S)
            gone_s = time.monotonic() - struck
            time.sleep(1.0)
        if code is None:
            bed.down()
        left = bed.left_over()
        log = client_log(bed.run_folder / CLIENT_LOG if kind.compares else bed.log)
        done, twice = bed.recorded()
        row = _counted(kind, number, landed, between(log, from_s, inf))
        recovery = gone_s if code is not None and not left else None
        return replace(
            row,
            recovery_s=recovery,
            lost=not_in_record(log, done),
            duplicates=twice,
            left=left,
            exit_code=code,
        )


def _counted(kind: Kind, number: int, landed: bool, results: list[ClientResult]) -> Repetition:
    met = fates(results)
    return Repetition(
        kind.name, number, landed, met["answered"], met["refused"], met["dropped"], met["unanswered"]
    )


def _strike(kind: Kind, bed: Bed, number: int) -> bool:
    """Do it, see that it landed, undo it; true if it did. Which process is drawn from the kind and the repetition."""
    if kind.action == "fill":
        return _fill(bed.layout.root, kind.hold_s)
    if kind.action == "inject":
        return asyncio.run(_injected(bed.url, kind.event, kind.hold_s))
    found = bed.find(kind.target)
    if kind.target.startswith("/raylet/"):
        found = found[1:] if kind.raylets else found[:1]  # the head's was started first
    if not found:
        return False
    victim = random.Random(f"{kind.name} {number}").choice(found)
    if kind.action == "stop":
        return _stop(victim, kind.hold_s)
    victim.send(signal.SIGKILL)
    landed = _within(5.0, lambda: not victim.alive())
    if not kind.last and not kind.wears:
        _within(BACK_S, lambda: len(bed.find(kind.target)) >= len(found) or not bed.owner.alive())
    return landed


async def _injected(url: str, event: Mapping[str, object], hold_s: float) -> bool:
    """Have the testbed play an event, as `edgebed inject` does, and wait until it is over; true if it took effect.

    Its clock is the wall's: the testbed's scenario has speedup 1.
    """
    async with Control(url) as control:
        try:
            number = await control.inject(event, hold_s)
        except NotDone:  # nobody answered in time
            return False
        until_s = time.monotonic() + hold_s + BACK_S
        while time.monotonic() < until_s:
            with suppress(NotDone):  # a busy machine, or whoever would answer was struck
                entry = next(e for e in (await control.events()).events if e.event == number)
                if entry.state in ("over", "missed"):
                    return entry.onset_s is not None
            await asyncio.sleep(LOOK_S)
    return False


def _stop(victim: Process, hold_s: float) -> bool:
    victim.send(signal.SIGSTOP)
    landed = _within(5.0, lambda: _state(victim) == "T")
    time.sleep(hold_s)
    victim.send(signal.SIGCONT)
    return landed


def _state(process: Process) -> str:
    try:
        return Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


def _fill(folder: Path, hold_s: float) -> bool:
    """Take all room of the disk a folder is on, for so long; true if nothing more could be written there."""
    filler, landed = folder / "filler", False
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"\0" * 4096)
        except OSError as error:
            landed = error.errno == errno.ENOSPC
    time.sleep(hold_s)
    filler.unlink()
    return landed


def _within(limit_s: float, what: Callable[[], bool]) -> bool:
    """Wait until something is so; whether it was within so many wall seconds."""
    until_s = time.monotonic() + limit_s
    while not (found := what()) and time.monotonic() < until_s:
        time.sleep(LOOK_S)
    return found


@contextmanager
def _loaded(bed: Bed, length_s: float, own: bool = False) -> Iterator[float]:
    """Constant load, warm when it begins; the epoch second of the log's zero. `own`: `compare` sends it itself."""
    if own:
        log = bed.run_folder / CLIENT_LOG
        _within(120.0, lambda: log.exists() and log.read_bytes().count(b"\n") >= WARM_S * RATE_PER_S)
        last = client_log(log)[-1]
        yield time.time() - last.ended_s
        return
    t0_wall = time.time() + LEAD_S
    scenario = _scenario(bed.folder / "load.yaml", length_s)
    load = start_load(scenario, SEED, bed.url, t0_wall, 1.0, bed.log)
    try:
        time.sleep(LEAD_S + WARM_S)
        _within(STARTS_S, lambda: bed.log.exists() and bed.log.stat().st_size > 0)
        yield t0_wall
    finally:
        stop_load(load)


def _scenario(path: Path, length_s: float) -> Path:
    """The testbed's scenario with as many requests as last so long, written to a file."""
    scenario = yaml.safe_load(SCENARIO.read_text())
    scenario["workload"][0]["count"] = int(length_s * RATE_PER_S)
    scenario["slots"] = max(1, int(length_s / scenario["slot_s"]))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(scenario))
    return path


def _short_scenario(path: Path) -> Path:
    return _scenario(path, 60.0)


@contextmanager
def _disk(kind: Kind, folder: Path, mb: int) -> Iterator[None]:
    """A small disk of its own for what the testbed writes, where the kind is about that. Needs root."""
    if kind.action != "fill":
        yield
        return
    if os.geteuid() != 0:
        raise PermissionError("a full disk needs root: a small tmpfs is mounted")
    place = folder / "disk"
    place.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mb}m", "tmpfs", str(place)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)
