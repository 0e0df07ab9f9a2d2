"""Decisions."""

from __future__ import annotations

from nicegui import ui

from edgebed.ui.page.room import Room


def build(room: Room) -> None:
    """The panel."""
    ui.label("Nothing here yet.").classes("quiet")
