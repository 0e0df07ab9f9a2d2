"""A scenario's requests sent to any URL: is anything there to answer, how far it is, and what goes wrong meanwhile."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
from pydantic import ValidationError

from edgebed.commands.console import Failed, say, warn
from edgebed.runs.load_process import start_load, stop_load
from emulation.domain.mistakes import ConfigError
from workloads.client import Answer, HttpCall
from workloads.failures import reasons, spoken
from workloads.load import ClientResult, worker_logs

CONNECT_S = 5.0
"""Wall seconds a server has to take a connection, and to answer the first question."""
LOOK_S = 0.5


def check_server(url: str, models: Collection[str]) -> None:
    """See that an OpenAI-compatible server answers at this URL; says which models it does not list.

    Raises `Failed` with the reason: nobody there, no TLS, a certificate that is not trusted (then no key is shown), a
    key that is refused, another kind of server.
    """
    key = os.environ.get("EDGEBED_API_KEY")
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        with httpx2.Client(base_url=url, headers=headers, timeout=CONNECT_S) as client:
            listed = client.get("/v1/models")
            if listed.status_code in (401, 403):
                remedy = "it refuses the key in EDGEBED_API_KEY" if key else "set EDGEBED_API_KEY to its key"
                raise Failed(f"{url}: HTTP {listed.status_code}: {_words(listed)}; {remedy}")
            names = _names(listed)
            if names is None:
                _check_interface(url, client)
            elif missing := sorted(set(models) - names):
                some = ", ".join(sorted(names)[:12]) or "none"
                warn(
                    f"{url} does not list {', '.join(missing)}, which the scenario asks for; it lists: {some}"
                )
    except httpx2.ReadTimeout:
        warn(f"{url} took the connection but gave no answer within {CONNECT_S:g} s; sending all the same")
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
        raise Failed(f"{url}: {spoken(error)}") from error


def _names(listed: httpx2.Response) -> set[str] | None:
    """Ids of the models that a server lists; None where it does not answer as OpenAI's does."""
    try:
        return {str(model["id"]) for model in listed.raise_for_status().json()["data"]}
    except (httpx2.HTTPError, ValueError, KeyError, TypeError):
        return None


def _check_interface(url: str, client: httpx2.Client) -> None:
    """Of a server that lists no models: it must refuse an empty question in JSON. Raises `Failed` if it does not."""
    answer = client.post("/v1/chat/completions", json={})
    try:
        known = answer.status_code not in (404, 405, 501) and isinstance(answer.json(), dict)
    except ValueError:
        known = False
    if not known and answer.status_code not in (502, 503, 504):
        raise Failed(
            f"{url}: no OpenAI-compatible server: POST /v1/chat/completions gave HTTP {answer.status_code}: "
            f"{_words(answer)}; --url is the address before /v1"
        )


def _words(answer: httpx2.Response) -> str:
    """The message of an error, or the beginning of what came instead."""
    reply = Answer(HttpCall("", {}, b"", stream=False), max(answer.status_code, 400))
    reply.body(answer.content)
    return reply.error or ""


def send(
    scenario: Path | str,
    seed: int,
    speedup: float,
    url: str,
    log: Path,
    on_look: Callable[[Tally], None],
    rate: float = 1.0,
) -> bool:
    """Send a scenario's requests to a URL; true if Ctrl-C or SIGTERM cut it short.

    `on_look` is told twice a second how far it is; `rate`: how many times as densely as the scenario says.
    Raises `ConfigError` if the log cannot be written, or is a file of another kind, and `Failed` if the load generator
    could not work.
    """
    fresh_log(log)
    process = start_load(scenario, seed, url, 0.0, speedup, log, rate=rate)
    tally, interrupted = Tally(log), False
    try:
        with _terminated_is_interrupted():
            while process.poll() is None:
                time.sleep(LOOK_S)
                tally.look()
                on_look(tally)
    except KeyboardInterrupt:
        interrupted = True
        say("interrupted: ending what is on its way ...")
    finally:
        stop_load(process)
    tally.look()
    on_look(tally)
    if not interrupted and not tally.ended:
        words = log.with_name("locust.log")
        raise Failed(f"the load generator ended with code {process.returncode} and sent nothing; see {words}")
    return interrupted


@contextmanager
def _terminated_is_interrupted() -> Iterator[None]:
    """SIGTERM meanwhile is as good as Ctrl-C: whoever ends this command must not leave a load behind."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def fresh_log(log: Path) -> None:
    """Make room for a client's log: one of an earlier load goes, with those of its workers; any other file stays.

    Raises `ConfigError` if the log cannot be written, or another kind of file has its name.
    """
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        for old in [log, *worker_logs(log)]:
            if old.exists():
                with old.open("rb") as file:
                    first = file.readline()
                if first.strip():
                    ClientResult.model_validate_json(first)
                old.unlink()
        log.touch()
    except ValidationError as error:
        raise ConfigError(
            f"--log {log}: is there already and is no client's log; give another name"
        ) from error
    except OSError as error:
        raise ConfigError(
            f"--log {log}: cannot be written: {error.strerror}; give the name of a file"
        ) from error


class Tally:
    """What a client's log says so far, while it grows."""

    def __init__(self, log: Path) -> None:
        self._log, self._read, self._rest = log, 0, b""
        self.ended = 0
        self.failed: list[ClientResult] = []

    def look(self) -> None:
        """Take in what was written since the last look."""
        for line in self._lines():
            result = ClientResult.model_validate_json(line)
            self.ended += 1
            if result.outcome != "done":
                self.failed.append(result)

    def words(self, total: int) -> str:
        """How far it is, and what goes wrong most."""
        said = f"{self.ended} of {total} ended"
        if self.failed:
            said += f", {len(self.failed)} failed, most of them: {reasons(self.failed)[0].words}"
        return said

    def _lines(self) -> Iterator[bytes]:
        with self._log.open("rb") as file:
            file.seek(self._read)
            new = self._rest + file.read()
            self._read = file.tell()
        *lines, self._rest = new.split(b"\n")
        return iter(lines)


def speedup_of(url: str) -> float | None:
    """Virtual seconds per second of the edgebed testbed at this URL; None for any other server."""
    try:
        health: Any = httpx2.get(f"{url}/health", timeout=CONNECT_S).json()
        return float(health["speedup"])
    except (httpx2.HTTPError, KeyError, TypeError, ValueError):
        return None
