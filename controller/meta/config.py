"""Parameters of the meta-controller; the defaults are those of E3's table 4 where it states them."""

from __future__ import annotations

from typing import Annotated

from pydantic import field_validator

from controller.agents.openai_config import Answers, OpenAiConfig
from controller.agents.reasoner import split_choice
from emulation.domain.cluster import Strict
from emulation.domain.quantities import Count, CountOrNone, Fraction, Length, Range, Seconds, Sigmas, SomeLine


class MetaConfig(Strict):
    """Tasks are dispatches; seconds are virtual."""

    reasoner: SomeLine = "rules"
    """rules, openai, first, random, scripted:<file> or replay:<file or folder of runs>."""
    answers: Answers = "auto"
    """In what form a language model answers: choice, free or auto."""
    thinking_s: Seconds = 2.0
    """Charged per round to the rules, as a language model's would be; a live model's is measured. Ours."""
    max_rounds: Annotated[int, Range(1, 8, "rounds")] = 2
    """Tool rounds per invocation."""
    cooldown_tasks: CountOrNone = 20
    """A signature does not call the reasoner again within this many tasks."""
    min_gap_tasks: CountOrNone = 20
    """Least tasks between any invocation and one that is not caused by an event."""
    ttl_tasks: Count = 50
    """Of a mask, unless the call says otherwise."""
    drift_threshold: Annotated[float, Range(1.001, 1000, "times")] = 1.3
    """Observed / predicted (or its inverse) above which a residual alarms."""
    drift_window_s: Length = 60.0
    min_samples: Count = 3
    """Results within the window below which a residual never alarms. Ours."""
    sustained: Count = 2
    """Of these, the latest that must each be off by the threshold. Ours."""
    significance: Sigmas = 2.0
    """Least distance of the sums in standard deviations of the prediction. Ours."""
    smoothing: Annotated[float, Range(0, 0.999)] = 0.3
    """Share of the old calibration factor the rules keep (in logarithms)."""
    warmup_points: Annotated[int, Range(0, 20, "invocations")] = 3
    """Invocations during the router's warm-up, evenly spread, the last one at its end. Ours."""
    suspect_sd: Fraction = 0.2
    """Relative standard deviation added to a law under suspicion. Ours."""
    fresh_samples: Count = 3
    """Results a device that has returned must give before its estimates count as certain again. Ours."""
    verdict_tasks: Count = 20
    """Tasks after an action over which its promised metric is measured. Ours."""
    verdict_samples: Count = 3
    """Measurements without which there is no verdict. Ours."""
    worse_ratio: Annotated[float, Range(1.001, 1000, "times")] = 1.25
    """Growth of the promised metric that refutes an action, which is then undone. Ours."""
    patience_s: Length = 120.0
    """Age at which an unanswered question is given up."""
    risk_gate: bool = True
    """False: no masks at all (ablation)."""
    revert: bool = True
    """False: refuted actions stay (ablation)."""
    openai: OpenAiConfig = OpenAiConfig()

    @field_validator("reasoner")
    @classmethod
    def _known(cls, value: str) -> str:
        split_choice(value)
        return value
