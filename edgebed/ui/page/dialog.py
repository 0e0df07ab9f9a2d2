"""Dialogs of the page: each has a name for those who do not see it."""

from __future__ import annotations

from nicegui import ui


class NamedDialog(ui.dialog):
    """A dialog that a screen reader announces by name."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.rename(name)

    def rename(self, name: str) -> None:
        """It shows something else from now on. `name` may be text of others."""
        self.props["aria-label"] = name
        self.update()
