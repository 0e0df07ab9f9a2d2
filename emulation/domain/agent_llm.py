"""A chat model for the controllers' reasoners, hosted by the testbed itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Self

from pydantic import Field, model_validator

from emulation.domain.quantities import (
    Gigabytes,
    Line,
    NodeName,
    Note,
    Patience,
    Port,
    Range,
    Setting,
    SomeLine,
    Tokens,
)
from emulation.domain.strict import Strict

LOOPBACK = ("127.0.0.1", "::1", "localhost")


class AgentLlm(Strict):
    """A chat model that a live testbed hosts for the reasoners of its controllers, beside the models it serves.

    What it takes of a GPU the node's models do not have, in both worlds. Only a live testbed starts it.
    """

    source: SomeLine
    """A local folder, or the id of a model on the Hugging Face hub."""
    node: NodeName
    gpu_share: Annotated[float, Range(0, 0.999)] = 0.0
    """Share of one GPU of the node, as Ray counts; the rest is left to its models. 0: it runs on the CPU."""
    vram_gb: Gigabytes = 0.0
    """vRAM it takes, of the node's first GPU that has more."""
    host: SomeLine = "127.0.0.1"
    """Address it listens on, and by which the controllers reach it: the node's own where they run elsewhere."""
    port: Port = 0
    """0: any free one, on a loopback address only."""
    max_model_len: Tokens | None = None
    """Most tokens of prompt and answer together; None: what the model was made for."""
    chat_template: Note | None = None
    """File, or the template itself, for models whose tokenizer has none."""
    tool_call_parser: Line | None = "hermes"
    """How the model writes tool calls, by vLLM's names; None: it is told of no tools."""
    start_timeout_s: Patience = 600.0
    """Wall seconds until it must answer."""
    settings: dict[SomeLine, Setting] = Field(default_factory=dict)
    """Further options of vLLM's server, without dashes: `dtype: bfloat16`; true stands for a flag."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.gpu_share > 0) != (self.vram_gb > 0):
            raise ValueError(
                "agent_llm: gpu_share and vram_gb belong together: give both, or neither for a CPU"
            )
        if self.port == 0 and self.host not in LOOPBACK:
            raise ValueError(
                f"agent_llm: host {self.host} needs a port: a free one is only looked for on loopback"
            )
        return self

    @property
    def url(self) -> str:
        """Its OpenAI-compatible base URL."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}/v1"

    def gpu_of(self, vram_gb: Sequence[float]) -> int:
        """Which of the node's GPUs it runs on. Raises `ValueError` if it fits on none beside a model."""
        for index, gb in enumerate(vram_gb):
            if gb > self.vram_gb:
                return index
        raise ValueError(
            f"agent_llm.vram_gb: {self.vram_gb:g} GB do not fit on a GPU of node {self.node!r} and leave room for its"
            f" models; its largest has {max(vram_gb, default=0.0):g} GB"
        )
