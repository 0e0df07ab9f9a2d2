"""Names by which the processes of a live testbed find each other."""

from __future__ import annotations

from typing import Any

import ray

NAMESPACE = "edgebed"
RECORDER = "recorder"
EVENTS = "events"
PLANNER = "planner"
SCHEDULER = "scheduler"
LAUNCHER = "launcher"
VRAM = "vram"
GATEWAY_APP = "gateway"
AGENT_LLM = "agent_llm"
"""Application and model name of the chat model for the controllers; as `base_url` of a reasoner it means that one."""
REPLICA = "replica"
"""Deployment name inside every application of a (node, model)."""


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


class NotThere(LookupError):
    """No actor of this name runs."""


def find(name: str) -> Any:
    """Handle of a named actor of the testbed. Raises `NotThere` if there is none."""
    try:
        return ray.get_actor(name, namespace=NAMESPACE)
    except ValueError as error:
        raise NotThere(f"no actor {name!r} in namespace {NAMESPACE!r}") from error


class Phonebook:
    """Handles of named actors, each looked up once: a look-up blocks its caller for a round trip.

    A handle outlives restarts of its actor. One phonebook belongs to one process of the testbed.
    """

    def __init__(self) -> None:
        self._known: dict[str, Any] = {}

    def find(self, name: str) -> Any:
        """Handle of a named actor. Raises `NotThere` if there is none."""
        if name not in self._known:
            self._known[name] = find(name)
        return self._known[name]
