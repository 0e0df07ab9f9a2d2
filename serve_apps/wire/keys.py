"""Keys and tokens on their way from the owner's environment to the processes that need them: by a file of its own.

What an actor or an application is made with stands in Ray's tables, which are on disk and outlive a crash; what is in
its `runtime_env` stands in Ray's logs as well. So the owner writes them to a file with mode 600 on its own machine; the
recorder, which runs there, reads it whenever it is asked; and whoever needs one asks the recorder, after a restart too.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from serve_apps.wire.calls import RayCalls, Unreached
from serve_apps.wire.names import RECORDER
from serve_apps.wire.secret import Secret

log = logging.getLogger("edgebed")

API_KEY, CONTROL_TOKEN, AGENTS_KEY = "EDGEBED_API_KEY", "EDGEBED_TOKEN", "VLLM_API_KEY"
"""Environment variables of the owner."""
FETCH_LIMIT_S = 30.0
"""Wall seconds for which a recorder that is being restarted is asked again."""
AGAIN_S = 0.5


def write_keys(path: Path) -> None:
    """Write what this process's environment has of them, for this user alone."""
    found = {name: os.environ[name] for name in (API_KEY, CONTROL_TOKEN, AGENTS_KEY) if os.environ.get(name)}
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(orjson.dumps(found))


def read_keys(path: Path) -> dict[str, str]:
    """By variable; one that is not there was not set. Raises `OSError` if the file is gone: nobody may take that for
    "no key is asked for"."""
    found: dict[str, str] = orjson.loads(path.read_bytes())
    return found


class Keeper:
    """What the actor that hands keys over is besides its own work; see `restart.resident`."""

    def __init__(self, keys_file: Path, *args: Any) -> None:
        self._keys_file = keys_file
        super().__init__(*args)

    async def keys(self) -> dict[str, str]:
        """What `read_keys` finds."""
        return read_keys(self._keys_file)


def fetch_keys() -> Mapping[str, Secret]:
    """The keys by variable, for a constructor, which may block. Raises `Unreached` if the recorder does not answer."""
    calls, deadline = RayCalls(), time.monotonic() + FETCH_LIMIT_S
    while True:
        try:
            found: dict[str, str] = calls.call_now(RECORDER, "keys")
        except Unreached as error:
            if time.monotonic() > deadline:
                raise
            log.warning("keys are not to be had yet: %s", error)
            time.sleep(AGAIN_S)
        else:
            return {name: Secret(value) for name, value in found.items()}
