"""Ray's launcher files for machines that are rented: providers `aws` and `gcp`.

One node type per edge node, each exactly once (`min_workers` = `max_workers` = 1): an id must never be advertised
twice, and a machine that is lost, or taken back from the spot market, is rented again. CPUs and GPUs are what the
testbed's node has, not all that the rented machine offers.
"""

from __future__ import annotations

from typing import Any, Literal

from edgebed.cluster.launcher import (
    ENVIRONMENT,
    NEVER_IDLE_MINUTES,
    NOT_COPIED,
    edge_resources,
    head_words,
    in_environment,
    label,
    ray_start,
)
from edgebed.cluster.machines import AwsMachines, GcpMachines
from emulation.domain.cluster import NodeSpec, TestbedConfig
from emulation.domain.mistakes import ConfigError

HEAD_TYPE = "control"
PORT = 6379
Offer = tuple[str, int, int, int]
"""Name, CPUs, GB of memory, GPUs."""

AWS: tuple[Offer, ...] = (
    ("c6i.xlarge", 4, 8, 0), ("m6i.xlarge", 4, 16, 0), ("c6i.2xlarge", 8, 16, 0), ("m6i.2xlarge", 8, 32, 0),
    ("c6i.4xlarge", 16, 32, 0), ("m6i.4xlarge", 16, 64, 0), ("c6i.8xlarge", 32, 64, 0), ("m6i.8xlarge", 32, 128, 0),
    ("c6i.12xlarge", 48, 96, 0), ("m6i.12xlarge", 48, 192, 0), ("c6i.16xlarge", 64, 128, 0),
    ("m6i.16xlarge", 64, 256, 0), ("c6i.32xlarge", 128, 256, 0), ("m6i.32xlarge", 128, 512, 0),
    ("g5.xlarge", 4, 16, 1), ("g5.2xlarge", 8, 32, 1), ("g5.4xlarge", 16, 64, 1), ("g5.8xlarge", 32, 128, 1),
    ("g5.16xlarge", 64, 256, 1), ("g5.12xlarge", 48, 192, 4), ("g5.24xlarge", 96, 384, 4),
    ("g5.48xlarge", 192, 768, 8),
)  # fmt: skip
"""Machines of Amazon, the smaller first; with GPUs: A10G of 24 GB."""
GCP: tuple[Offer, ...] = (
    ("n2-standard-4", 4, 16, 0), ("n2-standard-8", 8, 32, 0), ("n2-standard-16", 16, 64, 0),
    ("n2-standard-32", 32, 128, 0), ("n2-standard-48", 48, 192, 0), ("n2-standard-64", 64, 256, 0),
    ("n2-standard-128", 128, 512, 0), ("g2-standard-4", 4, 16, 1), ("g2-standard-8", 8, 32, 1),
    ("g2-standard-16", 16, 64, 1), ("g2-standard-32", 32, 128, 1), ("g2-standard-24", 24, 96, 2),
    ("g2-standard-48", 48, 192, 4), ("g2-standard-96", 96, 384, 8),
)  # fmt: skip
"""Machines of Google, the smaller first; with GPUs: L4 of 24 GB."""
_DRIVER = "lspci | grep -qi nvidia || exit 0; timeout 300 bash -c 'until nvidia-smi; do sleep 5; done'"  # on the host


def aws_file(testbed: TestbedConfig, machines: AwsMachines, spot: bool) -> dict[str, Any]:
    """The launcher file for Amazon. `spot`: edge nodes on the spot market. Raises `ConfigError`."""

    def rented(machine: str, _gpus: int, is_spot: bool) -> dict[str, Any]:
        market = {"InstanceMarketOptions": {"MarketType": "spot"}} if is_spot else {}
        disk = {"VolumeSize": machines.disk_gb, "VolumeType": "gp3"}
        return {
            "InstanceType": machine,
            "BlockDeviceMappings": [{"DeviceName": "/dev/sda1", "Ebs": disk}],
            **market,
        }

    types = _types(testbed, machines, AWS, rented, spot)
    provider = {
        "type": "aws", "region": machines.region, "availability_zone": ",".join(machines.zones),
        "cache_stopped_nodes": False,
    }  # fmt: skip
    return _file(testbed, machines, provider, types, [])


