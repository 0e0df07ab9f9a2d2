"""Launcher files for rented machines, and KubeRay's manifest: each edge node once, never scaled away."""

from __future__ import annotations

import json
import shlex
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from edgebed.cluster.clouds import aws_file, gcp_file
from edgebed.cluster.kuberay import kuberay_files
from edgebed.cluster.launcher import RAY_VERSION
from edgebed.cluster.machines import AwsMachines, GcpMachines, KubeMachines
from edgebed.commands.standing import http_settings
from emulation.domain.cluster import TestbedConfig
from emulation.files import ConfigError, load_testbed
from serve_apps.gateway.server.hosts import is_ours
from serve_apps.testbed.launcher_file import check_launcher_file
from tests.build.command_line import edgebed

ROOT = Path(__file__).parents[3]
DEMO = load_testbed("demo")
BRISTOL = load_testbed("bristol-a")
GCP = GcpMachines(project_id="lab-1")
KUBE = KubeMachines(image="registry.lan/edgebed:0.1.0", node_selectors={"arc-b60": {"machine": "arc"}})


def renamed(testbed: TestbedConfig, **names: str) -> TestbedConfig:
    raw = testbed.model_dump(mode="json")
    for node in raw["nodes"]:
        node["id"] = names.get(node["id"], node["id"])
    for entry in raw["profile"]:
        entry["node"] = names.get(entry["node"], entry["node"])
    return TestbedConfig.model_validate(raw)


@pytest.mark.parametrize("testbed", [DEMO, BRISTOL], ids=lambda t: str(t.name))
@pytest.mark.parametrize("spot", [False, True])
@pytest.mark.parametrize("provider", ["aws", "gcp"])
def test_every_edge_node_is_one_machine_that_stays(provider: str, spot: bool, testbed: TestbedConfig) -> None:
    config = aws_file(testbed, AwsMachines(), spot) if provider == "aws" else gcp_file(testbed, GCP, spot)
    types = check_launcher_file(config)["available_node_types"]
    head = types.pop("control")
    assert head["max_workers"] == 0
    advertised = {r for kind in types.values() for r in kind["resources"] if r.startswith("edge:")}
    assert advertised == {f"edge:{n.id}" for n in testbed.nodes}
    assert len(types) == len(testbed.nodes) == config["max_workers"]
    assert {(t["min_workers"], t["max_workers"]) for t in types.values()} == {(1, 1)}
    asked = [n for n, kind in types.items() if "spot" in str(kind) or "preemptible" in str(kind)]
    assert asked == (list(types) if spot else [])
    assert "preemptible" not in str(head)
    assert "spot" not in str(head)


def test_the_smallest_machine_that_fits_is_taken_unless_one_is_named() -> None:
    types = aws_file(DEMO, AwsMachines(nodes={"thinkedge": "p3.2xlarge"}), False)["available_node_types"]
    taken = {name: kind["node_config"]["InstanceType"] for name, kind in types.items()}
    assert taken == {
        "control": "c6i.2xlarge",
        "edge_gpu_jetson_thor": "g5.4xlarge",
        "edge_gpu_arc_b60": "g5.12xlarge",
        "edge_gpu_thinkedge": "p3.2xlarge",
        "edge_cpu_cpu_server": "m6i.12xlarge",
    }


def test_a_node_that_no_machine_matches_is_named() -> None:
    raw = DEMO.model_dump(mode="json")
    raw["nodes"][-1]["cores"] = 400
    with pytest.raises(ConfigError, match=r"node cpu-server \(400 cores, .*; name one under nodes"):
        aws_file(TestbedConfig.model_validate(raw), AwsMachines(), False)


def test_names_that_differ_in_signs_alone_are_kept_apart() -> None:
    testbed = renamed(DEMO.model_copy(update={"power": ()}), **{"arc-b60": "jetson_thor"})
    assert len(aws_file(testbed, AwsMachines(), False)["available_node_types"]) == len(DEMO.nodes) + 1
    with pytest.raises(ConfigError, match="'jetson-thor' is there twice"):
        kuberay_files(testbed, KUBE)


def test_the_committed_file_is_what_is_rendered(tmp_path: Path) -> None:
    """Run `edgebed cluster render bristol-a --provider aws --out cluster.yaml` if this fails."""
    edgebed("cluster", "render", "bristol-a", "--provider", "aws", "--out", str(tmp_path / "cluster.yaml"))
    assert (tmp_path / "cluster.yaml").read_text() == (ROOT / "cluster.yaml").read_text()


