"""Choosers without judgement: what a language model must be better than to have added anything.

They answer nothing but choices: always the first option that is shown, or any, drawn from the run's seed.
"""

from __future__ import annotations

import json

from controller.agents.llm import Form, Query, Reply
from controller.agents.reasoner import ReasonerLabel
from emulation.rng import stream


class Chooser:
    """Picks without looking, in no time."""

    def __init__(self, label: ReasonerLabel, agent: str, seed: int) -> None:
        self.label = label
        self._rng = stream(seed, f"chooser:{agent}")

    def form(self, agent: str) -> Form:
        """It can do nothing but choose."""
        return "choice"

    def ask(self, query: Query) -> Reply:
        """A number of one of the options."""
        menu = query.wanted.menu
        if menu is None:
            return Reply(failure="malformed_response")
        number = 1 if self.label == "first" else 1 + int(self._rng.integers(menu["options"]))
        return Reply(text=json.dumps({"choice": number}))
