"""KubeRay's manifest: a `RayService` with one worker group per edge node, and a `Service` for the gateway.

The operator starts the one Serve application it is told of, which stands for "the machines are there"; the testbed
itself is brought up in the head's pod by `edgebed up --address auto`, and is left alone by the operator, because Serve
deletes on its word only what it has deployed.
"""

from __future__ import annotations

import json
from typing import Any

from edgebed.cluster.kuberay_schema import GatewayService, RayService
from edgebed.cluster.launcher import ENVIRONMENT, HEAD_CPUS, RAY_VERSION, edge_resources, label
from edgebed.cluster.machines import KubeMachines
from emulation.domain.cluster import NodeSpec, TestbedConfig
from emulation.domain.mistakes import ConfigError
from emulation.domain.strict import check_unique

STANDBY = """\
applications:
- name: edgebed-standby
  route_prefix: /edgebed-standby
  import_path: serve_apps.testbed.standby:app
"""
THROUGHPUT = {"RAY_SERVE_THROUGHPUT_OPTIMIZED": "1", "RAY_SERVE_ENABLE_DIRECT_INGRESS": "0"}
"""Serve's switches for high throughput, but for the one that opens a port per replica: the gateway has its own."""
CLIENT_PORT = 8000
CLUSTER_DOMAIN = "cluster.local"
"""Below which Kubernetes names its Services, unless whoever set it up chose another."""


def kuberay_files(testbed: TestbedConfig, machines: KubeMachines) -> list[dict[str, Any]]:
    """The manifest's documents, as Kubernetes takes them. Raises `ConfigError` for names it would refuse."""
    names = [label(n.id, "-") for n in testbed.nodes]
    try:
        check_unique("nodes", names, "as a name of Kubernetes,")
    except ValueError as error:
        raise ConfigError(f"{testbed.name}: {error}") from None
    name = _name(testbed)
    cluster = {
        "rayVersion": RAY_VERSION,
        "authOptions": {"mode": "token"},
        "enableInTreeAutoscaling": False,
        "headGroupSpec": _head(name, machines),
        "workerGroupSpecs": [_group(node, machines) for node in testbed.nodes],
    }
    meta = {"name": name, "namespace": machines.namespace}
    service = {
        "apiVersion": "ray.io/v1", "kind": "RayService", "metadata": meta,
        "spec": {"serveConfigV2": STANDBY, "rayClusterConfig": cluster},
    }  # fmt: skip
    port = {"name": "gateway", "port": CLIENT_PORT, "targetPort": machines.gateway_port}
    door = {
        "apiVersion": "v1", "kind": "Service", "metadata": meta | {"name": _door(testbed)},
        "spec": {"type": "ClusterIP", "selector": {"edgebed": name}, "ports": [port]},
    }  # fmt: skip
    return [RayService.model_validate(service).dump(), GatewayService.model_validate(door).dump()]


def gateway_names(testbed: TestbedConfig, machines: KubeMachines) -> list[str]:
    """Every host name by which clients in Kubernetes find the gateway, from its own namespace and from others."""
    short = _door(testbed)
    spaced = f"{short}.{machines.namespace}"
    return [short, spaced, f"{spaced}.svc", f"{spaced}.svc.{CLUSTER_DOMAIN}"]


def _name(testbed: TestbedConfig) -> str:
    return f"edgebed-{label(testbed.name, '-')}"


def _door(testbed: TestbedConfig) -> str:
    """Name of the gateway's `Service`."""
    return f"{_name(testbed)}-gateway"


def _head(name: str, machines: KubeMachines) -> dict[str, Any]:
    ports = [
        {"name": "gcs-server", "containerPort": 6379}, {"name": "dashboard", "containerPort": 8265},
        {"name": "serve", "containerPort": 8000}, {"name": "gateway", "containerPort": machines.gateway_port},
    ]  # fmt: skip
    container = _container("ray-head", machines, HEAD_CPUS, machines.head_memory_gb, 0) | {"ports": ports}
    return {
        "rayStartParams": _start(HEAD_CPUS, 0, {"control": 1}),
        "template": {"metadata": {"labels": {"edgebed": name}}, "spec": {"containers": [container]}},
    }


def _group(node: NodeSpec, machines: KubeMachines) -> dict[str, Any]:
    """One pod that plays this edge node: its group never has fewer, and never more."""
    selector = machines.node_selectors.get(node.id)
    where = {} if selector is None else {"nodeSelector": selector}
    container = _container("ray-worker", machines, node.cores, node.ram_gb, len(node.gpus))
    return {
        "groupName": label(node.id, "-"), "replicas": 1, "minReplicas": 1, "maxReplicas": 1,
        "rayStartParams": _start(node.cores, len(node.gpus), edge_resources(node)),
        "template": {"spec": {"containers": [container], **where}},
    }  # fmt: skip


def _start(cpus: float, gpus: int, resources: dict[str, float]) -> dict[str, str]:
    """Options of `ray start`; KubeRay passes `resources` to a shell, hence the quotes within quotes."""
    return {"num-cpus": f"{cpus:g}", "num-gpus": str(gpus), "resources": json.dumps(json.dumps(resources))}


def _container(name: str, machines: KubeMachines, cpus: float, ram_gb: float, gpus: int) -> dict[str, Any]:
    gpu = {"nvidia.com/gpu": str(gpus)} if gpus else {}
    amount = {"cpu": f"{cpus:g}", "memory": f"{ram_gb:g}Gi", **gpu}
    usage = {
        k: v for k, v in ENVIRONMENT.items() if k != "RAY_AUTH_MODE"
    }  # the operator sets it, with the token
    return {
        "name": name, "image": machines.image, "resources": {"limits": amount, "requests": amount},
        "env": [{"name": k, "value": v} for k, v in (usage | THROUGHPUT).items()],
    }  # fmt: skip
