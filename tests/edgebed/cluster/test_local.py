"""The launcher file for machines of one's own: Ray takes it, every worker joins, each as its own edge node."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import ray.autoscaler
import yaml
from pydantic import ValidationError
from ray.autoscaler._private.local import node_provider
from ray.autoscaler.v2.instance_manager.config import AutoscalingConfig
from ray.autoscaler.v2.scheduler import ResourceDemandScheduler, SchedulingRequest
from ray.autoscaler.v2.schema import AutoscalerInstance
from ray.core.generated.autoscaler_pb2 import NodeState
from ray.core.generated.instance_manager_pb2 import Instance, NodeKind

from edgebed.cluster.local import local_file
from edgebed.cluster.machines import LocalMachines
from edgebed.cluster.render import as_yaml
from emulation.files import ConfigError, load_testbed
from serve_apps.testbed.launcher_file import check_launcher_file
from serve_apps.testbed.launcher_head import record_head
from tests.build.waiting import eventually

TESTBED = load_testbed("demo")
NODES = {
    "jetson-thor": {"ip": "10.0.0.2"},
    "arc-b60": {"ip": "10.0.0.3", "node_ip": "192.168.7.3"},
    "thinkedge": {"ip": "10.0.0.4", "interface": "lo"},
    "cpu-server": {"ip": "box.lan", "node_ip": "10.0.0.5"},
}


def machines(**changes: Any) -> LocalMachines:
    return LocalMachines.model_validate(
        {"head": {"ip": "10.0.0.1"}, "user": "tester", "nodes": NODES, **changes}
    )


@pytest.fixture(scope="module")
def config() -> dict[str, Any]:
    """As Ray reads it from the file."""
    read: dict[str, Any] = yaml.safe_load(as_yaml(local_file(TESTBED, machines())))
    return check_launcher_file(read)


def workers_launched(prepared: dict[str, Any]) -> int:
    """How many machines Ray's autoscaler starts once the head is up."""
    read = AutoscalingConfig(prepared, skip_content_hash=True)
    kind = read.get_head_node_type()
    head = AutoscalerInstance(
        im_instance=Instance(
            instance_id="head", instance_type=kind, status=Instance.RAY_RUNNING, node_id="h",
            node_kind=NodeKind.HEAD, cloud_instance_id="10.0.0.1",
        ),
        ray_node=NodeState(node_id=b"h", ray_node_type_name=kind),
        cloud_instance_id="10.0.0.1",
    )  # fmt: skip
    request = SchedulingRequest(
        node_type_configs=read.get_node_type_configs(), max_num_nodes=read.get_max_num_nodes(),
        disable_launch_config_check=True, current_instances=[head],
    )  # fmt: skip
    return sum(r.count for r in ResourceDemandScheduler().schedule(request).to_launch)


def test_the_last_worker_joins_too(config: dict[str, Any]) -> None:
    assert workers_launched(config) == len(TESTBED.nodes)


def test_ray_alone_would_leave_the_last_worker_out(config: dict[str, Any]) -> None:
    theirs = {k: v for k, v in config.items() if k not in ("available_node_types", "head_node_type")}
    assert workers_launched(check_launcher_file(theirs)) == len(TESTBED.nodes) - 1


def test_no_default_of_ray_is_left_out(config: dict[str, Any]) -> None:
    defaults = Path(ray.autoscaler.__file__).parent / "local" / "defaults.yaml"
    assert yaml.safe_load(defaults.read_text()).keys() <= config.keys()


def started(
    config: dict[str, Any],
    which: str,
    tmp_path: Path,
    environment: dict[str, str],
    ending: str = "echo Ray runtime started.\ncase $* in *--block*) sleep 3 ;; esac",
) -> Any:
    """The words that `ray` is called with when Ray's launcher runs the start command on a machine, one a line.

    `ending`: what `ray` does after it has said them. A worker's Ray writes to a file.
    """
    program = tmp_path / "edgebed-venv" / "bin" / "ray"
    program.parent.mkdir(parents=True, exist_ok=True)
    program.write_text('#!/bin/sh\nfor word in "$RAY_AUTH_MODE" "$@"; do echo "$word"; done\n' + ending)
    program.chmod(0o755)
    ulimit, command = "ulimit() { :; }\n", config[f"{which}_start_ray_commands"][-1]
    bare = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    return subprocess.run(
        ["bash", "-c", ulimit + command], env=bare | environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("machine", "node", "ip", "cpus", "gpus"),
    [
        ("10.0.0.2", "jetson-thor", "10.0.0.2", 14, 1),
        ("10.0.0.3", "arc-b60", "192.168.7.3", 16, 2),
        ("box.lan", "cpu-server", "10.0.0.5", 48, 0),
    ],
)
def test_each_machine_plays_its_own_edge_node_at_its_own_address(
    config: dict[str, Any], tmp_path: Path, machine: str, node: str, ip: str, cpus: int, gpus: int
) -> None:
    environment = {"RAY_CLOUD_INSTANCE_ID": machine, "RAY_HEAD_IP": "10.0.0.1"}
    assert started(config, "worker", tmp_path, environment).returncode == 0
    auth, *words = (tmp_path / "edgebed-ray.log").read_text().splitlines()
    assert auth == "token"
    assert words[:2] == ["start", "--address=10.0.0.1:6379"]
    resources = f'--resources={{"edge:{node}": 1}}'
    assert {f"--node-ip-address={ip}", f"--num-cpus={cpus}", f"--num-gpus={gpus}", resources} <= set(words)


