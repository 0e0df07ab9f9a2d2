"""A testbed as a user starts it: `edgebed up --foreground`, or `edgebed compare --live`, in a process of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Self

from benchmarks.faults.kinds import Kind
from edgebed.runs.client_log import CLIENT_LOG
from edgebed.runs.layout import Layout
from edgebed.runs.recover import recover
from emulation.domain.records import RequestRecord
from emulation.domain.request_id import client_id_of
from emulation.jsonl import read_lines
from emulation.recording import RECORD_FILE, SEGMENTS, decode
from serve_apps.testbed.processes import Process, end_marked, marked, process_of
from serve_apps.testbed.state import read_standing

SCENARIO = Path(__file__).with_name("testbed.yaml")
SCHEME = "MA"
UP_S = 180.0
LEFT_S = 15.0
LOOK_S = 0.05


class NoBed(RuntimeError):
    """A testbed did not come up: nothing could be struck."""


class Bed:
    """One testbed with everything it writes in a folder of its own."""

    def __init__(self, folder: Path, kind: Kind, scenario: Path = SCENARIO, keep: str | None = None) -> None:
        """Starts it; `keep`: how much of its record is kept, as `--keep-records` has it.

        Raises `NoBed` with its last words if it does not come up.
        """
        self.folder, self._home = folder, folder / "home"
        self.layout = Layout(folder / "disk" / "run")
        self._home.mkdir(parents=True)
        self.words = folder / "words.log"
        verb = (
            ["compare", str(scenario), "--live", "--schemes"]
            if kind.compares
            else ["up", str(scenario), "--scheme"]
        )
        command = [sys.executable, "-m", "edgebed.commands.main", *verb, SCHEME, "--port", "0"]
        command += ["--out", str(self.layout.root)] + ([] if kind.compares else ["--foreground"])
        command += [] if keep is None else ["--keep-records", keep]
        command += (["--raylets"] if kind.raylets else []) + (
            ["--gateways", str(kind.gateways)] if kind.gateways > 1 else []
        )
        with self.words.open("wb") as words:
            self._owner = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=words, stderr=words, start_new_session=True,
                env=os.environ | {"EDGEBED_HOME": str(self._home)},
            )  # fmt: skip
        owner = process_of(self._owner.pid)
        if owner is None:
            raise NoBed(self.last_words())
        self.owner: Process = owner
        self.url = self._wait(kind)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Leave nothing of it, whatever went wrong with whoever looked at it."""
        if self._owner.poll() is None:
            self._owner.kill()
            self._owner.wait()
        end_marked(self.owner.name)

    @property
    def run_folder(self) -> Path:
        """Where its record is."""
        return self.layout.run_folder(SCHEME, 0)

    @property
    def log(self) -> Path:
        """Where whoever loads it from outside writes its log."""
        return self.folder / CLIENT_LOG

    def find(self, pattern: str) -> list[Process]:
        """Its processes whose command line matches, oldest first."""
        if pattern == "owner":
            return [self.owner] if self.owner.alive() else []
        found = [p for p in marked(self.owner.name) if re.search(pattern, command_of(p))]
        return sorted(found, key=lambda p: (p.started, p.pid))

    def ended(self, limit_s: float) -> int | None:
        """Exit code of its owner; None if it still runs after so many wall seconds."""
        try:
            return self._owner.wait(limit_s)
        except subprocess.TimeoutExpired:
            return None

    def ask_down(self) -> None:
        """Ask its owner to take it down, as Ctrl-C would; it takes its time."""
        self._owner.terminate()

    def down(self) -> int | None:
        """Take it down; the exit code of its owner, None if it had to be killed."""
        self.ask_down()
        code = self.ended(60.0)
        if code is None:
            self._owner.kill()
            self._owner.wait()
        return code

    def left_over(self) -> int:
        """How many of its processes are there although it has ended, after they had time to go; they are then ended."""
        until_s = time.monotonic() + LEFT_S
        while (left := marked(self.owner.name)) and time.monotonic() < until_s:
            time.sleep(LOOK_S)
        end_marked(self.owner.name)
        return len(left)

    def recorded(self) -> tuple[Counter[str], int]:
        """A client's id to how often its request is done in the record; and how many ids stand there twice.

        A record that was cut is closed first, as its user would. Its earlier segments count as well.
        """
        for run in recover(self.run_folder):
            if run.how == "failed":
                raise RuntimeError(f"{run.folder}: cannot be recovered: {run.why}")
        folders = [*(self.layout.root / SEGMENTS).glob(f"*/{self.run_folder.relative_to(self.layout.root)}")]
        lines = [line for f in [*folders, self.run_folder] for line in read_lines(f / RECORD_FILE, decode)]
        requests = [r for r in lines if isinstance(r, RequestRecord)]
        ids = Counter(r.request_id for r in requests)
        done = Counter(client_id_of(r.request_id) for r in requests if r.outcome == "done")
        return done, sum(count - 1 for count in ids.values())

    def last_words(self) -> str:
        """The end of what it said."""
        lines = [line for line in self.words.read_text(errors="replace").splitlines() if line.strip()]
        return " | ".join(lines[-3:])

    def _wait(self, kind: Kind) -> str:
        until_s = time.monotonic() + UP_S
        while time.monotonic() < until_s and self._owner.poll() is None:
            if kind.compares:
                found = re.search(r"gateway at (http\S+)/v1", self.words.read_text(errors="replace"))
                if found:
                    return found[1]
            elif (standing := read_standing(self._home / "testbed.json")) is not None:
                return standing.url
            time.sleep(LOOK_S)
        self._owner.kill()
        self._owner.wait()
        raise NoBed(f"the testbed did not come up: {self.last_words()}")


def command_of(process: Process) -> str:
    """Command line of a process; empty if it is gone."""
    try:
        return Path(f"/proc/{process.pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""
