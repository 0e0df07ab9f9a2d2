"""Faults of other packages: what a class of theirs must say, and how both worlds play it.

An event `kind: outside` names the class. Begin and end are ours: every level it asks for becomes a timed step, and the
undo comes at the event's `until_s`, whatever the class does.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

import orjson
from pydantic import BaseModel, ValidationError

from emulation.domain.complaints import complaint
from emulation.domain.events import Event, OutsideFault
from emulation.domain.mistakes import STRANGE, ConfigError, told_of
from emulation.domain.strict import NoParams
from emulation.domain.truth import Condition
from emulation.fault_target import Effects, FaultTarget, Step
from emulation.outside import find_class

NOUN, GROUP = "fault", "edgebed.faults"
MOST_LEVELS = 10_000
"""Steps of one event."""


@dataclass(frozen=True, slots=True)
class Hit:
    """What an event hits at a node, and by which number its effects are told from those of others."""

    event: int
    model: str | None
    """None: the whole node."""
    hint: str | None
    """What deciders are told that it is, while it lasts; None: it is hidden from them."""


class OwnFault(ABC):
    """A fault of your own, on one node or one model of it. It draws nothing and keeps no clock: what it does follows
    from its parameters, the event's number and the level.

    What `begin` changes at the node stays until `end` takes it back; both give `hit.event` to `node.faults`, so that
    other events are left alone. Either may come twice (a process of the live world was started again) and then changes
    nothing more.
    """

    Config: ClassVar[type[BaseModel]] = NoParams
    """Its parameters, which an event has under `settings`; derived from `emulation.domain.cluster.Strict`."""

    def __init__(self, config: Any) -> None:
        self.config = config

    def levels(self, lasts_s: float) -> Sequence[tuple[float, float]]:
        """(seconds since the onset, level), ascending, the first at 0, all before `lasts_s` (virtual seconds, may be
        infinite): one level for as long as it lasts, unless you say otherwise."""
        return ((0.0, 1.0),)

    @abstractmethod
    def begin(self, node: FaultTarget, hit: Hit, level: float, now_s: float) -> None:
        """Put this level in force at a node, in the place of the one before: by `node.faults`."""

    @abstractmethod
    def end(self, node: FaultTarget, hit: Hit, now_s: float) -> None:
        """Take all of it back."""

    def in_force(self, effects: Effects, event: int) -> float | None:
        """Strength of the effect by the state of a node, for the fault ledger; None where it cannot be told."""
        return None


class HiddenCondition(OwnFault):
    """A fault that is a hidden condition: slower, stuttering, standing still, failing. Begin and end are done."""

    @abstractmethod
    def condition(self, level: float) -> Condition:
        """What is in force at this level."""

    def begin(self, node: FaultTarget, hit: Hit, level: float, now_s: float) -> None:
        """Put the condition in force."""
        node.faults.set_condition(hit.event, self.condition(level), now_s, hit.model, hit.hint)

    def end(self, node: FaultTarget, hit: Hit, now_s: float) -> None:
        """Take it away."""
        node.faults.set_condition(hit.event, None, now_s, hit.model, hit.hint)

    def in_force(self, effects: Effects, event: int) -> float | None:
        """How many times slower it makes what it hits."""
        return effects.slowed(event)


def found(name: str) -> type[OwnFault]:
    """The class of this path or entry point. Raises `ConfigError`."""
    kind: type[OwnFault] = find_class(name, NOUN, GROUP, OwnFault)
    return kind


def made(event: OutsideFault) -> OwnFault:
    """The fault of an event. Raises `ConfigError` naming the class and what is wrong with it or its settings."""
    return _made(event.fault, orjson.dumps(dict(event.settings), option=orjson.OPT_SORT_KEYS))


@lru_cache(maxsize=256)
def _made(name: str, settings: bytes) -> OwnFault:
    kind = found(name)
    try:
        config = kind.Config.model_validate(orjson.loads(settings))
    except ValidationError as error:
        raise ConfigError(f"fault {name}: settings.{complaint(kind.Config, error)}") from None
    except STRANGE as error:
        raise ConfigError(f"fault {name}: settings: {told_of(error)}") from error
    try:
        return kind(config)
    except ConfigError:
        raise
    except STRANGE as error:
        raise ConfigError(f"fault {name}: {told_of(error)}") from error


def levels_of(event: OutsideFault) -> list[tuple[float, float]]:
    """The levels of an event. Raises `ConfigError` where they are none, not in order, or not within the event."""
    lasts_s = event.until_s - event.at_s
    try:
        levels = [(float(since_s), float(level)) for since_s, level in made(event).levels(lasts_s)]
    except ConfigError:
        raise
    except STRANGE as error:
        raise ConfigError(f"fault {event.fault}: levels: {told_of(error)}") from error
    times = [since_s for since_s, _ in levels]
    if not levels or len(levels) > MOST_LEVELS or times[0] != 0.0 or times != sorted(set(times)):
        raise ConfigError(
            f"fault {event.fault}: levels must begin at 0 s and ascend, {MOST_LEVELS} at most, not {levels[:4]}"
        )
    if times[-1] >= lasts_s:
        raise ConfigError(
            f"fault {event.fault}: a level at {times[-1]:g} s comes after the end of the event, which lasts"
            f" {lasts_s:g} s"
        )
    return levels


def apply(event: OutsideFault, node: FaultTarget, now_s: float, step: Step) -> None:
    """Apply one step of an event to its node. Raises `ConfigError` with whatever the class raises."""
    fault, hit = made(event), Hit(step.event, event.model, event.hint if step.visible else None)
    try:
        if step.phase == "undo":
            fault.end(node, hit, now_s)
        else:
            fault.begin(node, hit, step.value, now_s)
    except STRANGE as error:
        what = "end" if step.phase == "undo" else "begin"
        raise ConfigError(f"fault {event.fault}: {what}: {told_of(error)}") from error


def in_force(event: OutsideFault, effects: Effects, number: int) -> float | None:
    """Strength of its effect by the state of a node; None where that cannot be told. Raises `ConfigError`."""
    try:
        return made(event).in_force(effects, number)
    except ConfigError:
        raise
    except STRANGE as error:
        raise ConfigError(f"fault {event.fault}: in_force: {told_of(error)}") from error


def check_outside_faults(events: Sequence[Event]) -> None:
    """Raise `ConfigError` for an event of another package that cannot be found, made or played."""
    for event in events:
        if isinstance(event, OutsideFault):
            levels_of(event)
