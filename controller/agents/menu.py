"""A choice in the place of a free answer: a few feasible, good options, of which a model names one by its number.

Options are shown in an order drawn from the run's seed, so that their place tells nothing, and who always says 1 is
seen to. Only options are shown that are nearly as good as the best one by the estimate, since a bad one costs more than
a model can make up for; where one is left, nobody is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic

import numpy as np

from controller.agents.answers import Answer, Asker, ReasonedDecider
from controller.agents.llm import Message, Wanted
from controller.agents.prompts import render
from controller.agents.shapes import schema_of
from emulation.domain.actions import Choice, CommandT
from emulation.rng import stream

MOST_OPTIONS = 4
NEAR = 0.1
"""Only options whose estimate is within this share of the best one's, or within `NEAR_J` of it, are shown."""
NEAR_J = 0.01
ANSWER_TOKENS = 64
"""Enough for the number of an option, where nothing is written before it."""


class ChoiceAnswer(Answer):
    """The number of an option."""

    choice: int


@dataclass(frozen=True, slots=True)
class Estimate:
    """What an option is expected to come to."""

    objective: float
    """J; lower is better."""
    success: float
    latency_s: float

    @property
    def told(self) -> str:
        """`J 0.061, success 0.97, mean latency 43 s`."""
        return f"J {self.objective:.3f}, success {self.success:.2f}, mean latency {self.latency_s:.0f} s"


@dataclass(frozen=True, slots=True)
class Option(Generic[CommandT]):
    """One command that could be given."""

    command: CommandT
    told: str
    """What it does, in a line."""
    estimate: Estimate


def good(options: Sequence[Option[CommandT]], most: int = MOST_OPTIONS) -> list[Option[CommandT]]:
    """The good ones among them, best first by the estimate, each command once; the first given wins a tie."""
    distinct: list[Option[CommandT]] = []
    for option in sorted(options, key=lambda o: o.estimate.objective):
        if not any(option.command == other.command for other in distinct):
            distinct.append(option)
    best = distinct[0].estimate.objective
    bar = best + max(NEAR * abs(best), NEAR_J)
    return [o for o in distinct if o.estimate.objective <= bar][:most]


@dataclass(frozen=True, slots=True)
class Shown:
    """A menu as it is put to somebody."""

    lines: tuple[str, ...]
    order: tuple[int, ...]
    """Place shown to place in the list of options, which has the best one first."""
    estimates: tuple[Estimate, ...]
    """As shown."""

    @property
    def best(self) -> int:
        """Number of the option with the least estimated J, as shown."""
        return self.order.index(0) + 1

    def wanted(self) -> Wanted:
        """The answer to it: one of the numbers."""
        numbers = list(range(1, len(self.lines) + 1))
        schema = schema_of(ChoiceAnswer, {"choice": numbers}, without=("reason",))
        estimates = [
            [round(e.objective, 4), round(e.success, 4), round(e.latency_s, 2)] for e in self.estimates
        ]
        menu: dict[str, Any] = {"options": len(numbers), "best": self.best, "estimates": estimates}
        return Wanted("choice", schema, menu=menu, answer_tokens=ANSWER_TOKENS)


class Menus:
    """Makes menus of one agent; the order of the options is drawn from the run's seed."""

    def __init__(self, agent: str, seed: int) -> None:
        self._rng = stream(seed, f"menu:{agent}")

    def shown(self, told: Sequence[str], estimates: Sequence[Estimate]) -> Shown:
        """The options, best first, in the order in which they are shown."""
        order = self.order(len(told))
        lines = tuple(f"{n}. {estimates[i].told}: {told[i]}" for n, i in enumerate(order, start=1))
        return Shown(lines, order, tuple(estimates[i] for i in order))

    def order(self, options: int) -> tuple[int, ...]:
        """Places of so many options, in the order in which they are shown."""
        return tuple(int(i) for i in self._rng.permutation(np.arange(options)))


def faults(options: int) -> Callable[[ChoiceAnswer], list[str]]:
    """What is wrong with a number that parses."""
    return lambda answer: (
        [] if 1 <= answer.choice <= options else [f"choice {answer.choice} is none of 1 to {options}"]
    )


class ChoosingDecider(ReasonedDecider[CommandT]):
    """Base of deciders whose reasoner picks one of their options."""

    def __init__(self, asker: Asker, role: str, seed: int) -> None:
        super().__init__(asker)
        self._role = role
        """Who decides what, as the system prompt tells it."""
        self._menus = Menus(asker.agent, seed)

    def picked(self, options: Sequence[Option[CommandT]], situation: str) -> Choice[CommandT]:
        """The option its reasoner picks among the good ones; the only one without a question.

        Raises `NoAnswer`, `ReasonerError`.
        """
        left = good(options)
        if len(left) == 1:
            only = left[0]
            return Choice(only.command, f"not asked, one good option: {only.told}", 0.0)
        shown = self._menus.shown([o.told for o in left], [o.estimate for o in left])
        system = render("choice_system", role=self._role)
        user = render("choice_options", situation=situation, options=shown.lines)
        answer = self.asker.ask(system, user, ChoiceAnswer, faults(len(left)), wanted=shown.wanted())
        option = left[shown.order[answer.choice - 1]]
        expected = option.estimate
        rest = f"success {expected.success:.2f}, mean latency {expected.latency_s:.0f} s"
        reason = f"option {answer.choice} of {len(left)}: {option.told}; J {expected.objective:.3f} estimated; {rest}"
        return Choice(option.command, reason, self.asker.thinking_s, self.asker.exchanges)


def as_data(shown: Shown, messages: Sequence[Message], chosen: int | None) -> dict[str, Any]:
    """A menu for the record, where a question was turned into one on the way: with what was said instead."""
    system, asked = (m.content for m in messages)
    return {**(shown.wanted().menu or {}), "system": system, "asked": asked, "chosen": chosen}
