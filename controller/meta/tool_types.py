"""Arguments and results of the nine tools, with their bounds. What a result does not state, no reasoner learns."""

from __future__ import annotations

from pydantic import Field

from controller.agents.tools import Arguments, Result
from controller.meta.steered import RouterChoice

MAX_TTL_TASKS = 2000
WINDOW_S = 60.0


class Window(Arguments):
    """How far to look back."""

    window_s: float = Field(default=WINDOW_S, gt=0, le=3600, description="Seconds to look back.")


class PullObservations(Window):
    """Recent results."""

    limit: int = Field(default=20, ge=1, le=50, description="At most so many, the latest.")


class ComputeDrift(Window):
    """Whose predictions to check."""

    device: str = Field(min_length=1, max_length=120)
    model: str = Field(min_length=1, max_length=120)


class OfDevice(Arguments):
    """Whom an act is about."""

    device: str = Field(min_length=1, max_length=120)

    @property
    def target(self) -> tuple[str | None, str | None]:
        """The device, whatever model."""
        return self.device, None


class UpdateCalibration(OfDevice):
    """A new factor."""

    model: str = Field(min_length=1, max_length=120)
    factor: float = Field(
        ge=0.05, le=20, description="Multiplies the predicted service time; 1 is the plain model."
    )

    @property
    def target(self) -> tuple[str | None, str | None]:
        """The device and the model."""
        return self.device, self.model


class SwitchRouter(Arguments):
    """A scoring policy."""

    router: RouterChoice


class SetRouterParams(Arguments):
    """Weights of the score, milliseconds."""

    explore_weight_ms: float = Field(ge=0, le=60_000, description="Bonus of a law nothing is known of.")
    risk_penalty_ms: float = Field(ge=0, le=600_000, description="Penalty of a masked device.")


class ProfileUpdate(Window):
    """Which results to fit."""

    min_samples: int = Field(default=1, ge=1, le=500, description="Laws with fewer results are left alone.")


class SetDeviceRisky(OfDevice):
    """A mask."""

    ttl_tasks: int = Field(default=50, ge=1, le=MAX_TTL_TASKS, description="Tasks for which it holds.")


class ClearDeviceRisky(OfDevice):
    """The end of a mask."""


class NoAction(Result):
    """Nothing was done."""

    done: None = None


class DeviceStatus(Result):
    """One device as the gateway knows it."""

    id: str
    models: tuple[str, ...]
    state: str
    queued: int
    wait_s: float
    utilization: float
    """Share of the time since the start in which it served results that have come back."""
    hints: tuple[str, ...]
    risky_for_tasks: int | None


class SystemStatus(Result):
    """The pool."""

    t_s: float
    tasks: int
    router: RouterChoice
    explore_weight_ms: float
    risk_penalty_ms: float
    devices: tuple[DeviceStatus, ...]


class ResultRow(Result):
    """One finished request."""

    device: str
    model: str
    outcome: str
    ended_s: float
    latency_s: float
    service_s: float | None
    predicted_s: float
    ratio: float | None
    """Observed / predicted service time, predicted just before."""
    stutter: bool
    hinted: bool


class RecentResults(Result):
    """The latest of them, oldest first."""

    finished: int
    stutters: int
    mean_latency_s: float | None
    rows: tuple[ResultRow, ...]


class DriftResult(Result):
    """Observed over predicted, by the model as it is now, over results of the device's present state."""

    device: str
    model: str
    n: int
    ratio: float | None
    relative_sd: float | None
    factor: float
    """Calibration factor in force."""


class CalibrationResult(Result):
    """The change."""

    device: str
    model: str
    old: float
    new: float


class RouterResult(Result):
    """The change."""

    old: RouterChoice
    new: RouterChoice


class ParamsResult(Result):
    """The change, milliseconds: explore weight, risk penalty."""

    old: tuple[float, float]
    new: tuple[float, float]


class ProfileResult(Result):
    """What was fitted: device/model to number of results, and prediction before and after for the last of them."""

    fitted: dict[str, int]
    old: dict[str, float]
    new: dict[str, float]


class RiskResult(Result):
    """The change: tasks for which the device is avoided; None is not at all."""

    device: str
    old: int | None
    new: int | None
    alternative: bool
    """Whether another device can take the work: without one a mask avoids nothing."""
