"""A testbed that stays, from outside: where it is, and its end. Knows no Ray."""

from __future__ import annotations

from dataclasses import dataclass

from edgebed.places import standing_file
from edgebed.runs.address import checked_url
from emulation.domain.mistakes import ConfigError
from serve_apps.testbed.processes import Process
from serve_apps.testbed.state import END_S, forget, how_it_ended, read_standing, read_state


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
        raise ConfigError(
            f"process {standing.pid} did not end within {END_S / 60:g} minutes; look at its up.log"
        )
    left = standing.end_rest()
    forget(standing_file(), Process(standing.pid, standing.started))
    return Down(standing.folder, how_it_ended(standing_file(), standing), tuple(left))


def standing_url(url: str | None) -> str:
    """The URL given, or that of the standing testbed. Raises `ConfigError` if there is neither."""
    if url is not None:
        return checked_url(url)
    standing = read_standing(standing_file())
    if standing is None:
        raise ConfigError("no testbed stands here; start one with `edgebed up`, or give --url")
    return standing.url
