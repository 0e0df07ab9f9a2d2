"""Parameters of the meta-controller; the defaults are those of E3's table 4 where it states them."""

from __future__ import annotations

from pydantic import Field, field_validator

from controller.agents.llm import OpenAiConfig
from controller.agents.reasoner import split_choice
from emulation.domain.cluster import Strict


class MetaConfig(Strict):
    """Tasks are dispatches; seconds are virtual."""

    reasoner: str = "rules"
    """rules, openai, scripted:<file> or replay:<file or folder of runs>."""
    thinking_s: float = Field(default=2.0, ge=0)
    """Charged per round to the rules, as a language model's would be; a live model's is measured. Ours."""
    max_rounds: int = Field(default=2, ge=1, le=8)
    """Tool rounds per invocation."""
    cooldown_tasks: int = Field(default=20, ge=0)
    """A signature does not call the reasoner again within this many tasks."""
    min_gap_tasks: int = Field(default=20, ge=0)
    """Least tasks between any invocation and one that is not caused by an event."""
    ttl_tasks: int = Field(default=50, ge=1)
    """Of a mask, unless the call says otherwise."""
    drift_threshold: float = Field(default=1.3, gt=1)
    """Observed / predicted (or its inverse) above which a residual alarms."""
    drift_window_s: float = Field(default=60.0, gt=0)
    min_samples: int = Field(default=3, ge=1)
    """Results within the window below which a residual never alarms. Ours."""
    sustained: int = Field(default=2, ge=1)
    """Of these, the latest that must each be off by the threshold. Ours."""
    significance: float = Field(default=2.0, ge=0)
    """Least distance of the sums in standard deviations of the prediction. Ours."""
    smoothing: float = Field(default=0.3, ge=0, lt=1)
    """Share of the old calibration factor the rules keep (in logarithms)."""
    warmup_points: int = Field(default=3, ge=0, le=20)
    """Invocations during the router's warm-up, evenly spread, the last one at its end. Ours."""
    suspect_sd: float = Field(default=0.2, ge=0, le=1)
    """Relative standard deviation added to a law under suspicion. Ours."""
    fresh_samples: int = Field(default=3, ge=1)
    """Results a device that has returned must give before its estimates count as certain again. Ours."""
    verdict_tasks: int = Field(default=20, ge=1)
    """Tasks after an action over which its promised metric is measured. Ours."""
    verdict_samples: int = Field(default=3, ge=1)
    """Measurements without which there is no verdict. Ours."""
    worse_ratio: float = Field(default=1.25, gt=1)
    """Growth of the promised metric that refutes an action, which is then undone. Ours."""
    patience_s: float = Field(default=120.0, gt=0)
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
