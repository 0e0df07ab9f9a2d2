"""Every language model that a scheme will ask is looked at before its run begins."""

from __future__ import annotations

import pytest

from controller.schemes import SCHEMES
from edgebed.wiring.preflight import asked
from edgebed.wiring.reasoners import with_reasoner
from tests.build.small import small_scenario

THINKING = [name for name, scheme in SCHEMES.items() if scheme.meta is not None or scheme.agents()]


@pytest.mark.parametrize("name", THINKING)
def test_a_model_is_looked_at_for_everything_in_a_scheme_that_asks_one(name: str) -> None:
    scheme = SCHEMES[name]
    wanted = ([] if scheme.meta is None else ["meta"]) + list(scheme.agents())
    scenario = with_reasoner(small_scenario(), "openai")
    assert [where for where, _, _ in asked(scenario, [name])] == wanted
