"""Processes that send a load. Each reads how to go on from a pipe, so that it stops when its owner is gone."""

from __future__ import annotations

import asyncio
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from emulation.domain.scenario import Scenario
from emulation.recording import write_whole
from serve_apps.wire.keys import API_KEY, read_keys
from workloads.command import load_command, load_environment


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be sent, and when its time 0 is."""

    scenario: Scenario
    seed: int
    rate: float
    t0_wall: float
    speedup: float
    log: Path


class Sending(Protocol):
    """A load on its way."""

    def change(self, rate: float) -> None:
        """Send what is left at another rate."""

    def stop(self) -> None:
        """Send no more; what is on its way is waited for."""

    async def ended(self) -> int:
        """Wait until it is over; its exit code."""


class Senders(Protocol):
    """Starts loads."""

    def start(self, job: Job) -> Sending:
        """Begin one. Raises `OSError` if it cannot be."""


class LocustSenders:
    """With locust, to a gateway."""

    def __init__(self, url: str, keys_file: Path) -> None:
        """`keys_file`: on this machine; holds the key for `/v1`, if one is asked for (`wire/keys.py`)."""
        self._url, self._keys_file = url, keys_file

    def start(self, job: Job) -> Sending:
        """See `Senders`."""
        scenario = job.log.with_suffix(".scenario.json")
        job.log.parent.mkdir(parents=True, exist_ok=True)
        write_whole(scenario, job.scenario.model_dump_json().encode())
        command = load_command(
            scenario, job.seed, self._url, job.t0_wall, job.speedup, job.log, rate=job.rate, steered=True
        )
        key = {name: value for name, value in read_keys(self._keys_file).items() if name == API_KEY}
        with job.log.with_suffix(".words.log").open("wb") as words:
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=words, stderr=subprocess.STDOUT,
                env={**load_environment(), **key}, start_new_session=True,
            )  # fmt: skip
        return _Process(process)


class _Process:
    """A load generator, and the end of the pipe that steers it."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def change(self, rate: float) -> None:
        """See `Sending`."""
        self._tell(f"rate {rate!r}")

    def stop(self) -> None:
        """See `Sending`."""
        self._tell("stop")

    async def ended(self) -> int:
        """See `Sending`."""
        return await asyncio.to_thread(self._process.wait)

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # it has ended by itself
            self._process.stdin.write(f"{line}\n".encode())
            self._process.stdin.flush()
