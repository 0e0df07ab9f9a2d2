"""All that is known of one node at the moment that is shown, in a dialog that keeps up with it."""

from __future__ import annotations

from collections.abc import Sequence

from nicegui import ui

from edgebed.ui.page.dialog import NamedDialog
from edgebed.ui.page.panel_table import PanelTable
from edgebed.ui.page.room import Room
from edgebed.ui.page.words import one_line, seconds
from edgebed.ui.views import DecisionView, EventView, ExecutorView, FlowView, NodeView

EXECUTORS = ("Model", "State", "Computes on", "In the queue", "Predicted", "Measured", "Requests")
EVENTS = ("What", "Where", "From", "Until", "Who")
DECISIONS = ("Time", "Actor", "Chosen", "Outcome")
MOST = 5
"""Decisions of the node's own deployment agent that are shown."""


class NodeDialog:
    """The dialog of one viewer: opened with a node's id, filled anew once a second while it is open."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._node = ""
        with NamedDialog("Node") as self._dialog, ui.card().classes("detail"):
            with ui.element("div").classes("bar").style("justify-content: space-between; width: 100%"):
                with ui.element("h2"):
                    self._name = ui.label()
                ui.button("Close", on_click=self._dialog.close).props("flat dense no-caps autofocus")
            self._about = ui.label().classes("said")
            self._executors = PanelTable(EXECUTORS, EXECUTORS[3:6], "It hosts no model.")
            _part("Requests sent there")
            self._flows = ui.label()
            _part("What went wrong there")
            self._events = PanelTable(EVENTS, ("From", "Until"), "Nothing, up to this moment.")
            _part("What its deployment agent chose")
            self._decisions = PanelTable(
                DECISIONS, ("Time",), "Nothing, up to this moment.", on_pick=self._decision
            )
        room.show_node = self.open
        room.on_slow(self.refresh)

    def open(self, node: str) -> None:
        """Show this node; nothing happens if the run has none of that name."""
        self._node = node
        self._dialog.rename(f"Node {node}")
        if self._fill():
            self._dialog.open()

    def refresh(self) -> None:
        """Show it as it is now, if anybody looks."""
        if self._dialog.value:
            self._fill()

    def _decision(self, number: int) -> None:
        self._dialog.close()
        self._room.show(number)

    def _fill(self) -> bool:
        """Whether there is such a node."""
        source, t_s = self._room.source, self._room.moment.t_s
        if source is None:
            return False
        frame = source.frame(t_s)
        node = next((n for n in frame.nodes if n.id == self._node), None)
        if node is None:
            return False
        self._name.text = f"{one_line(node.id, 60)} at {seconds(t_s)}"
        self._about.text = one_line(about(node), 300)
        self._executors.show([(i, executor_row(e)) for i, e in enumerate(node.executors)])
        self._flows.text = one_line(flows_told(frame.flows, node.id), 400)
        events = [e for e in source.events(t_s) if e.target == node.id or e.target.startswith(f"{node.id}/")]
        self._events.show([(e.number, event_row(e)) for e in sorted(events, key=lambda e: -e.onset_s)])
        chosen = source.decisions(t_s, (f"deployer:{node.id}",), most=MOST)
        self._decisions.show([(d.number, decision_row(d)) for d in chosen])
        return True


def about(node: NodeView) -> str:
    """Its devices, how far away it is, and how it is."""
    there = "is there" if node.available else "is away"
    slower = f", {node.slowdown:.3g} times slower than usual" if node.slowdown != 1 else ""
    far = "" if node.rtt_s is None else f" Its machine is {1000 * node.rtt_s:.0f} ms away."
    return f"{' + '.join(node.devices)}. It {there}{slower}.{far}"


def executor_row(executor: ExecutorView) -> tuple[str, ...]:
    """A model that it hosts."""
    share = "" if executor.gpu_share is None else f", {100 * executor.gpu_share:.0f}% of it"
    return (
        one_line(executor.model, 80),
        executor.state,
        executor.mode.upper() + share if executor.mode != "off" else "–",
        "unknown" if executor.queued is None else str(executor.queued),
        seconds(executor.predicted_s),
        seconds(executor.measured_s),
        "kept away by a controller" if executor.masked else "may come",
    )


def flows_told(flows: Sequence[FlowView], node: str) -> str:
    """Where its requests come from, in a sentence."""
    here = sorted((f for f in flows if f.node == node and f.per_s > 0), key=lambda f: -f.per_s)
    return "; ".join(f"{f.per_s:.2f} per s from {f.origin}" for f in here) or "None of late."


def event_row(event: EventView) -> tuple[str, ...]:
    """An event that hit it, or one of its models."""
    return (
        one_line(event.type.replace("_", " "), 40), one_line(event.target, 60), seconds(event.onset_s),
        "in force" if event.undone_s is None else seconds(event.undone_s), "by hand" if event.by_hand else "scenario",
    )  # fmt: skip


def decision_row(view: DecisionView) -> tuple[str, ...]:
    """A decision about it."""
    return (
        seconds(view.t_s), one_line(view.actor, 60), one_line(view.said), one_line(view.outcome, 40),
    )  # fmt: skip


def _part(title: str) -> None:
    with ui.element("h3"):
        ui.label(title)
