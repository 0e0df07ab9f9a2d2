"""Serves the page: one process, any number of viewers, each with a `Room` of its own."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Sequence
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from nicegui import run, ui

from edgebed.report.palette import css
from edgebed.ui.page import comparison, costs, decisions, faults, steering
from edgebed.ui.page.charts import Charts
from edgebed.ui.page.guard import Guard
from edgebed.ui.page.node_detail import NodeDialog
from edgebed.ui.page.room import Room
from edgebed.ui.page.run_catalog import CachedRuns, Entry, RunCatalog
from edgebed.ui.page.shared import TICK_S
from edgebed.ui.page.stage import Stage
from edgebed.ui.page.words import one_line
from serve_apps.wire.secret import Secret

STYLE = Path(__file__).with_name("style.css")
TABS = ("Live / replay", "Decisions", "Comparison", "Faults & steering", "Costs")
WITH_MAP = (TABS[0], TABS[3])
"""Tabs beside which the map stays; at the others only the time slider does."""
RECONNECT_S = 20.0
"""Wall seconds a viewer may be gone before its room is given up and made anew."""
SOON_S = 0.1
"""Wall seconds between two looks whether a run has been read that somebody waits for."""
END_S = 2
"""Wall seconds that open connections have once the page is to end."""
log = logging.getLogger("edgebed")


def serve(
    cached: CachedRuns, listening: socket.socket, host: str, token: Secret | None, allow_hosts: Sequence[str],
    ready: Callable[[], None],
) -> None:  # fmt: skip
    """Serve the page on a socket that is bound, until SIGTERM or Ctrl-C. `ready` is called once it answers."""
    readings = comparison.Readings()
    run.process_pool_start_method = "spawn"
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    ui.page("/", title="edgebed control room", language="en-US")(lambda: _asked_for(cached, readings))
    ui.run_with(
        app,
        dark=None,
        tailwind=False,
        reconnect_timeout=RECONNECT_S,
        show_welcome_message=False,
        binding_refresh_interval=None,
    )
    guarded = Guard(app, host, token, allow_hosts)
    config = uvicorn.Config(
        guarded,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="on",
        timeout_graceful_shutdown=END_S,
    )
    server = _Server(config, ready)
    server.run(sockets=[listening])


class _Server(uvicorn.Server):
    """Says when it answers."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Open, then say so."""
        await super().startup(sockets)
        if self.started:
            self._ready()


def _asked_for(cached: CachedRuns, readings: comparison.Readings) -> None:
    """What is to be shown is read while the browser still loads the page."""
    cached.prepare()
    build(cached, readings)


def build(catalog: RunCatalog, readings: comparison.Readings) -> None:
    """The whole page for one viewer."""
    ui.add_css(css() + STYLE.read_text())
    ui.colors(primary="var(--accent)", positive="var(--good)", negative="var(--bad)")
    room = Room(catalog)
    _header(room)
    stage = Stage(room)
    NodeDialog(room)
    with ui.tabs().props("align=left no-caps dense").classes("tabs") as tabs:
        for name in TABS:
            ui.tab(name)
    tabs.on_value_change(lambda e: stage.compact(e.value not in WITH_MAP))
    with ui.tab_panels(tabs, value=TABS[0], animated=False).classes("panels") as panels:
        with ui.tab_panel(TABS[0]):
            Charts(room, stage, shown=lambda: panels.value == TABS[0])
        with ui.tab_panel(TABS[1]):
            decisions.build(room, shown=lambda: panels.value == TABS[1])
        with ui.tab_panel(TABS[2]):
            comparison.build(room, readings, shown=lambda: panels.value == TABS[2])
        with ui.tab_panel(TABS[3]):
            faults.build(room, shown=lambda: panels.value == TABS[3])
            steering.build(room, shown=lambda: panels.value == TABS[3])
        with ui.tab_panel(TABS[4]):
            costs.build(room, shown=lambda: panels.value == TABS[4])
    panels.on_value_change(room.again)
    timer = ui.timer(TICK_S, room.tick)
    room.on_tick(lambda: setattr(timer, "interval", TICK_S if room.waiting is None else SOON_S))


def _header(room: Room) -> None:
    """Which run this is, and which others there are."""
    with ui.element("header").classes("head"):
        ui.label("edgebed").classes("brand")
        with ui.element("h1").classes("title"):
            title = ui.label()
        chosen = ui.select({}, label="Run", on_change=lambda e: room.open(str(e.value))).props(
            "dense outlined"
        )
        chosen.classes("runs")
        about = ui.label().classes("about")

    def refresh() -> None:
        named = one_line(room.catalog.title, 80)
        if title.text != named:
            title.text = named
            ui.page_title(f"{named} · edgebed control room")
        chosen_entry = room.waiting or room.entry
        key = None if chosen_entry is None else chosen_entry.key
        names = {e.key: _named(room, e) + (" · live" if e.growing else "") for e in room.entries}
        if names != chosen.options or key != chosen.value:
            chosen.set_options(names, value=key)
        if room.source is not None:
            scheme, reasoner = room.source.decides(room.moment.t_s)
            about.text = f"{one_line(scheme, 60)} decides · {room.source.world} world · {_reasoner(reasoner)}"
        if room.waiting is not None:
            about.text = room.problem

    refresh()
    room.on_open(refresh)
    room.on_slow(refresh)


def _named(room: Room, entry: Entry) -> str:
    """Of the run that is shown its record says the name, with every scheme it was switched to; of others its folder."""
    shown = room.entry is not None and entry.key == room.entry.key and room.source is not None
    return one_line(room.source.name, 60) if shown and room.source is not None else entry.name


def _reasoner(name: str) -> str:
    """What thinks, in words: nothing that rules decided may be taken for a language model's."""
    said = {"none": "no reasoner", "": "reasoner unknown", "rules": "agents are rules, no language model"}
    return said.get(name, f"reasoner: {name}")
