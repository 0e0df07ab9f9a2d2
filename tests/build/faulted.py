"""What the contract tests of faults are about: an event of every kind, and a node that they happen to."""

from __future__ import annotations

from math import inf
from typing import Any, get_args

from emulation.domain.actions import NodeConfig
from emulation.domain.cluster import LinkSpec, ModelSpec, NodeSpec, ProfileEntry, TestbedConfig
from emulation.domain.events import Event
from emulation.domain.request import Request
from emulation.domain.sharing import GpuSpec
from emulation.domain.truth import RequestTruth
from emulation.executor import Ended, Job, NodeState, Returned
from emulation.faults import FAULTS, Step

KINDS: dict[str, type[Any]] = {t.model_fields["kind"].default: t for t in get_args(get_args(Event)[0])}
FIELDS: dict[str, dict[str, Any]] = {
    "slowdown": {"node": "n", "factor": 3.0},
    "drift": {"node": "n", "factors": (2.0,)},
    "ramp": {"node": "n", "factor": 3.0, "ramp_s": 8.0, "steps": 4},
    "pause": {"node": "n"},
    "error": {"node": "n"},
    "leave": {"node": "n"},
    "drain": {"node": "n"},
    "node_kill": {"node": "n"},
    "link_delay": {"a": "x", "b": "y", "extra_s": 2.0},
    "link_loss": {"a": "x", "b": "y", "rate": 1.0, "retry_s": 3.0},
    "replica_crash": {"node": "n", "model": "a"},
    "replica_kill": {"node": "n", "model": "a"},
    "llm_outage": {},
    "scheme": {"to": "MA"},
    "outside": {"node": "n", "fault": "tests.build.faultlab:Slower"},
}
"""What each kind needs beside its times. A new kind without an entry fails here first."""
OF_CONTROL = ("llm_outage", "scheme")
"""Happen to who decides, and to no node."""
AT_S, UNTIL_S = 20.0, 40.0


def one_pod() -> TestbedConfig:
    """Node `n` at site x has one pod of model `a` (1 s a prompt); requests enter at `m` of site y."""
    return TestbedConfig(
        name="contract",
        models=(ModelSpec(id="a", modality="text", ram_gb=1, vram_gb=1, init_s=1, unload_s=1),),
        nodes=(NodeSpec(id="n", site="x", cores=8, ram_gb=8, gpus=(GpuSpec(),)), NodeSpec(id="m", site="y")),
        profile=(ProfileEntry(model="a", mode="gpu", theta=(1.0,)),),
        links=(LinkSpec(a="x", b="y", latency_s=0.5),),
    )


def event(kind: str, **fields: Any) -> Any:
    """An event of a kind, its fields and times as above unless said otherwise."""
    return KINDS[kind](**{"at_s": AT_S, "until_s": UNTIL_S, **FIELDS[kind], **fields})


def steps(kind: str, number: int = 7, **fields: Any) -> list[Step]:
    """Its steps as those of event `number`."""
    return FAULTS[kind].steps(event(kind, **fields), number, one_pod())


def ready() -> NodeState:
    """Node `n` at 10 s, its pod up."""
    node = NodeState(one_pod(), "n")
    assert node.configure(NodeConfig("n", {"a": "gpu"}), 0.0) == []
    node.advance(10.0)
    node.take_notices()
    return node


def served(node: NodeState, number: int, now_s: float) -> tuple[str, float, bool]:
    """Outcome, seconds until delivery (infinity: given back, or not over) and stutter of one request sent now."""
    job = Job(Request(f"r{number}", "a", "m", now_s, inf), RequestTruth())
    node.submit("n/a", job, now_s)
    node.advance(now_s + 15.0)
    for notice in node.take_notices():
        if isinstance(notice, Ended) and notice.job is job:
            return notice.outcome, notice.deliver_s - now_s, job.stutter
        if isinstance(notice, Returned) and notice.job is job:
            return "returned", inf, job.stutter
    node.cancel(f"r{number}", now_s + 15.0)
    node.take_notices()
    return "waits", inf, job.stutter
