"""Schemes that a run may switch to while it goes on: which those are, and their controllers when they come in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from controller.agents.account import Accounts
from edgebed.wiring.controllers import (
    Controllers,
    OracleTruth,
    build_controllers,
    in_virtual_gateways,
)
from edgebed.wiring.parts import find_scheme, scheme_names
from edgebed.wiring.reasoners import check_reasoner, reasoner_label, replaying_run_of, seeds_apart
from emulation.domain.events import SchemeSwitch
from emulation.domain.mistakes import Mistake
from emulation.domain.ports import FastPath
from emulation.domain.scenario import Scenario
from emulation.engine.control import Newcomers
from emulation.files import ConfigError
from serve_apps.wire.switching import Cast


def check_switches(scenario: Scenario, schemes: Sequence[str], live: bool, seeds: Sequence[int]) -> None:
    """See that every scheme which an event of the scenario brings in can come in, where a run begins with one of
    `schemes` on one of `seeds`. Raises `ConfigError`."""
    for i, event in enumerate(scenario.events):
        if isinstance(event, SchemeSwitch):
            try:
                for own in schemes:
                    for seed in seeds_apart(find_scheme(event.to), scenario, seeds):
                        check_switch(replaying_run_of(scenario, own, seed), event.to, live)
            except ConfigError as error:
                raise ConfigError(f"events[{i}].to: {error}") from error


def check_switch(scenario: Scenario, to: str, live: bool) -> None:
    """See that a run of this scenario can be switched to a scheme. Raises `ConfigError` with the reason if not."""
    row = find_scheme(to)
    if live and row.router == "oracle":
        raise ConfigError(
            f"{to} cannot come in while a live run goes on: its mirror must have seen all that was dispatched; begin a"
            " run with it, or leave out --live"
        )
    check_reasoner(row, scenario, live)
    if row.router != "oracle":
        build_controllers(row, scenario, 0)


@dataclass(frozen=True, slots=True)
class VirtualSchemes:
    """Port `Schemes` of a simulation."""

    own: str
    scenario: Scenario
    seed: int
    oracle: OracleTruth
    accounts: Accounts
    """Of the run: they go on from scheme to scheme."""
    gateway_of: Mapping[str, int] | None = None
    """As of `in_virtual_gateways`."""

    def newcomers(self, scheme: str) -> Newcomers:
        """The controllers of a scheme, as at the begin of a run. Raises `ConfigError`."""
        row, oracle, accounts = find_scheme(scheme), self.oracle, self.accounts
        scenario = replaying_run_of(self.scenario, self.own, self.seed)
        built = build_controllers(row, scenario, self.seed, oracle, accounts=accounts)
        controllers = in_virtual_gateways(built, scenario, self.seed, oracle, accounts, self.gateway_of)
        return Newcomers(controllers.fast_path, controllers.plane(), reasoner_label(row, self.scenario))


@dataclass(frozen=True, slots=True)
class LiveSchemes:
    """Port `Schemes` of a live run; see `serve_apps/wire/switching.py`."""

    own: str
    scenario: Scenario
    seed: int
    accounts: Accounts = field(default_factory=Accounts)
    """Of the run: they go on from scheme to scheme, and in every process of a machine."""

    def check(self, to: str) -> None:
        """Raise `ConfigError` with the reason if the run cannot be switched to a scheme."""
        check_switch(replaying_run_of(self.scenario, self.own, self.seed), to, live=True)

    def refusals(self) -> dict[str, str]:
        """Every scheme, to why the run cannot be switched to it; empty: it can."""
        return {name: self._refusal(name) for name in self._known()}

    def shadow(self, scheme: str) -> FastPath:
        """The fast path of a scheme, to decide in the shadow of the one in force.

        Whoever may ask a model may name one, so only what has a name comes in: a dotted path would be code. Raises
        `ConfigError`.
        """
        if scheme not in self._known():
            raise ConfigError(f"no scheme is called {scheme!r}; `edgebed schemes` lists them")
        self.check(scheme)
        if find_scheme(scheme).router == "table":
            raise ConfigError(
                f"{scheme} routes by the table of a scheduler, which does not act in the shadow"
            )
        made: Any = self._built(scheme, Accounts()).fast_path
        path: FastPath = made.innermost
        return path

    def _known(self) -> list[str]:
        """The schemes there are by name, and the run's own, which may be somebody's."""
        names = scheme_names()
        return names if self.own in names else [*names, self.own]

    def _refusal(self, name: str) -> str:
        try:
            self.check(name)
        except Mistake as error:
            return str(error)
        return ""

    def cast(self, scheme: str) -> Cast:
        """The controllers of a scheme, as at the begin of a run. Raises `ConfigError`."""
        made = self._built(scheme, self.accounts)
        return Cast(
            scheme=scheme, reasoner=reasoner_label(made.scheme, self.scenario), fast_path=made.fast_path,
            planner=made.planner, scheduler=made.scheduler, deployers=made.deployers,
        )  # fmt: skip

    def _built(self, scheme: str, accounts: Accounts) -> Controllers:
        """What `check` has looked at."""
        scenario = replaying_run_of(self.scenario, self.own, self.seed)
        return build_controllers(find_scheme(scheme), scenario, self.seed, accounts=accounts)
