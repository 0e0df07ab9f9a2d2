"""The launcher file: Ray accepts it, each edge node stands in it once, and it is closed to strangers."""

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config

ROOT = Path(__file__).parents[3]
CLUSTER_YAML = ROOT / "cluster.yaml"
INVENTORY = ROOT / "emulation" / "testbeds" / "bristol-a.yaml"
SECRET_SHAPES = [
    r"RAY_AUTH_TOKEN\s*[=:]",  # the token itself, as a variable or a key
    r"\b[0-9a-fA-F]{32,}\b",  # what `ray get-auth-token` prints, and most keys
    r"\b(AKIA|ASIA)[0-9A-Z]{16}\b",  # AWS key ids
    r"BEGIN [A-Z ]*PRIVATE KEY",
    r"(?i)\b(secret|password|api_key|aws_\w+)\s*[=:]\s*\S",
]


@pytest.fixture(scope="module")
def config() -> dict[str, Any]:
    """What Ray works with: the file, merged with Ray's defaults for the provider."""
    return prepare_config(yaml.safe_load(CLUSTER_YAML.read_text()))


@pytest.fixture(scope="module")
def workers(config: dict[str, Any]) -> dict[str, dict[str, Any]]:
    types = config["available_node_types"]
    return {name: spec for name, spec in types.items() if name != config["head_node_type"]}


def edge_ids(node_type: dict[str, Any]) -> list[str]:
    return [name.removeprefix("edge:") for name in node_type["resources"] if name.startswith("edge:")]


def ray_starts(config: dict[str, Any]) -> list[str]:
    commands = config["head_start_ray_commands"] + config["worker_start_ray_commands"]
    return [command for command in commands if "ray start" in command]


def test_ray_accepts_the_file(config):
    validate_config(config)


def test_every_worker_type_advertises_an_edge_node(workers):
    assert workers
    assert [name for name, spec in workers.items() if not edge_ids(spec)] == []


def test_no_edge_node_is_advertised_twice(workers):
    advertised = Counter(edge for spec in workers.values() for edge in edge_ids(spec))
    assert set(advertised.values()) == {1}
    for name, spec in workers.items():
        assert (spec["min_workers"], spec["max_workers"]) == (1, 1), name
        assert all(spec["resources"][f"edge:{edge}"] == 1 for edge in edge_ids(spec)), name


def test_machines_are_those_of_the_inventory(workers):
    nodes = yaml.safe_load(INVENTORY.read_text())["nodes"]
    listed = {node["id"]: (node["cores"], len(node.get("gpus", []))) for node in nodes}
    resources = [(edge, spec["resources"]) for spec in workers.values() for edge in edge_ids(spec)]
    assert {edge: (offered["CPU"], offered.get("GPU", 0)) for edge, offered in resources} == listed


def test_all_edge_nodes_fit_under_the_limit(config, workers):
    assert config["max_workers"] >= len(workers)


def test_head_plays_no_edge_node(config):
    assert edge_ids(config["available_node_types"][config["head_node_type"]]) == []


def test_gpu_types_advertise_gpus_and_cpu_types_do_not(workers):
    for name, spec in workers.items():
        assert bool(spec["resources"].get("GPU")) == name.startswith("edge_gpu"), name


def test_token_authentication_is_on_wherever_ray_starts(config):
    starts = ray_starts(config)
    assert len(starts) == 2
    assert all("RAY_AUTH_MODE=token" in start.split("ray start")[0] for start in starts)
    assert "--env RAY_AUTH_MODE=token" in config["docker"]["run_options"]


def test_token_is_taken_from_the_users_own_file(config):
    assert config["file_mounts"]["~/.ray/auth_token"] == "~/.ray/auth_token"


@pytest.mark.parametrize("shape", SECRET_SHAPES)
def test_no_secret_stands_in_the_file(shape):
    assert re.search(shape, CLUSTER_YAML.read_text()) is None


def test_dashboard_is_not_public(config):
    assert "--dashboard-host=127.0.0.1" in ray_starts(config)[0]
    assert "0.0.0.0" not in CLUSTER_YAML.read_text()


def test_nodes_install_this_project_with_its_pins(config):
    assert any("-c ~/edgebed/constraints.txt -e ~/edgebed" in command for command in config["setup_commands"])
    assert config["file_mounts"]["~/edgebed"] == "."
    assert f"ray:{pinned('ray')}-py311" in config["docker"]["image"]


def pinned(package: str) -> str:
    pins = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines())
    return pins[package]
