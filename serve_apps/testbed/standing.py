"""The owner of a testbed that stays: it says where that is, waits for the signal that ends it, and how that went."""

from __future__ import annotations

import os
import signal
import threading
from dataclasses import asdict
from pathlib import Path
from types import FrameType

import orjson

from emulation.recording import write_whole
from serve_apps.observe.discovery import TARGETS_FILE, targets_of
from serve_apps.testbed.live import LiveCluster
from serve_apps.testbed.state import Standing, end_of, started_at


def say_how_it_ended(path: Path, failure: str) -> None:
    """Leave beside the state file of this process's testbed whether all went well as it was taken down (empty: yes)."""
    word = {"pid": os.getpid(), "started": started_at(os.getpid()), "failure": failure}
    write_whole(end_of(path), orjson.dumps(word))


def stand(cluster: LiveCluster, path: Path, folder: Path) -> None:
    """Write the state file, and where to scrape, and keep the testbed up until SIGTERM or SIGINT; both are gone then.

    The caller then stops the cluster. Call it from the main thread of the process that started the cluster. `folder`:
    where its records are.
    """
    asked = threading.Event()

    def ask(_signal: int, _frame: FrameType | None) -> None:
        asked.set()

    previous = {s: signal.signal(s, ask) for s in (signal.SIGTERM, signal.SIGINT)}
    targets = path.with_name(TARGETS_FILE)
    write_whole(targets, targets_of([cluster.url]))
    write_whole(path, orjson.dumps(asdict(_state_of(cluster, folder))))
    try:
        while not asked.wait(1.0):
            pass
    finally:
        path.unlink(missing_ok=True)
        targets.unlink(missing_ok=True)
        for number, handler in previous.items():
            signal.signal(number, handler)


def _state_of(cluster: LiveCluster, folder: Path) -> Standing:
    """What the state file says of a cluster of this process."""
    pid, options = os.getpid(), asdict(cluster.options)
    options["http"] = cluster.options.http.model_dump(mode="json")
    return Standing(
        pid, started_at(pid) or 0, cluster.address, cluster.url, cluster.testbed.model_dump_json(), options,
        str(folder), tuple(gateway["url"] for gateway in cluster.gateways()),
    )  # fmt: skip
