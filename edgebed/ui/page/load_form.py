"""The load that the testbed sends itself: begun from a scenario, its rate changed while it goes on, stopped."""

from __future__ import annotations

from asyncio import to_thread
from collections.abc import Awaitable, Callable

from nicegui import ui

from edgebed.ui.page.words import one_line, seconds
from edgebed.ui.steering.client import Control, checked
from emulation.domain.mistakes import ConfigError
from emulation.files import list_scenarios, load_scenario
from serve_apps.wire.steer import Load, LoadEntry, Rate
from workloads.demand_digest import demand_digest

Do = Callable[[Callable[[Control], Awaitable[object]], Callable[..., str]], Awaitable[None]]
"""Asks for something, and says what came of it."""
OWN = "the testbed's own"
TIMES = "times as dense"


class LoadForm:
    """What is sent now, and what may be done about it."""

    def __init__(self, do: Do) -> None:
        self._do = do
        self._now = ui.label().classes("quiet")
        with ui.element("div").classes("bar"):
            options = {"": OWN, **{name: name for name in list_scenarios()}}
            self._scenario = ui.select(options, value="", label="Requests of scenario")
            self._seed = ui.input("seed", value="0", on_change=self._check)
            self._rate = ui.input("rate", value="1", on_change=self._check)
            self._rate.props(f"suffix='{TIMES}'")
            for field in (self._scenario, self._seed, self._rate):
                field.props("dense outlined").classes("field")
            self._start = ui.button("Send", on_click=self._send)
            self._change = ui.button("Change the rate", on_click=self._pace)
            self._stop = ui.button("Stop", on_click=self._end)
            for button in (self._start, self._change, self._stop):
                button.props('no-caps unelevated padding="xs md"')
            self._wrong = ui.label().classes("bad").props("role=status")
        self._running = False
        self.show(None)

    def show(self, load: LoadEntry | None) -> None:
        """What is sent now."""
        self._running = load is not None and load.running
        if load is None:
            self._now.text = "The testbed sends itself no load."
        elif load.running:
            since = f"from {seconds(load.began_s)} on, seed {load.seed}"
            self._now.text = one_line(
                f"Requests of {load.scenario} are sent, {load.rate:g} {TIMES}, {since}."
            )
        else:
            said = f"The load of {load.scenario} ended at {seconds(load.ended_s)}: {load.said}."
            self._now.text = one_line(said, 300)
        self._start.set_visibility(not self._running)
        self._change.set_visibility(self._running)
        self._stop.set_visibility(self._running)
        self._check()

    def _check(self) -> None:
        wrong = ""
        try:
            if self._running:
                checked(Rate, {"rate": self._rate.value})
            else:
                checked(Load, self._asked())
        except ConfigError as error:
            wrong = str(error)
        self._wrong.text = wrong
        self._start.set_enabled(not wrong)
        self._change.set_enabled(not wrong)

    def _asked(self) -> dict[str, object]:
        scenario = self._scenario.value or None
        return {"scenario": scenario, "seed": self._seed.value, "rate": self._rate.value}

    async def _send(self) -> None:
        asked = self._asked()
        seed, rate = str(asked["seed"]), str(asked["rate"])
        scenario = None if asked["scenario"] is None else str(asked["scenario"])
        demand = None if scenario is None else await to_thread(_demand, scenario)
        await self._do(
            lambda c: c.send(scenario, seed, rate, demand),
            lambda load: f"Requests of {load.scenario} are sent.",
        )

    async def _pace(self) -> None:
        rate = str(self._rate.value)
        await self._do(lambda c: c.change_rate(rate), lambda load: f"The rest is sent {load.rate:g} {TIMES}.")

    async def _end(self) -> None:
        await self._do(lambda c: c.change_rate(0), lambda load: "No more is sent.")


def _demand(packaged: str) -> str:
    """What the page means by the name of a packaged scenario: a testbed may have another one of that name."""
    return demand_digest(load_scenario(packaged))
