"""Who thinks in a run, as its options say: asked for, checked against its schemes, and looked at before it begins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from emulation.domain.mistakes import ConfigError
from emulation.domain.scenario import Scenario


def thinks_as(
    scenario: Scenario,
    reasoner: str | None,
    agents_mode: Literal["choice", "free", "auto"] | None,
    approve: bool = False,
) -> Scenario:
    """The scenario with these of `--reasoner`, `--agents-mode` and `--approve`. Raises `ConfigError`."""
    from edgebed.wiring.reasoners import with_approval, with_reasoner

    return with_approval(with_reasoner(scenario, reasoner, agents_mode), approve)


def check_thinking(
    scenario: Scenario, schemes: Sequence[str], reasoner: str | None, approve: bool = False
) -> None:
    """See that the options have an effect on these schemes, and that their language models answer.

    Raises `ConfigError`, or `ReasonerError` where a model is refused for good.
    """
    from edgebed.wiring.preflight import look_at_models
    from edgebed.wiring.reasoners import agents_that_ask

    check_reasoner_thinks(reasoner, schemes)
    if approve and not any(agents_that_ask(scenario, name) for name in schemes):
        raise ConfigError(
            f"--approve has no effect on {', '.join(schemes)}: it holds what a reasoner decided as planner, scheduler "
            "or deployer, and here rules decide; give --reasoner, and a scheme with agents such as MA"
        )
    look_at_models(scenario, schemes)


def check_reasoner_thinks(reasoner: str | None, schemes: Sequence[str]) -> None:
    """Raise `ConfigError` if `--reasoner` is given and none of the schemes has anything that thinks."""
    from controller.schemes import SCHEMES
    from edgebed.wiring.parts import find_scheme

    rows = () if reasoner is None else [find_scheme(name) for name in schemes]
    if reasoner is None or any(row.meta is not None or row.agents() for row in rows):
        return
    some = ", ".join(n for n, s in SCHEMES.items() if s.meta is not None or s.agents())
    raise ConfigError(
        f"--reasoner has no effect on {', '.join(schemes)}, which ask none: compare one of {some}"
    )
