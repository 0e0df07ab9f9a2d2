"""What the gateways of a testbed say of requests that have not ended: their metrics, read once a second."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import httpx2
from prometheus_client.parser import text_string_to_metric_families

EVERY_S = 1.0
LIMIT_S = 2.0
"""Wall seconds a gateway has to answer."""
MOST_BYTES = 8 << 20
KEPT = 900
"""Looks that are remembered."""
ROUNDS = 30
"""Looks after which it is asked again which gateways there are."""


@dataclass(slots=True)
class Look:
    """The testbed at one moment, by what its processes count."""

    t_s: float = float("-inf")
    """Virtual seconds."""
    speedup: float = 1.0
    scheme: str = ""
    in_flight: int = 0
    """Requests in all gateways."""
    queued: dict[tuple[str, str], int] = field(default_factory=dict)
    """(node, model) to requests there."""
    share: dict[str, float] = field(default_factory=dict)
    """Executor to the share of its resource that it computes with; 0 while it is idle."""
    masked: set[str] = field(default_factory=set)
    arrived: dict[str, int] = field(default_factory=dict)
    """Model to requests that have arrived since the run began."""


def look_of(texts: Iterable[str]) -> Look | None:
    """What these expositions say together; None if no run is in progress. Raises `ValueError` for what is none."""
    look = Look()
    for text in texts:
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                _note(look, sample.name, sample.labels, sample.value)
    return look if look.scheme else None


def _note(look: Look, name: str, labels: Mapping[str, str], value: float) -> None:
    if name == "edgebed_virtual_seconds":
        look.t_s = max(look.t_s, value)
    elif name == "edgebed_speedup_ratio":
        look.speedup = value
    elif name == "edgebed_run_info":
        look.scheme = labels.get("scheme", "")
    elif name == "edgebed_in_flight":
        look.in_flight += int(value)
    elif name in ("vllm:num_requests_running", "vllm:num_requests_waiting"):
        where = labels.get("node", ""), labels.get("model_name", "")
        look.queued[where] = look.queued.get(where, 0) + int(value)
    elif name == "edgebed_executor_share_ratio":
        look.share[labels.get("executor", "")] = value
    elif name in ("edgebed_executor_masked", "edgebed_executor_risky") and value:
        look.masked.add(labels.get("executor", ""))
    elif name == "edgebed_arrived_requests_total":
        look.arrived[labels.get("model_name", "")] = int(value)


class Scrape:
    """A thread that looks once a second, from `start` to `close`. What went wrong is said, and tried again."""

    def __init__(self, url: str, every_s: float = EVERY_S) -> None:
        """`url`: base URL of the testbed's gateways."""
        self._url, self._every_s = url.rstrip("/"), every_s
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self.looks: deque[Look] = deque(maxlen=KEPT)
        """In the order they were taken. Only this thread adds to them."""
        self.problem = ""
        """Why there is nothing new; empty if there is."""

    def start(self) -> None:
        """Begin, unless it has begun."""
        if self._thread is None and not self._over.is_set():
            self._thread = threading.Thread(target=self._run, name="metrics of gateways", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Look no more. It does not wait for the look in progress."""
        self._over.set()

    def close(self) -> None:
        """Look no more, and wait until the look in progress is over."""
        self.stop()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(2 * LIMIT_S)

    def at(self, t_s: float) -> Look | None:
        """The last look that was not after a moment, if it was taken within three rounds before it."""
        for look in reversed(self.looks.copy()):
            slack_s = self._every_s * look.speedup
            if look.t_s <= t_s + slack_s:
                return look if t_s - look.t_s <= 3 * slack_s else None
        return None

    def _run(self) -> None:
        token = os.environ.get("EDGEBED_TOKEN")
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        with httpx2.Client(timeout=LIMIT_S, trust_env=False) as client:
            gateways, rounds = [self._url], 0
            while not self._over.is_set():
                if rounds % ROUNDS == 0 or self.problem:
                    gateways = self._gateways(client, headers)
                self._look(client, gateways)
                rounds += 1
                self._over.wait(self._every_s)

    def _gateways(self, client: httpx2.Client, headers: Mapping[str, str]) -> list[str]:
        """Where each gateway alone is; where they have one address, or do not say, that of the testbed."""
        try:
            answer = client.get(f"{self._url}/control/gateways", headers=headers)
            listed = answer.json()["gateways"] if answer.is_success else []
            found = [str(gateway["url"]) for gateway in listed if gateway["alive"]]
        except (httpx2.HTTPError, httpx2.InvalidURL, ValueError, KeyError, TypeError):
            found = []
        return found if len(found) > 1 else [self._url]

    def _look(self, client: httpx2.Client, gateways: Sequence[str]) -> None:
        try:
            texts = [_text(client, f"{url}/metrics/gateway") for url in gateways]
            look = look_of([*texts, _text(client, f"{gateways[0]}/metrics/testbed")])
        except (httpx2.HTTPError, httpx2.InvalidURL, ValueError) as error:
            why = f"{type(error).__name__}: {error}"
            self.problem = f"the gateway at {self._url} does not say how it is: {why}"[:300]
            return
        self.problem = ""
        if look is not None:
            self.looks.append(look)


def _text(client: httpx2.Client, url: str) -> str:
    """What a gateway answers. Raises `httpx2.HTTPError`, and `ValueError` if it is far too long."""
    with client.stream("GET", url) as answer:
        answer.raise_for_status()
        pieces, size = [], 0
        for piece in answer.iter_bytes():
            size += len(piece)
            if size > MOST_BYTES:
                raise ValueError(f"{url} answers more than {MOST_BYTES} bytes")
            pieces.append(piece)
    return b"".join(pieces).decode(errors="replace")