def test_a_machine_that_is_not_in_the_file_is_refused(config: dict[str, Any], tmp_path: Path) -> None:
    said = started(
        config, "worker", tmp_path, {"RAY_CLOUD_INSTANCE_ID": "10.0.0.9", "RAY_HEAD_IP": "10.0.0.1"}
    )
    assert said.returncode == 1
    assert "'10.0.0.9'" in said.stderr


def test_a_worker_whose_ray_does_not_start_says_why(config: dict[str, Any], tmp_path: Path) -> None:
    environment = {"RAY_CLOUD_INSTANCE_ID": "10.0.0.2", "RAY_HEAD_IP": "10.0.0.1"}
    said = started(config, "worker", tmp_path, environment, "echo no head there; exit 1")
    assert said.returncode == 1
    assert "no head there" in said.stderr


def test_a_worker_s_ray_outlives_the_shell_that_started_it_and_ends_as_a_whole(
    config: dict[str, Any], tmp_path: Path
) -> None:
    environment = {"RAY_CLOUD_INSTANCE_ID": "10.0.0.2", "RAY_HEAD_IP": "10.0.0.1"}
    ending = "echo Ray runtime started.\nkill -HUP $$\necho still here\nsleep 3"
    assert started(config, "worker", tmp_path, environment, ending).returncode == 0
    eventually(lambda: (tmp_path / "edgebed-ray.log").read_text().endswith("still here\n"))
    assert "--block" in (tmp_path / "edgebed-ray.log").read_text().splitlines()


# Ray opens the state and leaves the closing to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_the_head_is_written_down_as_up_on_the_head_itself(
    config: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("get_lock_path", "get_state_path"):
        monkeypatch.setattr(node_provider, name, lambda cluster, name=name: str(tmp_path / name))
    record_head(config)
    record_head(config)
    state = json.loads((tmp_path / "get_state_path").read_text())
    running = {address: said["tags"] for address, said in state.items() if said["state"] == "running"}
    assert list(running) == ["10.0.0.1"], "the head, and no worker"
    assert running["10.0.0.1"]["ray-user-node-type"] == config["head_node_type"]


def test_the_head_plays_no_edge_node(config: dict[str, Any], tmp_path: Path) -> None:
    words = started(config, "head", tmp_path, {}).stdout.splitlines()
    assert {"--head", "--node-ip-address=10.0.0.1", '--resources={"control": 1}'} <= set(words)
    assert not any("edge:" in word for word in words)


def test_machines_that_have_the_project_are_left_as_they_are() -> None:
    assert local_file(TESTBED, machines(install=False))["worker_setup_commands"] == [
        "chmod 600 ~/.ray/auth_token"
    ]


def test_an_edge_node_without_a_machine_is_named() -> None:
    without = {k: v for k, v in NODES.items() if k != "arc-b60"}
    with pytest.raises(ConfigError, match="no machine plays arc-b60 of demo"):
        local_file(TESTBED, machines(nodes=without))
    with pytest.raises(ConfigError, match="VM9: no edge node of demo"):
        local_file(TESTBED, machines(nodes=NODES | {"VM9": {"ip": "10.0.0.9"}}))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"head": {"ip": "10.0.0.2"}}, "'10.0.0.2' is there twice"),
        ({"head": {"ip": "head.lan"}}, "add node_ip or interface"),
        ({"head": {"ip": "10.0.0.1", "node_ip": "10.0.0.1", "interface": "eth0"}}, "keep one of them"),
        ({"venv": "/opt/$(reboot)"}, "an absolute path or one below ~"),
        ({"user": "a b"}, "a user's name"),
        ({"users": "x"}, "Extra inputs are not permitted"),
    ],
)
def test_what_is_wrong_is_said(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(said)):
        machines(**changes)
