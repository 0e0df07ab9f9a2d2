"""A switch of the scheme in virtual time: who decided goes out, who is to decide comes in, at one instant."""

from __future__ import annotations

from collections.abc import Callable

from emulation.domain.events import SchemeSwitch
from emulation.domain.last_begun import LastBegun
from emulation.engine.control import ControlPlane, Newcomers, Schemes
from emulation.faults import Step


class Switching:
    """Knows which scheme is in force in one run, and makes the controllers of the one that comes in."""

    def __init__(self, schemes: Schemes | None, take_up: Callable[[Newcomers, str], None]) -> None:
        """`take_up` puts new controllers in the place of those in force; its text is the cause of their first look.
        Without `schemes` a run switches to none."""
        self._schemes, self._take_up = schemes, take_up
        self._in_force = LastBegun("" if schemes is None else schemes.own)

    def play(self, step: Step, plane: ControlPlane) -> dict[str, str] | None:
        """Play a step of the event plan; what its record says of a switch, None for events of another kind.

        `plane`: the one in force. Raises `ValueError` for a scheme that cannot run here, and a switch in a run that was
        given no schemes.
        """
        if not isinstance(step.spec, SchemeSwitch):
            return None
        if self._schemes is None:
            raise ValueError(f"event {step.event}: this run was given no schemes to switch to")
        before = self._in_force.now
        if step.phase == "onset":
            self._in_force.begin(step.event, step.spec.to)
        else:
            self._in_force.end(step.event)
        now = self._in_force.now
        if now == before:
            return {"before": before, "scheme": now}
        came = self._schemes.newcomers(now)
        came.control.delay_s, came.control.schemes = plane.delay_s, plane.schemes
        self._take_up(came, f"switch to {now}")
        return {"before": before, "scheme": now, "reasoner": came.reasoner}
