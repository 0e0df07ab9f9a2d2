"""The owner of a testbed that stays: it says where that is, waits for the signal that ends it, and how that went."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from dataclasses import asdict
from pathlib import Path
from types import FrameType

import orjson

from emulation.recording import write_whole
from serve_apps.observe.discovery import TARGETS_FILE, targets_of
from serve_apps.testbed.live import LiveCluster
from serve_apps.testbed.processes import Process, started_at
from serve_apps.testbed.state import Ending, Standing, end_of, forget
from serve_apps.wire.calls import Unreached

log = logging.getLogger("edgebed")

LOOK_S = 1.0
TARGETS_S = 5.0
"""Wall seconds between two looks at which gateways there are."""


def say_how_it_ended(path: Path, failure: str) -> None:
    """Leave beside the state file of this process's testbed whether all went well as it was taken down (empty: yes)."""
    write_whole(end_of(path), orjson.dumps(Ending(os.getpid(), started_at(os.getpid()), failure)))


def stand(cluster: LiveCluster, path: Path, folder: Path) -> str | None:
    """Write the state file, and where to scrape, and keep the testbed up until SIGTERM or SIGINT, or until it cannot go
    on.

    Returns why it cannot; None if it was asked to end: the file is then gone, else it stays for whoever asks what
    became of the testbed. The caller then stops the cluster. Call it from the main thread of the process that started
    the cluster, while the state file is claimed. `folder`: where its records are.
    """
    asked = threading.Event()

    def ask(_signal: int, _frame: FrameType | None) -> None:
        asked.set()

    previous = {s: signal.signal(s, ask) for s in (signal.SIGTERM, signal.SIGINT)}
    targets = Targets(path.with_name(TARGETS_FILE), cluster)
    write_whole(path, orjson.dumps(asdict(_state_of(cluster, folder))))
    try:
        while not asked.wait(LOOK_S) and cluster.lookout.watch.lost is None:
            targets.look()
    finally:
        targets.path.unlink(missing_ok=True)
        if cluster.lookout.watch.lost is None:
            forget(path, Process(os.getpid(), started_at(os.getpid()) or 0))
        for number, handler in previous.items():
            signal.signal(number, handler)
    return cluster.lookout.watch.lost


class Targets:
    """The file that tells a scraper of each gateway; one that was restarted has another address of its own."""

    def __init__(self, path: Path, cluster: LiveCluster) -> None:
        """Writes it."""
        self.path, self._cluster = path, cluster
        self._looked_s = time.monotonic()
        self._urls = _reached(cluster)
        write_whole(path, targets_of(self._urls))

    def look(self) -> None:
        """Write it anew if gateways have changed; where there is one, its address is the testbed's."""
        if self._cluster.options.gateways == 1 or time.monotonic() - self._looked_s < TARGETS_S:
            return
        self._looked_s = time.monotonic()
        try:
            urls = _reached(self._cluster)
        except (Unreached, ValueError) as error:
            log.warning("the targets of scrapers stay as they are: %s", error)
            return
        if urls and urls != self._urls:
            self._urls = urls
            write_whole(self.path, targets_of(urls))


def _reached(cluster: LiveCluster) -> list[str]:
    """Where each gateway process alone is reached. Raises `Unreached`."""
    if cluster.options.gateways == 1:
        return [cluster.url]
    return [gateway["url"] for gateway in cluster.gateways() if gateway["alive"]]


def _state_of(cluster: LiveCluster, folder: Path) -> Standing:
    """What the state file says of a cluster of this process."""
    pid, options = os.getpid(), asdict(cluster.options)
    options["http"] = cluster.options.http.model_dump(mode="json")
    return Standing(
        pid, started_at(pid) or 0, cluster.base.address, cluster.url, cluster.testbed.model_dump_json(), options,
        str(folder), tuple(_reached(cluster)),
    )  # fmt: skip
