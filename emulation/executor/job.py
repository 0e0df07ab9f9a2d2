"""One attempt at a request, and how far it got."""

from __future__ import annotations

from dataclasses import dataclass

from emulation.domain.cluster import Mode
from emulation.domain.measured import Measured
from emulation.domain.native import Native
from emulation.domain.request import Request
from emulation.domain.truth import RequestTruth

_ROUNDING = 1e-9


@dataclass(init=False, slots=True, eq=False)
class Job(Native):
    """A dispatched request. Work is counted in noise-weighted units: prompt u weighs `truth.noise[u]`."""

    request: Request
    truth: RequestTruth
    attempt: int
    dispatched_s: float | None
    """None until it was sent to an executor."""
    sent_s: float | None
    """When the client really sent it; None: at its intended time."""
    enqueued_s: float | None
    started_s: float | None
    """First time in service."""
    service_s: float
    """Seconds in service so far, over all interruptions."""
    work_s: float
    """Of the last turn, each second weighted by the share of its resource the job had."""
    stood_s: float
    """Of the last turn, seconds in which it was in service and stood still."""
    told_apart: bool
    """Whether it is known what of `service_s` was the last turn."""
    interrupted: bool
    """Whether it was ever taken out of service unfinished."""
    prompts_done: int
    """Progress record: an interrupted job resumes after its last finished prompt."""
    service_before_s: float
    """`service_s` when the last turn began."""
    prompts_before: int
    """`prompts_done` when the last turn began."""
    uplink_s: float
    downlink_s: float
    stutter: bool
    lost: bool
    """Whether this attempt never reached its node."""
    executor: str | None
    mode: Mode
    counted_tokens: tuple[int | None, int] | None
    """Tokens in and out, counted by the real model that computed it; None: they are the truth's."""
    ended: bool

    def __init__(
        self,
        request: Request,
        truth: RequestTruth,
        attempt: int = 1,
        dispatched_s: float | None = None,
        sent_s: float | None = None,
        enqueued_s: float | None = None,
        started_s: float | None = None,
        service_s: float = 0.0,
        work_s: float = 0.0,
        stood_s: float = 0.0,
        told_apart: bool = True,
        interrupted: bool = False,
        prompts_done: int = 0,
        service_before_s: float = 0.0,
        prompts_before: int = 0,
        uplink_s: float = 0.0,
        downlink_s: float = 0.0,
        stutter: bool = False,
        lost: bool = False,
        executor: str | None = None,
        mode: Mode = "off",
        counted_tokens: tuple[int | None, int] | None = None,
        ended: bool = False,
    ) -> None:
        self.request = request
        self.truth = truth
        self.attempt = attempt
        self.dispatched_s = dispatched_s
        self.sent_s = sent_s
        self.enqueued_s = enqueued_s
        self.started_s = started_s
        self.service_s = service_s
        self.work_s = work_s
        self.stood_s = stood_s
        self.told_apart = told_apart
        self.interrupted = interrupted
        self.prompts_done = prompts_done
        self.service_before_s = service_before_s
        self.prompts_before = prompts_before
        self.uplink_s = uplink_s
        self.downlink_s = downlink_s
        self.stutter = stutter
        self.lost = lost
        self.executor = executor
        self.mode = mode
        self.counted_tokens = counted_tokens
        self.ended = ended

    def measured(self, done: bool) -> Measured:
        """What may be told of the attempt now; the lengths only where it is done."""
        read: int | None = None
        said = 0
        if done:
            counted = self.counted_tokens
            read, said = (self.truth.input_tokens, self.truth.output_tokens) if counted is None else counted
        return Measured(
            self.attempt, self.executor, self.mode, self.sent_s, self.dispatched_s, self.enqueued_s,
            self.started_s, self.service_s, self.turn_s, self.prompts_done - self.prompts_before, self.work_s,
            self.interrupted, self.prompts_done, self.uplink_s, self.downlink_s, self.stutter, said, read,
        )  # fmt: skip

    def resume(self, earlier: Measured) -> None:
        """Go on from what earlier attempts at the request finished."""
        self.prompts_done, self.service_s = earlier.prompts_done, earlier.service_s
        self.started_s = earlier.started_s

    def begin_turn(self) -> None:
        """It comes into service."""
        self.service_before_s, self.prompts_before = self.service_s, self.prompts_done
        self.work_s = self.stood_s = 0.0

    @property
    def turn_s(self) -> float | None:
        """Seconds of the last turn so far, less those in which it stood still; None: not known."""
        return self.service_s - self.service_before_s - self.stood_s if self.told_apart else None

    @property
    def remaining_units(self) -> float:
        """Noise-weighted units from the last finished prompt on."""
        noise = self.truth.noise
        return sum(noise[self.prompts_done :] if self.prompts_done else noise)

    def settle(self, remaining_units: float) -> None:
        """Keep only whole finished prompts, given how many units were left when work stopped."""
        self.prompts_done = self.finished(remaining_units)[0]

    def finished(self, remaining_units: float) -> tuple[int, float, float]:
        """Prompts that are finished while so many units are left, and the units left after these and after one more.

        The last prompt is never among them: with it the job ends.
        """
        noise, done = self.truth.noise, self.prompts_done
        left = sum(noise[done:])
        while done < len(noise) - 1:
            after = left - noise[done]
            if after < remaining_units - _ROUNDING:
                return done, left, after
            done, left = done + 1, after
        return done, left, 0.0

    def prompts_left(self, remaining_units: float) -> float:
        """Unfinished prompts while so many units are left: a whole number, less the done share of the one in service.

        Counted, so that no sum of what is hidden shows in it.
        """
        count = len(self.truth.noise)
        done, left, after = self.finished(remaining_units)
        share = (remaining_units - after) / (left - after) if left > after else 0.0
        return count - done - 1 + min(max(share, 0.0), 1.0)