def gcp_file(testbed: TestbedConfig, machines: GcpMachines, spot: bool) -> dict[str, Any]:
    """The launcher file for Google. `spot`: edge nodes that may be taken back. Raises `ConfigError`."""

    def rented(machine: str, gpus: int, is_spot: bool) -> dict[str, Any]:
        source = machines.gpu_image if gpus else machines.cpu_image
        disk = {"diskSizeGb": machines.disk_gb, "sourceImage": source}
        config: dict[str, Any] = {
            "machineType": machine,
            "disks": [{"boot": True, "autoDelete": True, "type": "PERSISTENT", "initializeParams": disk}],
        }
        scheduling: list[dict[str, Any]] = [{"preemptible": True}] if is_spot else []
        if gpus:  # a machine with a GPU cannot be moved
            config["guestAccelerators"] = [{"acceleratorType": "nvidia-l4", "acceleratorCount": gpus}]
            config["metadata"] = {"items": [{"key": "install-nvidia-driver", "value": "True"}]}
            scheduling.append({"onHostMaintenance": "TERMINATE"})
        return config | ({"scheduling": scheduling} if scheduling else {})

    types = _types(testbed, machines, GCP, rented, spot)
    provider = {
        "type": "gcp", "region": machines.region, "availability_zone": machines.zone, "project_id": machines.project_id,
    }  # fmt: skip
    return _file(testbed, machines, provider, types, [_DRIVER])


def _types(
    testbed: TestbedConfig,
    machines: AwsMachines | GcpMachines,
    catalogue: tuple[Offer, ...],
    rented: Any,
    spot: bool,
) -> dict[str, Any]:
    """The node types: the head, then one for each edge node, with what `rented` says of its machine."""
    known = {name: offer for name, *offer in catalogue}
    head = {
        "min_workers": 0, "max_workers": 0, "resources": {"CPU": known.get(machines.head, (8,))[0], "control": 1},
        "node_config": rented(machines.head, 0, False),
    }  # fmt: skip
    types = {HEAD_TYPE: head}
    for node in testbed.nodes:
        machine = machines.nodes.get(node.id) or _smallest(node, catalogue)
        gpus = known[machine][2] if machine in known else len(node.gpus)
        gpu = {"GPU": len(node.gpus)} if node.gpus else {}
        kind: Literal["gpu", "cpu"] = "gpu" if node.gpus else "cpu"
        image = {"docker": {"worker_image": f"{machines.docker}-gpu"}} if node.gpus else {}
        types[_free_name(f"edge_{kind}_{label(node.id, '_')}", types)] = {
            "min_workers": 1, "max_workers": 1, "resources": {"CPU": node.cores, **gpu, **edge_resources(node)},
            **image, "node_config": rented(machine, gpus, spot),
        }  # fmt: skip
    return types


def _smallest(node: NodeSpec, catalogue: tuple[Offer, ...]) -> str:
    """The first machine that has what the node has. Raises `ConfigError` if none does."""
    for name, cpus, ram_gb, gpus in catalogue:
        if (
            cpus >= node.cores
            and ram_gb >= node.ram_gb
            and gpus >= len(node.gpus)
            and bool(gpus) == bool(node.gpus)
        ):
            return name
    raise ConfigError(
        f"node {node.id} ({node.cores} cores, {node.ram_gb:g} GB, {len(node.gpus)} GPUs) is larger than every machine"
        " we know of; name one under nodes, in the file of --machines"
    )


def _free_name(name: str, taken: dict[str, Any]) -> str:
    """The name, with a number behind it where it is taken."""
    names = [name, *(f"{name}_{n}" for n in range(2, len(taken) + 2))]
    return next(n for n in names if n not in taken)


def _file(
    testbed: TestbedConfig,
    machines: AwsMachines | GcpMachines,
    provider: dict[str, Any],
    types: dict[str, Any],
    on_the_host: list[str],
) -> dict[str, Any]:
    count, folder = len(testbed.nodes), "~/edgebed"
    return {
        "cluster_name": f"edgebed-{label(testbed.name, '-')}",
        "max_workers": count,
        "upscaling_speed": float(count),
        "idle_timeout_minutes": NEVER_IDLE_MINUTES,
        "provider": provider,
        "auth": {"ssh_user": machines.user},
        "docker": {
            "image": machines.docker,
            "container_name": "edgebed",
            "pull_before_run": True,
            "run_options": [
                "--ulimit nofile=65536:65536",
                *(f"--env {name}={value}" for name, value in ENVIRONMENT.items()),
            ],
        },
        "head_node_type": HEAD_TYPE,
        "available_node_types": types,
        "file_mounts": {"~/.ray/auth_token": machines.token, folder: machines.project},
        "rsync_exclude": NOT_COPIED,
        "rsync_filter": [".gitignore"],
        "initialization_commands": on_the_host,
        "setup_commands": [
            "chmod 600 ~/.ray/auth_token",
            f"pip install -q -c {folder}/constraints.txt -e {folder}",
        ],
        "head_start_ray_commands": [
            "ray stop",
            in_environment(ray_start(*head_words(PORT))),
        ],
        "worker_start_ray_commands": [
            "ray stop",
            in_environment(ray_start(f"--address=$RAY_HEAD_IP:{PORT}")),
        ],
    }
