"""Why replicas did not come up: what a replica itself said, out of Serve's report with its tracebacks."""

from __future__ import annotations

import re

from ray import serve

_SAID = re.compile(r"^(?:[\w.]*\.)?(?:ConfigError|Overcommit): (.+)$", re.MULTILINE)
"""How a traceback ends that is about a mistake of the user's."""


def mistakes() -> list[str]:
    """What replicas that do not start say is wrong with what they were told, one line for each application."""
    found = []
    for name, application in sorted(serve.status().applications.items()):
        said = said_in("\n".join(d.message for d in application.deployments.values()))
        if said is not None:
            found.append(said if said.startswith(name) else f"{name}: {said}")
    return found


def said_in(report: str) -> str | None:
    """The user's mistake in a report of Serve; None if it tells of none."""
    lines = _SAID.findall(report)
    return lines[-1].strip() if lines else None
