"""Which schemes decided in a run: the one of its header, and those that were switched to while it went on."""

from __future__ import annotations

from dataclasses import dataclass

from emulation.metrics.view import RunView

KIND = "scheme"
"""Kind of the events that switch."""


@dataclass(frozen=True, slots=True)
class Switch:
    """Another scheme came into force."""

    t_s: float
    scheme: str
    reasoner: str
    """What thinks in it."""


def switches_of(run: RunView) -> tuple[Switch, ...]:
    """The switches of a run in order; an event that brought in what was in force already is none."""
    found, seen = [], set()
    for event in run.events:
        said = event.detail
        if event.type != KIND or (event.event, event.phase) in seen:
            continue
        seen.add((event.event, event.phase))  # a player that was restarted plays again what was due
        if said["scheme"] != said["before"]:
            found.append(Switch(event.t_s, said["scheme"], said["reasoner"]))
    return tuple(found)


def decided_by(run: RunView) -> str:
    """The schemes of a run as one name, in the order in which they decided: `AL`, or `AL→MA`."""
    return "→".join((run.header.scheme, *(switch.scheme for switch in switches_of(run))))
