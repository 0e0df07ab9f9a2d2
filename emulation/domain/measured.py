"""What an attempt at a request took: measured by its node, carried unchanged to gateway, controllers and record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from emulation.domain.cluster import Mode
from emulation.domain.native import Native


@dataclass(init=False, slots=True, unsafe_hash=True)
class Measured(Native):
    """One attempt up to its end, or until it was given back. Times in virtual seconds; None: it did not come to that.

    Service, finished prompts and stutter are those of all attempts so far: work goes on where it was left. A turn is
    one stretch in service, on one executor in one mode; only the last one tells how fast that is.
    """

    attempt: Final[int]
    executor: Final[str | None]
    mode: Final[Mode]
    sent_s: Final[float | None]
    """When the client really sent it; None: at its intended time."""
    dispatched_s: Final[float | None]
    enqueued_s: Final[float | None]
    started_s: Final[float | None]
    """First time in service."""
    service_s: Final[float]
    """Time in service, slowdown and sharing included."""
    turn_s: Final[float | None]
    """What of it the last turn took, less what it stood still; None: nobody can tell it apart from the rest."""
    turn_prompts: Final[int]
    """Prompts finished in the last turn."""
    work_s: Final[float]
    """The last turn, each second weighted by the share of its resource the attempt had."""
    interrupted: Final[bool]
    """Whether it was ever taken out of service unfinished."""
    prompts_done: Final[int]
    uplink_s: Final[float]
    downlink_s: Final[float]
    stutter: Final[bool]
    output_tokens: Final[int]
    """Of an answer that is done; 0 otherwise."""
    input_tokens: Final[int | None]
    """Tokens a real text model read, by its own tokenizer; None: it is emulated, or not done."""

    def __init__(
        self,
        attempt: int = 1,
        executor: str | None = None,
        mode: Mode = "off",
        sent_s: float | None = None,
        dispatched_s: float | None = None,
        enqueued_s: float | None = None,
        started_s: float | None = None,
        service_s: float = 0.0,
        turn_s: float | None = None,
        turn_prompts: int = 0,
        work_s: float = 0.0,
        interrupted: bool = False,
        prompts_done: int = 0,
        uplink_s: float = 0.0,
        downlink_s: float = 0.0,
        stutter: bool = False,
        output_tokens: int = 0,
        input_tokens: int | None = None,
    ) -> None:
        self.attempt = attempt
        self.executor = executor
        self.mode = mode
        self.sent_s = sent_s
        self.dispatched_s = dispatched_s
        self.enqueued_s = enqueued_s
        self.started_s = started_s
        self.service_s = service_s
        self.turn_s = turn_s
        self.turn_prompts = turn_prompts
        self.work_s = work_s
        self.interrupted = interrupted
        self.prompts_done = prompts_done
        self.uplink_s = uplink_s
        self.downlink_s = downlink_s
        self.stutter = stutter
        self.output_tokens = output_tokens
        self.input_tokens = input_tokens