def test_ray_is_the_version_that_is_pinned() -> None:
    assert f"ray=={RAY_VERSION}" in (ROOT / "constraints.txt").read_text().splitlines()


def groups(manifest: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {g["groupName"]: g for g in manifest["spec"]["rayClusterConfig"]["workerGroupSpecs"]}


def test_a_pod_plays_each_edge_node(tmp_path: Path) -> None:
    (tmp_path / "machines.yaml").write_text(yaml.safe_dump(KUBE.model_dump(mode="json")))
    out = tmp_path / "out.yaml"
    given = ("--machines", str(tmp_path / "machines.yaml"), "--out", str(out))
    edgebed("cluster", "render", "demo", "--provider", "kuberay", *given)
    service, door = yaml.safe_load_all(out.read_text())
    assert (service["kind"], door["kind"]) == ("RayService", "Service")
    cluster = service["spec"]["rayClusterConfig"]
    assert cluster["authOptions"] == {"mode": "token"}
    assert "RAY_AUTH_TOKEN" not in out.read_text()
    for node in DEMO.nodes:
        group = groups(service)[node.id]
        assert (group["replicas"], group["minReplicas"], group["maxReplicas"]) == (1, 1, 1)
        assert json.loads(json.loads(group["rayStartParams"]["resources"])) == {f"edge:{node.id}": 1}
        (container,) = group["template"]["spec"]["containers"]
        assert container["resources"]["limits"].get("nvidia.com/gpu") == (
            str(len(node.gpus)) if node.gpus else None
        )
        assert {"name": "RAY_SERVE_THROUGHPUT_OPTIMIZED", "value": "1"} in container["env"]
    assert groups(service)["arc-b60"]["template"]["spec"]["nodeSelector"] == {"machine": "arc"}
    labels = cluster["headGroupSpec"]["template"]["metadata"]["labels"]
    assert door["spec"]["selector"] == labels
    assert door["spec"]["ports"] == [{"name": "gateway", "port": 8000, "targetPort": KUBE.gateway_port}]


def test_the_gateway_answers_to_every_name_of_its_service(tmp_path: Path) -> None:
    """By the command as it stands at the top of the manifest."""
    (tmp_path / "machines.yaml").write_text(yaml.safe_dump(KUBE.model_dump(mode="json")))
    out = tmp_path / "out.yaml"
    given = ("--machines", str(tmp_path / "machines.yaml"), "--out", str(out))
    edgebed("cluster", "render", "demo", "--provider", "kuberay", *given)
    head = [line.removeprefix("#") for line in out.read_text().splitlines() if line.startswith("#")]
    words = shlex.split("\n".join(head).partition("edgebed up")[2].partition("\n      The")[0])
    allowed = [value for option, value in pairwise(words) if option == "--allow-host"]
    settings = http_settings(None, allowed, [])
    _, door = yaml.safe_load_all(out.read_text())
    name, space = door["metadata"]["name"], door["metadata"]["namespace"]
    (address,) = (line.strip() for line in head if line.strip().startswith("3. http"))
    told = urlsplit(address.removeprefix("3. ")).hostname
    for host in (told, name, f"{name}.{space}", f"{name}.{space}.svc", f"{name}.{space}.svc.cluster.local"):
        assert is_ours(host, "10.0.0.7", settings.allow_hosts), host
    assert not is_ours("evil.example", "10.0.0.7", settings.allow_hosts)


def test_what_the_operator_deploys_is_there() -> None:
    service, _ = kuberay_files(DEMO, KUBE)
    (application,) = yaml.safe_load(service["spec"]["serveConfigV2"])["applications"]
    module, _, name = application["import_path"].partition(":")
    assert module == "serve_apps.testbed.standby"
    assert hasattr(__import__(module, fromlist=[name]), name)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--provider", "gcp"), "--provider gcp: needs --machines; project_id: is missing"),
        (("--provider", "local"), "--provider local: needs --machines"),
        (("--provider", "kuberay", "--spot"), "--spot has no effect but with --provider aws or gcp"),
        (("--provider", "aws", "--head", "10.0.0.1"), "--head has no effect but with --provider local"),
    ],
)
def test_what_is_missing_or_idle_is_said(tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    out = tmp_path / "out.yaml"
    assert said in edgebed("cluster", "render", "demo", *words, "--out", str(out), code=2).stderr.replace(
        "\n", " "
    )
    assert not out.exists()
