"""What a decider's belief of the testbed's speed goes by."""

from __future__ import annotations

from emulation.domain.quantities import Deviation
from emulation.domain.strict import Strict


class BeliefConfig(Strict):
    """How far the profile is trusted, and how fast it is unlearned."""

    prior_sigma: Deviation = 0.5
    """Standard deviation of log(true / profiled) before anything is seen."""
    request_cv: Deviation = 0.4
    """Coefficient of variation of one request's service time about its law."""
    certain: Deviation = 0.03
    """Standard deviation below which no law is held for known: so speeds that drift are followed."""
