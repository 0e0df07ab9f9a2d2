"""What a testbed that stays is asked for from outside: where it is, an event, its end. Knows no Ray."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgebed.places import standing_file
from edgebed.runs.address import checked_url
from emulation.domain.mistakes import ConfigError
from serve_apps.testbed.state import how_it_ended, read_standing, read_state

if TYPE_CHECKING:
    import httpx2


@dataclass(frozen=True, slots=True)
class Down:
    """A testbed that stood and is gone."""

    folder: str
    failure: str
    """What went wrong on the way, in a line; empty if nothing did."""
    left: tuple[int, ...] = ()
    """Numbers of processes that it had left running, and that were ended."""


def down() -> Down | None:
    """Take the standing testbed down; None if there is none. Raises `ConfigError` if it does not go."""
    standing = read_state(standing_file())
    if standing is None:
        return None
    if not standing.end():
        raise ConfigError(f"process {standing.pid} did not end within a minute; look at its up.log")
    left = standing.end_rest()
    standing_file().unlink(missing_ok=True)
    return Down(standing.folder, how_it_ended(standing_file(), standing), tuple(left))


def inject(url: str, event: dict[str, object], for_s: float) -> int:
    """Play an event on the live testbed from now on for `for_s` virtual seconds; returns its number.

    Raises `ConfigError` with the gateway's own words if it refuses, or if nothing answers.
    """
    import httpx2

    _checked({**event, "at_s": 0.0, "until_s": for_s})
    token = os.environ.get("EDGEBED_TOKEN")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        answer = httpx2.get(f"{url}/control/progress", headers=headers, timeout=10)
        if answer.is_success:
            now_s = float(answer.json()["t_s"])
            body = {**event, "at_s": now_s, "until_s": now_s + for_s}
            answer = httpx2.post(f"{url}/control/inject", json=body, headers=headers, timeout=10)
    except (httpx2.HTTPError, KeyError, ValueError) as error:
        raise ConfigError(f"no testbed answers at {url} ({error}); start one with `edgebed up`") from error
    if answer.status_code != 200:
        raise ConfigError(f"{url} refused the event ({answer.status_code}): {_said(answer)}")
    return int(answer.json()["event"])


def _said(refusal: httpx2.Response) -> str:
    """The gateway's own words; another server may have none that we can read."""
    try:
        return str(refusal.json()["error"]["message"])
    except (KeyError, TypeError, ValueError):
        return refusal.text[:200]


def _checked(event: dict[str, object]) -> None:
    """Raise `ConfigError` for what no scenario file could say either, in the same words."""
    from pydantic import TypeAdapter, ValidationError

    from emulation.domain.complaints import complaint
    from emulation.domain.events import Event

    try:
        TypeAdapter(Event).validate_python(event)
    except ValidationError as error:
        raise ConfigError(f"inject: {complaint(Event, error, str(event['kind']))}") from error


def standing_url(url: str | None) -> str:
    """The URL given, or that of the standing testbed. Raises `ConfigError` if there is neither."""
    if url is not None:
        return checked_url(url)
    standing = read_standing(standing_file())
    if standing is None:
        raise ConfigError("no testbed stands here; start one with `edgebed up`, or give --url")
    return standing.url
