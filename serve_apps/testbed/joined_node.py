"""This machine as a node of somebody's Ray that offers nothing: a program that joins Ray needs a Ray node beside it.

    python -m serve_apps.testbed.joined_node HOST:PORT OWN-ADDRESS FOLDER

It is a child process that ends with its parent, however that ends.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from ray._private import services

from emulation.files import ConfigError

STARTS_S = 60.0
ENDS_S = 15.0
_LOOK_S = 0.1
_STARTED = "Ray runtime started"
_OBJECTS_BYTES = 100 * 1024 * 1024
"""Of shared memory: what passes through here are calls and small answers."""
_PR_SET_PDEATHSIG = 1


class JoinedNode:
    """The Ray node of this machine, while this process needs it."""

    def __init__(self, address: str) -> None:
        """Returns when it has joined the Ray at HOST:PORT. Raises `ConfigError` with Ray's words if it does not."""
        self.own_address = address_towards(address)
        self._folder = Path(tempfile.mkdtemp(prefix="edgebed-"))
        words = self._folder / "joined_node.log"
        command = [
            sys.executable,
            "-m",
            "serve_apps.testbed.joined_node",
            address,
            self.own_address,
            str(self._folder),
        ]
        with words.open("wb") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        try:
            self._wait(address, words)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End it, and what it wrote."""
        self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(ENDS_S)
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _wait(self, address: str, words: Path) -> None:
        deadline = time.monotonic() + STARTS_S
        while _STARTED not in (said := words.read_text(errors="replace")):
            if self._process.poll() is not None or time.monotonic() > deadline:
                last = next((line for line in reversed(said.splitlines()) if line.strip()), "it said nothing")
                raise ConfigError(
                    f"this machine did not become a node of the Ray at {address!r}: {last.strip()}"
                )
            time.sleep(_LOOK_S)


def is_node_of(address: str) -> bool:
    """Whether this machine is a node of the Ray whose head is at HOST:PORT already."""
    host, _, port = address.rpartition(":")
    found = {
        str(entry[4][0]) for entry in socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)
    }
    if any(ip_address(ip).is_loopback for ip in found):
        return True
    flags: Any = services._find_address_from_flag
    heads: set[str] = flags("--gcs-address")
    return any(head.rpartition(":")[0].strip("[]") in found and head.endswith(f":{port}") for head in heads)


def address_towards(address: str) -> str:
    """Address of this machine on the way to HOST:PORT."""
    host, _, port = address.rpartition(":")
    family, _, _, _, end = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_DGRAM)[0]
    with socket.socket(family, socket.SOCK_DGRAM) as way:
        way.connect(end)  # sends nothing
        return str(way.getsockname()[0])


def main(address: str, own_address: str, folder: str) -> None:
    """Be the Ray node until told to end, or until the parent has ended."""
    from ray.scripts.scripts import start

    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    options = {
        "address": address, "node-ip-address": own_address, "temp-dir": folder, "num-cpus": 0, "num-gpus": 0,
        "object-store-memory": _OBJECTS_BYTES, "min-worker-port": 0, "max-worker-port": 0,
        "dashboard-agent-listen-port": 0,
    }  # fmt: skip
    command: Any = start
    try:
        command.main([*(f"--{name}={value}" for name, value in options.items()), "--block"])
    finally:  # a parent that was killed does not clear up
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
