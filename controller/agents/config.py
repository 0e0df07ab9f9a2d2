"""Who thinks in which role, how often it may err, and what then."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from controller.agents.openai_config import Answers, OpenAiConfig
from controller.agents.reasoner import split_choice
from controller.approval import ApprovalConfig
from controller.belief import BeliefConfig
from controller.planners.memory import MemoryConfig
from emulation.domain.cluster import Strict
from emulation.domain.quantities import Length, Range, Seconds, SomeLine, Tokens

AgentRole = Literal["planner", "scheduler", "deployer"]
ROLES: tuple[AgentRole, ...] = ("planner", "scheduler", "deployer")

SchedulerMode = Literal["table", "guided"]

Fallback = Literal["last_valid", "rules", "random"]
"""What decides when a decider has no valid answer. last_valid: its last valid command, and before there is one the
rules of that role; rules: those rules; random: MA's random policy. With any of them the rules decide once a budget is
spent."""


class AgentOpenAiConfig(OpenAiConfig):
    """As for the meta-controller, with room for a whole policy."""

    answer_tokens: Tokens = 4096


class AgentsConfig(Strict):
    """Agents of the hierarchy (MA). Of a scheme, only the roles it has count."""

    planner: SomeLine = "rules"
    """rules, openai, first, random, scripted:<file> or replay:<file or folder of runs>; likewise for the other roles. A
    planner that is not `rules` plans even where the scenario gives a plan."""
    scheduler: SomeLine = "rules"
    deployer: SomeLine = "rules"
    mode: SchedulerMode = "table"
    """Of the scheduler, whoever thinks. table: a destination per (origin, model) for the whole slot (MA); guided: a
    mask and weights, and the router chooses per request (`fast_path.eta_s`: how much a weight counts against time; at
    0, its default, the mask alone counts)."""
    answers: Answers = "auto"
    """In what form a language model answers: choice, free or auto."""
    repairs: Annotated[int, Range(0, 10, "answers")] = 2
    """Times an agent may answer again after an invalid answer, each time told what was wrong with it."""
    max_rounds: Annotated[int, Range(0, 10, "rounds")] = 2
    """Rounds of tool calls per decision, for agents that have tools."""
    fallback: Fallback = "last_valid"
    approve: ApprovalConfig | None = None
    """Where a reasoner's decisions are held until somebody approves, edits or rejects them; null: they are not."""
    precedents: Annotated[int, Range(0, 100, "cases")] = 3
    """Cases a planner is shown as the best; as the worst, a third as many, rounded up."""
    what_if_draws: Annotated[int, Range(1, 100, "draws")] = 1
    """Draws of service noise per policy a planner asks about."""
    what_if_s: Seconds = 2.0
    """Virtual seconds of thinking charged per draw, as emulating takes time too. Ours."""
    overload_s: Length | None = None
    """Seconds of waiting work above which a host counts as overloaded, so that a scheduler may leave the roles; None:
    half the deadline, or ten slots."""
    models: dict[AgentRole, SomeLine] = Field(default_factory=dict)
    """Role to model name, where it is not that of `openai`."""
    openai: AgentOpenAiConfig = AgentOpenAiConfig()
    memory: MemoryConfig = MemoryConfig()
    """Case memory of a planner that is a language model."""
    belief: BeliefConfig = BeliefConfig()

    @field_validator("planner", "scheduler", "deployer")
    @classmethod
    def _known(cls, value: str) -> str:
        split_choice(value)
        return value

    def choice(self, role: AgentRole) -> str:
        """The reasoner of this role, as it was written."""
        return {"planner": self.planner, "scheduler": self.scheduler, "deployer": self.deployer}[role]

    def openai_of(self, role: AgentRole) -> OpenAiConfig:
        """Where the model of this role is."""
        return self.openai.model_copy(update={"model": self.models.get(role, self.openai.model)})
