"""Names by which the processes of a live testbed find each other."""

from __future__ import annotations

RECORDER = "recorder"
EVENTS = "events"
LOAD = "load"
"""What is kept of a load that the testbed sends itself."""
PLANNER = "planner"
SCHEDULER = "scheduler"
LAUNCHER = "launcher"
VRAM = "vram"
GATEWAY_APP = "gateway"
AGENT_LLM = "agent_llm"
"""Application and model name of the chat model for the controllers; as `base_url` of a reasoner it means that one."""
REPLICA = "replica"
"""Deployment name inside every application of a (node, model)."""


def namespace_of(testbed: str) -> str:
    """Ray namespace of a testbed: its actors, and those of another testbed on the same Ray, have names of their own."""
    return f"edgebed-{testbed}"


def runtime_name(node_id: str) -> str:
    """Actor that owns the state machines of a node."""
    return f"node:{node_id}"


def deployer_name(node_id: str) -> str:
    """Actor that hosts the deployment agent of a node."""
    return f"deployer:{node_id}"


def app_name(node_id: str, model_id: str) -> str:
    """Serve application of one model on one node."""
    return f"{node_id}--{model_id}"


def edge_resource(node_id: str) -> str:
    """Custom resource the Ray node of an edge node advertises."""
    return f"edge:{node_id}"
