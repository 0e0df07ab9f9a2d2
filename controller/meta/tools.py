"""The nine tools, in groups of looking, diagnosing and acting: all that the meta-controller can do.

Each has pydantic arguments with bounds and a pydantic result that states old and new values. None reveals ground
truth: they read the steered, which holds what a gateway knows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from controller.agents.tools import Arguments, Result, Tool, ToolError
from controller.meta.calibration import ExecutorModel
from controller.meta.observations import drift_of
from controller.meta.steered import SteeredFastPath
from controller.meta.tool_types import (
    CalibrationResult,
    ClearDeviceRisky,
    ComputeDrift,
    DeviceStatus,
    DriftResult,
    NoAction,
    ParamsResult,
    ProfileResult,
    ProfileUpdate,
    PullObservations,
    RecentResults,
    ResultRow,
    RiskResult,
    RouterResult,
    SetDeviceRisky,
    SetRouterParams,
    SwitchRouter,
    SystemStatus,
    UpdateCalibration,
)

_TOOLS = (
    Tool("get_system_status", "Queues, waits, utilization, hints, masks and router.", Arguments),
    Tool("pull_observations", "The latest finished requests, and how many stuttered.", PullObservations),
    Tool("compute_drift", "Observed / predicted service time of a device and model, and n.", ComputeDrift),
    Tool(
        "update_calibration",
        "Set the calibration factor of a device and model.",
        UpdateCalibration,
        "residual",
    ),
    Tool("switch_router", "Change the fast path's scoring policy.", SwitchRouter, "stretch"),
    Tool("set_router_params", "Change exploration weight and risk penalty.", SetRouterParams, "stretch"),
    Tool(
        "trigger_online_profile_update",
        "Fit service laws from recent results alone.",
        ProfileUpdate,
        "residual",
    ),
    Tool("set_device_risky", "Avoid a device for the next tasks.", SetDeviceRisky, "stutter_rate"),
    Tool("clear_device_risky", "Use a device again.", ClearDeviceRisky, "stutter_rate"),
)
TOOLS: dict[str, Tool] = {tool.name: tool for tool in _TOOLS}
"""The registry: name to tool. One description serves rules, scripts and language models."""


NO_ACTION = Tool("no_action", "Change nothing: nothing needs to be done.", Arguments, ends=True)


def free_tools(laws: Mapping[str, Mapping[str, str]]) -> dict[str, Tool]:
    """The tools of a language model that writes its calls out: the nine, their devices and models named, and a tenth.

    `laws`: device to the models it serves. Not to act is a call too, so that a model which rambles is told from one
    that is content.
    """
    devices = tuple(laws)
    models = tuple(dict.fromkeys(m for served in laws.values() for m in served))
    words = {"device": devices, "model": models}

    def narrowed(tool: Tool) -> Tool:
        named = tuple((name, words[name]) for name in tool.arguments.model_fields if name in words)
        return replace(tool, words=named)

    return {tool.name: narrowed(tool) for tool in (*_TOOLS, NO_ACTION)}


class MetaTools:
    """Runs validated calls on a steered fast path."""

    def __init__(self, steered: SteeredFastPath) -> None:
        self._steered = steered

    def run(self, name: str, arguments: Any) -> Result:
        """One call. Raises `ToolError` for a device or model that is not there."""
        method = getattr(self, f"_{name}")
        result: Result = method(arguments)
        return result

    def _no_action(self, arguments: Arguments) -> NoAction:
        return NoAction()

    def _get_system_status(self, arguments: Arguments) -> SystemStatus:
        steered = self._steered
        explore_ms, risk_ms = steered.weights_ms()
        return SystemStatus(
            t_s=steered.now_s,
            tasks=steered.tasks,
            router=steered.router,
            explore_weight_ms=explore_ms,
            risk_penalty_ms=risk_ms,
            devices=tuple(self.device_status(device) for device in steered.hints),
        )

    def device_status(self, device: str) -> DeviceStatus:
        """One row of the status."""
        steered = self._steered
        return DeviceStatus(
            id=device,
            models=tuple(steered.laws[device]),
            state=steered.state(device),
            queued=steered.queued(device),
            wait_s=round(steered.wait_s(device), 3),
            utilization=round(min(1.0, steered.served_s[device] / max(steered.now_s, 1e-9)), 3),
            hints=steered.hints[device],
            risky_for_tasks=steered.ttl_left(device),
        )

    def _pull_observations(self, arguments: PullObservations) -> RecentResults:
        recent = self._steered.observations.since(self._steered.now_s - arguments.window_s)
        done = [o.latency_s for o in recent if o.outcome == "done"]
        rows = tuple(
            ResultRow(
                device=o.device, model=o.key.model, outcome=o.outcome, ended_s=round(o.ended_s, 3),
                latency_s=round(o.latency_s, 4), service_s=None if o.service_s is None else round(o.service_s, 4),
                predicted_s=round(o.predicted_s, 4), ratio=None if o.ratio is None else round(o.ratio, 3),
                stutter=o.stutter, hinted=o.hinted,
            )
            for o in recent[-arguments.limit :]
        )  # fmt: skip
        return RecentResults(
            finished=len(recent),
            stutters=sum(o.stutter for o in recent),
            mean_latency_s=round(sum(done) / len(done), 4) if done else None,
            rows=rows,
        )

    def _compute_drift(self, arguments: ComputeDrift) -> DriftResult:
        law = self._law(arguments.device, arguments.model)
        results = self._steered.results(arguments.device, arguments.model, arguments.window_s)
        ratio, relative_sd = drift_of(results, self._steered.calibration)
        return DriftResult(
            device=arguments.device,
            model=arguments.model,
            n=len(results),
            ratio=None if ratio is None else round(ratio, 4),
            relative_sd=None if relative_sd is None else round(relative_sd, 4),
            factor=self._steered.calibration.factor(law),
        )

    def _update_calibration(self, arguments: UpdateCalibration) -> CalibrationResult:
        law = self._law(arguments.device, arguments.model)
        old = self._steered.calibration.factor(law)
        self._steered.set_factor(law, arguments.factor)
        return CalibrationResult(
            device=arguments.device, model=arguments.model, old=old, new=arguments.factor
        )

    def _switch_router(self, arguments: SwitchRouter) -> RouterResult:
        old = self._steered.router
        self._steered.set_router(arguments.router)
        return RouterResult(old=old, new=arguments.router)

    def _set_router_params(self, arguments: SetRouterParams) -> ParamsResult:
        old = self._steered.weights_ms()
        self._steered.set_weights(arguments.explore_weight_ms, arguments.risk_penalty_ms)
        return ParamsResult(old=old, new=self._steered.weights_ms())

    def _trigger_online_profile_update(self, arguments: ProfileUpdate) -> ProfileResult:
        steered = self._steered
        fitted: dict[str, int] = {}
        old: dict[str, float] = {}
        new: dict[str, float] = {}
        for device, laws in steered.laws.items():
            for model, executor in laws.items():
                results = steered.results(device, model, arguments.window_s)
                if len(results) < arguments.min_samples:
                    continue
                name, last = f"{device}/{model}", results[-1]
                old[name] = steered.calibration.predict(last.key, last.x).mean_s
                steered.refit((executor, model), results)
                new[name] = steered.calibration.predict(last.key, last.x).mean_s
                fitted[name] = len(results)
        return ProfileResult(fitted=fitted, old=old, new=new)

    def _set_device_risky(self, arguments: SetDeviceRisky) -> RiskResult:
        return self._risk(arguments.device, arguments.ttl_tasks)

    def _clear_device_risky(self, arguments: ClearDeviceRisky) -> RiskResult:
        return self._risk(arguments.device, None)

    def _risk(self, device: str, ttl_tasks: int | None) -> RiskResult:
        """Mask the device for so many tasks; None: lift its mask."""
        steered, old = self._steered, self._steered.ttl_left(self._device(device))
        if ttl_tasks is None:
            steered.unmask(device)
        else:
            steered.mask(device, ttl_tasks)
        alternative = steered.has_alternatives(device)
        return RiskResult(device=device, old=old, new=steered.ttl_left(device), alternative=alternative)

    def _device(self, device: str) -> str:
        if device not in self._steered.hints:
            raise ToolError(f"no device {device!r}; known: {sorted(self._steered.hints)}")
        return device

    def _law(self, device: str, model: str) -> ExecutorModel:
        laws = self._steered.laws[self._device(device)]
        if model not in laws:
            raise ToolError(f"{device} does not serve {model!r}; it serves {sorted(laws)}")
        return laws[model], model
