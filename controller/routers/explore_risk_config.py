"""Parameters of `explore_risk`, as data."""

from __future__ import annotations

from typing import Annotated

from emulation.domain.quantities import Range
from emulation.domain.strict import Strict


class ExploreRiskConfig(Strict):
    """Parameters of `explore_risk`."""

    explore: Annotated[float, Range(0, 4, "standard deviations")] = 1.0
    """Standard deviations of optimism; 0 is SECT."""
    courtesy: Annotated[float, Range(0, 10, "times the wait")] = 0.0
    """Extra weight of the wait: joining a queue delays those who come after, an idle slower device nobody.

    Selfish joining is excessive (Naor 1969); 0 is E3's score, 2 what the schemes of ours use.
    """
    return_hazard: Annotated[float, Range(0, 0.999, "per request")] = 0.02
    """Chance, per request of the model, that a device which became slower has recovered."""
    probe_share: Annotated[float, Range(0, 0.5, "of a model's requests")] = 0.0
    """Budget of probes: the share of a model's requests that may go to an idle device nothing was heard of for
    as long, to see whether it has become faster. 0: none (E3)."""
    warmup_tasks: Annotated[int, Range(0, 10_000, "requests")] = 0
    """Requests that are forced to go in turn."""
    warmup_batch: Annotated[int, Range(1, 100, "requests")] = 5
    """Completions after which the performance model is updated during warm-up (E3: every 5 tasks)."""
