"""Decisions of agents that wait for somebody: what each would change and why, to be approved, edited or rejected."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from nicegui import ui

from edgebed.ui.page.load_form import Do
from edgebed.ui.page.panel_table import PanelTable
from edgebed.ui.page.words import one_line, seconds
from serve_apps.wire.steer import ProposalEntry, ProposalList

CHANGES = ("What", "In force", "Proposed")
SETTLED = ("Proposal", "Of", "Decided at", "Became", "Why")
MOST = 60
"""Changes that are listed of one proposal."""
LATEST = 8
"""Proposals that are listed after they were settled."""


class ProposalForm:
    """Those that wait, each with its buttons, and the latest that did. What is being written stays meanwhile."""

    def __init__(self, do: Do) -> None:
        self._do = do
        self._cards: dict[int, ui.element] = {}
        """Number to the element of one that waits."""
        self._none = ui.label("No decision waits for approval.").classes("quiet").props("role=status")
        self._waiting = ui.element("div")
        self._settled = PanelTable(SETTLED, ("Decided at",), "")

    def show(self, found: ProposalList) -> None:
        """These are the proposals of the run."""
        waiting = {p.proposal: p for p in found.proposals if p.state == "waiting"}
        for number in [n for n in self._cards if n not in waiting]:
            self._cards.pop(number).delete()
        for number, proposal in waiting.items():
            if number not in self._cards:
                with self._waiting:
                    self._cards[number] = _Card(proposal, self._do).element
        self._none.set_visibility(not waiting)
        over = [p for p in reversed(found.proposals) if p.state != "waiting"][:LATEST]
        self._settled.show([(p.proposal, settled_row(p)) for p in over])


class _Card:
    """One that waits."""

    def __init__(self, proposal: ProposalEntry, do: Do) -> None:
        self._number, self._do = proposal.proposal, do
        self.element = ui.element("section").classes("proposal")
        with self.element:
            with ui.element("h3"):
                ui.label(heading(proposal))
            ui.label(one_line(proposal.reason, 600)).classes("said")
            found = changes(proposal.present or {}, proposal.proposed)
            PanelTable(CHANGES, (), "It is what is in force already.").show(
                [(i, tuple(one_line(text, 120) for text in change)) for i, change in enumerate(found[:MOST])]
            )
            if len(found) > MOST:
                ui.label(f"and {len(found) - MOST} more, in the whole of it:").classes("quiet")
            with ui.expansion("The whole of it, to be edited").props("dense"):
                self._text = ui.textarea(value=json.dumps(proposal.proposed, indent=1), on_change=self._check)
                self._text.props(f'outlined autogrow aria-label="Proposal {self._number} as it is to be"')
                self._wrong = ui.label().classes("bad").props("role=status")
            self._original = self._text.value
            with ui.element("div").classes("bar"):
                self._why = ui.input("reason for the record").props("dense outlined").classes("field")
                self._yes = self._button("Approve", self._approve)
                self._button("Reject", self._reject)
        self._check()

    def _button(self, word: str, act: Any) -> ui.button:
        button = ui.button(word, on_click=act)
        button.props(f'no-caps unelevated padding="xs md" aria-label="{word} proposal {self._number}"')
        return button

    @property
    def _edited(self) -> bool:
        return bool(self._text.value != self._original)

    def _check(self) -> None:
        """Nothing is sent that is no command at all; the testbed checks it as it checks an agent's."""
        wrong = "" if not self._edited else mistake_in(str(self._text.value))
        self._wrong.text = wrong
        self._yes.text = "Approve as edited" if self._edited else "Approve"
        self._yes.set_enabled(not wrong)

    async def _approve(self) -> None:
        number, why = self._number, str(self._why.value or "")
        command = json.loads(str(self._text.value)) if self._edited else None
        await self._do(lambda c: c.approve(number, command, why), answer)

    async def _reject(self) -> None:
        number, why = self._number, str(self._why.value or "")
        await self._do(lambda c: c.reject(number, why), answer)


def heading(proposal: ProposalEntry) -> str:
    """Whose it is, of when, and until when it waits."""
    said = f"Proposal {proposal.proposal} of {proposal.actor} ({proposal.cause}), decided at {seconds(proposal.t_s)}"
    return one_line(f"{said}; the rules of its role decide at {seconds(proposal.until_s)}", 200)


def answer(done: ProposalEntry) -> str:
    """What became of it."""
    return f"Proposal {done.proposal} of {done.actor}: {done.state.replace('_', ' ')}."


def settled_row(proposal: ProposalEntry) -> tuple[str, ...]:
    """One that waits no more."""
    return (
        str(proposal.proposal), one_line(proposal.actor, 60), seconds(proposal.t_s), proposal.state.replace("_", " "),
        one_line(proposal.reason),
    )  # fmt: skip


def changes(present: Mapping[str, Any], proposed: Mapping[str, Any]) -> Sequence[tuple[str, str, str]]:
    """(what, as it is, as it would be) of everything in which two commands differ; a dash for what is not there."""
    before, after = dict(_leaves(present)), dict(_leaves(proposed))
    keys = dict.fromkeys([*before, *after])
    return [
        (key, before.get(key, "–"), after.get(key, "–")) for key in keys if before.get(key) != after.get(key)
    ]


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Every value within an object, with the way to it."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(inner, f"{path} · {key}" if path else str(key))
    else:
        yield (
            path,
            f"{value:.3g}" if isinstance(value, float) else json.dumps(value, ensure_ascii=False).strip('"'),
        )


def mistake_in(text: str) -> str:
    """Why this is no command; empty if it may be one."""
    try:
        found = json.loads(text)
    except ValueError as error:
        return f"This is no JSON: {error}"
    return "" if isinstance(found, dict) else "A command is an object: { ... }"
