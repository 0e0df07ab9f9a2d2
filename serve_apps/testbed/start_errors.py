"""Why replicas did not come up: what a replica itself said, out of Serve's report with its tracebacks."""

from __future__ import annotations

import re
import time
from collections.abc import Collection, Mapping
from typing import Any

from ray import serve

from emulation.files import ConfigError
from serve_apps.wire.testbed import ours

LOOK_S = 0.2
"""Wall seconds between two looks at applications that are coming up."""
_SAID = re.compile(r"^(?:[\w.]*\.)?(?:ConfigError|Overcommit): (.+)$", re.MULTILINE)
"""How a traceback ends that is about a mistake of the user's."""


def wait_until_running(names: Collection[str]) -> None:
    """Return when these applications of this testbed run.

    Raises `ConfigError` as soon as a replica says what is wrong with what it was told: Serve would try that three times
    more, with pauses that grow. Raises `RuntimeError` with Serve's own words where it gives an application up.
    """
    while True:
        found = ours(serve.status().applications)
        said = mistakes(found)
        if said:
            raise ConfigError("\n".join(said))
        given_up = [n for n in names if n in found and found[n].status == "DEPLOY_FAILED"]
        if given_up:
            raise RuntimeError("; ".join(f"{name}: {found[name].message}" for name in given_up))
        if all(n in found and found[n].status == "RUNNING" for n in names):
            return
        time.sleep(LOOK_S)


def mistakes(applications: Mapping[str, Any]) -> list[str]:
    """What replicas that do not start say is wrong with what they were told, one line for each application."""
    found = []
    for name, application in sorted(applications.items()):
        said = said_in("\n".join(d.message for d in application.deployments.values()))
        if said is not None:
            found.append(said if said.startswith(name) else f"{name}: {said}")
    return found


def said_in(report: str) -> str | None:
    """The user's mistake in a report of Serve; None if it tells of none."""
    lines = _SAID.findall(report)
    return lines[-1].strip() if lines else None
