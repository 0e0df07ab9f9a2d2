"""Ray's launcher file for machines of one's own, reached by SSH: provider `local`.

Ray writes the one node type that `local` knows, `local.cluster.node`, itself, and counts the head as one of its
workers: with `min_workers` at the number of workers, where Ray caps it, the last one never joins. A file that holds
this type already is taken as it is, defaults included, so this one holds it, every default, and a type of its own for
the head. All workers share one start command, which picks the edge node by `RAY_CLOUD_INSTANCE_ID`: the address that
stands under `worker_ips`.

Three more things that Ray leaves undone are done here. The head is written down as up
(`serve_apps/testbed/launcher_head.py`), without which a worker that died never comes back. Ray lets go of such a worker
and asks for it again at once, gets it under its old name, and waits for either to end: minutes, unless told
otherwise (`PATIENCE`). And `ray down` ends Ray on the head only: a worker's raylet gives up when it has not reached
the head for `HEAD_LOST_S`, and because `ray start --block` stays beside it, all others of that machine go with it.
"""

from __future__ import annotations

from typing import Any

from edgebed.cluster.launcher import (
    HEAD_CPUS,
    NEVER_IDLE_MINUTES,
    NOT_COPIED,
    check_nodes,
    edge_resources,
    head_words,
    in_environment,
    ray_start,
    resources_option,
)
from edgebed.cluster.machines import LocalMachines, Machine
from emulation.domain.cluster import NodeSpec, TestbedConfig

WORKER_TYPE = "local.cluster.node"
"""The name that Ray's provider `local` looks for."""
HEAD_TYPE = "control"
PATIENCE = {
    "RAY_AUTOSCALER_RECONCILE_TERMINATING_STATUS_TIMEOUT_S": 10,
    "RAY_AUTOSCALER_RECONCILE_REQUEST_STATUS_TIMEOUT_S": 30,
}
"""Seconds the autoscaler waits for a machine to be gone, and to be there; by default 300 and 600."""
HEAD_LOST_S = 30
"""Seconds without the head after which a worker's Ray ends; Ray's own are 60."""
_RECORD_HEAD = "python -m serve_apps.testbed.launcher_head ~/ray_bootstrap_config.yaml"
WORKER_LOG = "~/edgebed-ray.log"
"""On a worker: what `ray start` said."""


def local_file(testbed: TestbedConfig, machines: LocalMachines) -> dict[str, Any]:
    """The launcher file. Raises `ConfigError` unless each edge node of the testbed has a machine."""
    check_nodes(testbed, machines.nodes, "nodes")
    count = len(testbed.nodes)
    programs = f"{machines.venv}/bin"
    setup = _setup(machines)
    return {
        "cluster_name": f"edgebed-{testbed.name}",
        "max_workers": count,
        "upscaling_speed": float(count),
        "idle_timeout_minutes": NEVER_IDLE_MINUTES,
        "provider": {
            "type": "local",
            "head_ip": machines.head.ip,
            "worker_ips": [machines.nodes[n.id].ip for n in testbed.nodes],
        },
        "auth": _auth(machines),
        "docker": {},
        "head_node_type": HEAD_TYPE,
        "available_node_types": {
            HEAD_TYPE: _node_type(0),
            WORKER_TYPE: _node_type(count),
        },
        "file_mounts": {"~/.ray/auth_token": machines.token, machines.work_dir: machines.project},
        "cluster_synced_files": [],
        "file_mounts_sync_continuously": False,
        "rsync_exclude": NOT_COPIED,
        "rsync_filter": [".gitignore"],
        "initialization_commands": [],
        "setup_commands": [],
        "head_setup_commands": setup,
        "worker_setup_commands": setup,
        "head_start_ray_commands": [
            in_environment("ray stop", programs),
            in_environment(_RECORD_HEAD, programs),
            in_environment(_head_start(machines), programs),
        ],
        "worker_start_ray_commands": [
            in_environment("ray stop", programs),
            in_environment(_worker_start(testbed, machines), programs),
        ],
    }


def _node_type(count: int) -> dict[str, Any]:
    """So many machines, no fewer and no more. What they have, their own start command says."""
    return {"min_workers": count, "max_workers": count, "resources": {}, "node_config": {}}


def _auth(machines: LocalMachines) -> dict[str, str]:
    key = {} if machines.key is None else {"ssh_private_key": machines.key}
    return {"ssh_user": machines.user, **key}


def _setup(machines: LocalMachines) -> list[str]:
    """Commands that may be run again, as they are whenever a machine joins anew."""
    secret = "chmod 600 ~/.ray/auth_token"
    if not machines.install:
        return [secret]
    venv, folder = machines.venv, machines.work_dir
    return [
        secret,
        f"test -x {venv}/bin/python || {machines.python} -m venv {venv}",
        f"{venv}/bin/pip install -q -c {folder}/constraints.txt -e {folder}",
    ]


def _head_start(machines: LocalMachines) -> str:
    return "\n".join(
        [
            _address(machines.head),
            f"export {' '.join(f'{name}={seconds}' for name, seconds in PATIENCE.items())}",
            ray_start(
                *head_words(machines.port), "--node-ip-address=$ip", f"--num-cpus={HEAD_CPUS}", "--num-gpus=0",
                resources_option({"control": 1}),
            ),
        ]
    )  # fmt: skip


def _worker_start(testbed: TestbedConfig, machines: LocalMachines) -> str:
    arms = [_arm(node, machines.nodes[node.id]) for node in testbed.nodes]
    return "\n".join(
        [
            'case "$RAY_CLOUD_INSTANCE_ID" in',
            *arms,
            '  *) echo "no edge node is played by \'$RAY_CLOUD_INSTANCE_ID\'" >&2; exit 1 ;;',
            "esac",
            f"export RAY_gcs_rpc_server_reconnect_timeout_s={HEAD_LOST_S}",
            f"rm -f {WORKER_LOG}",
            "(trap '' HUP  # the shell of SSH ends, Ray stays",
            ray_start(
                f"--address=$RAY_HEAD_IP:{machines.port}", "--node-ip-address=$ip", "--num-cpus=$cpus",
                "--num-gpus=$gpus", '--resources="$resources"', "--block",
            ),
            f") >{WORKER_LOG} 2>&1 </dev/null &",
            f"until grep -qs 'Ray runtime started' {WORKER_LOG}; do",
            f"  kill -0 $! || {{ cat {WORKER_LOG} >&2; exit 1; }}",
            "  sleep 1",
            "done",
        ]
    )  # fmt: skip


def _arm(node: NodeSpec, machine: Machine) -> str:
    """What one machine sets before it starts Ray."""
    resources = resources_option(edge_resources(node)).partition("=")[2]
    return f"  {machine.ip}) {_address(machine)}; cpus={node.cores}; gpus={len(node.gpus)}; resources={resources} ;;"


def _address(machine: Machine) -> str:
    """A command that sets `ip` to the address of the machine's Ray."""
    if machine.interface is not None:
        looked_up = (
            f"ip -4 -o addr show dev {machine.interface} | awk '{{split($4, a, \"/\"); print a[1]; exit}}'"
        )
        return f'ip=$({looked_up}); test -n "$ip" || exit 1'
    return f"ip={machine.node_ip or machine.ip}"
