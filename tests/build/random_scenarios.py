"""Small random worlds for hypothesis: testbeds, workloads and event plans that a scenario file could hold."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from emulation.domain.cluster import LinkSpec, ModelSpec, NodeSpec, ProfileEntry, TestbedConfig
from emulation.domain.scenario import Scenario
from emulation.domain.sharing import Batching, GpuSpec

HORIZON_S = 60.0
DEVICE_SCHEMES = ("round-robin", "fixed-heuristic", "e3-prior", "oracle", "sect", "fused")
POD_SCHEMES = ("RR", "RF", "RL", "AL", "LL", "MA", "MA+sect", "fused", "sect", "oracle")


def devices(slow_link: bool) -> TestbedConfig:
    """Three devices at two sites; `b` cannot run on the last one."""
    return TestbedConfig(
        name="devices",
        models=(ModelSpec(id="a", modality="text", features="tokens"), ModelSpec(id="b", modality="image")),
        nodes=(
            NodeSpec(id="d0", site="x", hosting="device", gpus=(GpuSpec(),)),
            NodeSpec(
                id="d1", site="y", hosting="device", gpus=(GpuSpec(sharing="static", slices=2),), speed=2.0
            ),
            NodeSpec(id="d2", site="y", hosting="device", models=("a",)),
        ),
        profile=(
            ProfileEntry(model="a", mode="gpu", theta=(0.001, 0.02)),
            ProfileEntry(model="a", mode="cpu", theta=(0.004, 0.05)),
            ProfileEntry(model="b", mode="gpu", theta=(2.0,)),
        ),
        links=(LinkSpec(a="x", b="y", latency_s=2.0 if slow_link else 0.01, bandwidth_mbps=20),),
    )


def pods(slow_link: bool) -> TestbedConfig:
    """Two nodes with pods, one without a GPU; three models that cannot all run at once."""
    return TestbedConfig(
        name="pods",
        models=(
            ModelSpec(id="a", modality="text", features="tokens", ram_gb=3, vram_gb=3, init_s=2, unload_s=1),
            ModelSpec(id="b", modality="image", modes=("gpu",), ram_gb=4, vram_gb=6, init_s=5, unload_s=1),
            ModelSpec(id="c", modality="caption", ram_gb=3, vram_gb=2, init_s=0, unload_s=0),
        ),
        nodes=(
            NodeSpec(
                id="d0", site="x", cores=8, ram_gb=9, gpus=(GpuSpec(slices=2, vram_gb=10, overhead=0.2),)
            ),
            NodeSpec(id="d1", site="y", cores=16, ram_gb=7),
        ),
        profile=(
            ProfileEntry(model="a", mode="gpu", theta=(0.001, 0.02), batch=Batching(width=3, cost=0.3)),
            ProfileEntry(model="a", mode="cpu", theta=(0.004, 0.05)),
            ProfileEntry(model="b", mode="gpu", theta=(1.5,)),
            ProfileEntry(model="c", mode="gpu", theta=(0.5,)),
            ProfileEntry(model="c", mode="cpu", theta=(1.5,)),
        ),
        links=(LinkSpec(a="x", b="y", latency_s=2.0 if slow_link else 0.01, bandwidth_mbps=20),),
    )


_times = st.integers(0, int(HORIZON_S) * 2).map(lambda half: half / 2)


@st.composite
def events(draw: DrawFn, testbed: TestbedConfig) -> dict[str, Any]:
    """One event that the testbed admits."""
    kinds = [
        "slowdown",
        "drift",
        "ramp",
        "pause",
        "error",
        "leave",
        "drain",
        "node_kill",
        "link_delay",
        "link_loss",
    ]
    kinds.append("llm_outage")
    node = draw(st.sampled_from([n.id for n in testbed.nodes]))
    model = draw(st.sampled_from(testbed.hosted(node)))
    if testbed.node(node).hosting == "pods":
        kinds += ["replica_crash", "replica_kill"]
    kind, at_s = draw(st.sampled_from(kinds)), draw(_times)
    event: dict[str, Any] = {
        "kind": kind,
        "at_s": at_s,
        "until_s": at_s + draw(st.sampled_from((0.5, 7.0, 30.0))),
    }
    if kind in ("slowdown", "drift", "ramp", "pause", "error"):
        event |= {"node": node, "model": draw(st.sampled_from((None, model)))}
        event |= {"visible": draw(st.sampled_from(("onset", "never")))}
    factor = draw(st.sampled_from((0.5, 3.0, 40.0)))
    affected = [event["model"]] if event.get("model") else testbed.hosted(node)
    by_tokens = any(testbed.model(m).features == "tokens" for m in affected)
    return (
        event
        | {
            "slowdown": {"factor": factor},
            "drift": {"factors": (factor, 1.0) if by_tokens else (factor,)},
            "ramp": {"factor": factor, "ramp_s": 10.0, "steps": 4},
            "pause": {},
            "error": {"rate": draw(st.sampled_from((0.3, 1.0)))},
            "leave": {"node": node, "in_flight": draw(st.sampled_from(("requeue", "fail", "resume")))},
            "drain": {
                "node": node,
                "notice_s": draw(st.sampled_from((None, 2.0, 20.0))),
                "in_flight": draw(st.sampled_from(("requeue", "fail", "resume"))),
            },
            "node_kill": {"node": node},
            "link_delay": {"a": "x", "b": "y", "extra_s": factor},
            "link_loss": {"a": "x", "b": "y", "rate": draw(st.sampled_from((0.3, 1.0))), "retry_s": 0.5},
            "replica_crash": {"node": node, "model": model},
            "replica_kill": {"node": node, "model": model},
            "llm_outage": {},
        }[kind]
    )


@st.composite
def scenarios(draw: DrawFn) -> tuple[Scenario, str]:
    """A scenario and a scheme that can run on it."""
    on_pods = draw(st.booleans())
    testbed = (pods if on_pods else devices)(draw(st.booleans()))
    plan = draw(st.lists(events(testbed), max_size=6))
    scenario = {
        "name": "random",
        "controllers": {"search": {"shortlist": 0, "limits": None}},  # what-if worlds have tests of their own
        "testbed": testbed,
        "workload": (draw(_sources(testbed)),),
        "events": plan,
        "slot_s": 5.0,
        "slots": int(HORIZON_S / 5),
        "epoch_slots": 4,
        "tail_slots": draw(st.sampled_from((0, 3))),
        "deadline_s": draw(st.sampled_from((None, 3.0, 20.0))),
        "service_cv": draw(st.sampled_from((0.0, 0.5))),
        "length_knowledge": draw(st.sampled_from(("exact", "max_tokens", "predicted"))),
    }
    scheme = draw(st.sampled_from(POD_SCHEMES if on_pods else DEVICE_SCHEMES))
    return Scenario.model_validate(scenario), scheme


def _sources(testbed: TestbedConfig) -> SearchStrategy[dict[str, Any]]:
    mix = {m.id: 1.0 for m in testbed.models}
    poisson = st.fixed_dictionaries(
        {
            "kind": st.just("poisson"),
            "rate_per_s": st.sampled_from((0.3, 2.0, 5.0)),
            "mix": st.just(mix),
            "prompts": st.sampled_from(((1,), (1, 4))),
        }
    )
    slotted = st.fixed_dictionaries(
        {
            "kind": st.just("slotted"),
            "models": st.just(tuple(m.id for m in testbed.models if m.features == "prompts")),
            "k_max": st.sampled_from((1, 5)),
            "offset": st.sampled_from(("start", "uniform")),
        }
    )
    return st.one_of(poisson, slotted)
