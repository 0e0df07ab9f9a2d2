"""What an attempt at a request took: measured by its node, carried unchanged to gateway, controllers and record."""

from __future__ import annotations

from emulation.domain.cluster import Mode
from emulation.domain.value import value


@value
class Measured:
    """One attempt up to its end, or until it was given back. Times in virtual seconds; None: it did not come to that.

    Service, finished prompts and stutter are those of all attempts so far: work goes on where it was left. A turn is
    one stretch in service, on one executor in one mode; only the last one tells how fast that is.
    """

    attempt: int = 1
    executor: str | None = None
    mode: Mode = "off"
    sent_s: float | None = None
    """When the client really sent it; None: at its intended time."""
    dispatched_s: float | None = None
    enqueued_s: float | None = None
    started_s: float | None = None
    """First time in service."""
    service_s: float = 0.0
    """Time in service, slowdown and sharing included."""
    turn_s: float | None = None
    """What of it the last turn took, less what it stood still; None: nobody can tell it apart from the rest."""
    turn_prompts: int = 0
    """Prompts finished in the last turn."""
    work_s: float = 0.0
    """The last turn, each second weighted by the share of its resource the attempt had."""
    interrupted: bool = False
    """Whether it was ever taken out of service unfinished."""
    prompts_done: int = 0
    uplink_s: float = 0.0
    downlink_s: float = 0.0
    stutter: bool = False
    output_tokens: int = 0
    """Of an answer that is done; 0 otherwise."""
    input_tokens: int | None = None
    """Tokens a real text model read, by its own tokenizer; None: it is emulated, or not done."""
