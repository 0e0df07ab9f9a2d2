"""`ray up` of a rendered launcher file over SSH: a head and two workers, each a machine of its own (`machines/`).

The tests are one story and share its machines: up, runs from several of them, a worker's raylet killed, down. The
operator sits at a machine that is no part of the cluster and has nothing but the checkout and a key.
"""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import yaml

from emulation.domain.records import RunFooter
from tests.build.waiting import eventually
from tests.cluster.machines.site import CHECKOUT, NETWORK, Machine, Site, missing

pytestmark = pytest.mark.skipif(bool(missing()), reason=f"this machine lacks {', '.join(missing())}")
JOIN_LIMIT_S = 180.0
RUN_LIMIT_S = 240.0
DOWN_LIMIT_S = 180.0
"""A worker's Ray gives up 30 s after it lost the head, and its agents a minute later."""
HEAD = f"{NETWORK}.2"
WORKERS = {"n1": "worker-1", "n2": "worker-2"}
RAY = "export RAY_AUTH_MODE=token; "
PROMPTS_S = 0.5


def scenario(slots: int, deadline_s: float) -> dict[str, Any]:
    """Two nodes that both serve `m`, half a second a prompt, and less asked for than one of them can do."""
    node = {"cores": 2, "ram_gb": 8}
    return {
        "name": "machines",
        "testbed": {
            "name": "two",
            "models": [{"id": "m", "modality": "text", "ram_gb": 1, "init_s": 0.5, "modes": ["cpu"]}],
            "nodes": [{"id": name, **node} for name in WORKERS],
            "profile": [{"model": "m", "mode": "cpu", "theta": [PROMPTS_S]}],
        },
        "workload": [{"kind": "poisson", "rate_per_s": 0.6, "mix": {"m": 1.0}}],
        "slot_s": 10.0,
        "slots": slots,
        "deadline_s": deadline_s,
        "live": {"speedup": 1.0},
    }


@dataclass
class Lab:
    """The machines with the cluster on them."""

    site: Site

    @property
    def operator(self) -> Machine:
        return self.site["operator"]

    @property
    def head(self) -> Machine:
        return self.site["head"]

    def resources(self) -> dict[str, float]:
        """What the cluster advertises, asked on the head."""
        program = "import json, ray; ray.init('auto', log_to_driver=False); print(json.dumps(ray.cluster_resources()))"
        said = self.head.run(f'{RAY}python -c "{program}"', check=False).stdout.splitlines()
        found: dict[str, float] = json.loads(said[-1]) if said else {}
        return found

    def has_all_nodes(self) -> bool:
        return {f"edge:{name}" for name in WORKERS} <= self.resources().keys()


def ray_processes(machine: Machine) -> list[str]:
    """What of Ray and of the project runs on a machine."""
    return [line for line in machine.processes() if "ray" in line or "edgebed" in line]


def compare(machine: Machine, address: str, folder: str, slots: int = 2, deadline_s: float = 60.0) -> str:
    """The command line of a live run from a machine, where it finds the token; its files go to `folder` there."""
    machine.write("scenario.yaml", yaml.safe_dump(scenario(slots, deadline_s)))
    return f"edgebed compare scenario.yaml --live --address {address} --schemes sect --out {folder} --json"


def record(machine: Machine, folder: str) -> tuple[list[dict[str, Any]], RunFooter]:
    """The requests of a run's record, and what its books close with."""
    lines = [json.loads(line) for line in machine.read(f"{folder}/sect/seed-0/record.jsonl").splitlines()]
    *_, last = (dict(line) for line in lines if line["kind"] == "footer")
    footer = RunFooter(**{name: value for name, value in last.items() if name != "kind"})
    return [line for line in lines if line["kind"] == "request"], footer


def check_run(machine: Machine, folder: str, said: str) -> None:
    """Everything asked for was answered, by both nodes, and the books balance."""
    result = json.loads(said)["schemes"]["sect"]
    requests, footer = record(machine, folder)
    assert result["success_ratio"] == 1.0, result
    assert footer.conserved()
    assert len(requests) == sum(footer.arrived.values()) > 5
    assert {line["executor"] for line in requests} == {f"{node}/m" for node in WORKERS}


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Site.up(["operator", "head", *WORKERS.values()]) as site:
        yield Lab(site)


def test_ray_up_brings_up_the_head_and_its_autoscaler_every_worker(lab: Lab) -> None:
    operator = lab.operator
    testbed = scenario(1, 1.0)["testbed"]
    machines = {
        "head": {"ip": HEAD},
        "nodes": {node: {"ip": lab.site[name].address} for node, name in WORKERS.items()},
        "user": "root", "key": "~/.ssh/key", "venv": f"{operator.python}", "project": str(CHECKOUT),
    }  # fmt: skip
    operator.write("two.yaml", yaml.safe_dump(testbed))
    operator.write("machines.yaml", yaml.safe_dump(machines))
    words = "edgebed cluster render ~/two.yaml --provider local --machines ~/machines.yaml --out ~/lab.yaml"
    operator.run(f"cd {CHECKOUT} && PYTHONPATH={CHECKOUT} {words}")
    operator.run("ray get-auth-token --generate")
    assert ray_processes(lab.head) == []
    operator.run(f"{RAY}ray up -y lab.yaml", JOIN_LIMIT_S)
    eventually(
        lab.has_all_nodes, JOIN_LIMIT_S, lambda: lab.head.read("/tmp/ray/session_latest/logs/monitor.log")
    )
    for name in ("head", *WORKERS.values()):
        where = lab.site[name].run("cd / && python -c 'import edgebed; print(edgebed.__file__)'").stdout
        assert where == "/root/edgebed/edgebed/__init__.py\n", "installed from what the launcher copied"
        secret = lab.site[name].run("stat -c %a ~/.ray/auth_token").stdout
        assert secret == "600\n"


def test_nobody_joins_without_the_token(lab: Lab) -> None:
    for words in (
        "env -u RAY_AUTH_MODE",
        "RAY_AUTH_MODE=token RAY_AUTH_TOKEN=of-somebody-else-0123456789abcdef",
    ):
        refused = lab.operator.run(f"{words} ray status --address {HEAD}:6379", check=False)
        assert refused.returncode != 0
        assert "uthenti" in refused.stdout + refused.stderr


def test_a_run_from_the_head(lab: Lab) -> None:
    said = lab.head.run(compare(lab.head, "auto", "runs/head"), RUN_LIMIT_S).stdout
    check_run(lab.head, "runs/head", said)
    lab.head.write("runs/head/said.json", said)


def test_a_run_from_a_machine_that_is_no_part_of_the_cluster(lab: Lab) -> None:
    operator = lab.operator
    operator.run("chmod 600 ~/.ray/auth_token")
    words = compare(operator, f"{HEAD}:6379", "runs/operator")
    silent = operator.run(f"EDGEBED_PURE=1 PYTHONPATH={CHECKOUT} {words}", RUN_LIMIT_S, check=False)
    assert silent.returncode == 2
    assert "give --host node" in " ".join(silent.stderr.split()), "nobody here reaches loopback of the head"
    words = compare(operator, f"{HEAD}:6379", "runs/operator-too") + " --host node"
    if "compiled" in operator.run(f"PYTHONPATH={CHECKOUT} edgebed --version").stdout.replace(
        "uncompiled", ""
    ):
        refused = words.replace("runs/operator-too", "runs/unlike")
        unlike = operator.run(f"PYTHONPATH={CHECKOUT} {refused}", RUN_LIMIT_S, check=False)
        assert unlike.returncode == 2
        said = " ".join(unlike.stderr.split())
        assert said.startswith("error: the cluster at"), said
        assert "set EDGEBED_PURE=1 here" in said, "the machines run the sources"
    said = operator.run(f"EDGEBED_PURE=1 PYTHONPATH={CHECKOUT} {words}", RUN_LIMIT_S).stdout
    check_run(operator, "runs/operator-too", said)
    assert ray_processes(operator) == [], "it was a node of the cluster for as long as it needed"
    on_the_head = lab.head.run("find / -xdev -path '*runs/operator*' -name record.jsonl", check=False).stdout
    assert on_the_head == "", "the record is written where the operator is"


def test_a_run_with_40_ms_there_and_back_between_machines(lab: Lab) -> None:
    lab.site.set_delay(20.0)
    try:
        line = compare(lab.head, "auto", "runs/far") + " --check-parity"
        said = lab.head.run(line, RUN_LIMIT_S).stdout
    finally:
        lab.site.set_delay(0.0)
    check_run(lab.head, "runs/far", said)
    requests, _ = record(lab.head, "runs/far")
    assert all(0.04 <= line["transfer_s"] < 0.1 for line in requests), (
        "the way there and back, and Ray's call"
    )
    result = json.loads(said)
    assert 0.04 <= result["schemes"]["sect"]["network_s"] < 0.1
    near = json.loads(lab.head.read("runs/head/said.json"))["schemes"]["sect"]
    assert result["schemes"]["sect"]["platform_overhead_s"] < near["platform_overhead_s"] + 0.03, (
        "none of it is there"
    )
    assert result["checks"]["parity_ok"], result["parity"]


def test_a_worker_whose_raylet_is_killed_under_load_loses_no_request_and_comes_back(lab: Lab) -> None:
    line = compare(lab.head, "auto", "runs/killed", slots=6, deadline_s=300.0)
    run = lab.head.start(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    with run:
        progress = "runs/killed/sect/seed-0/progress.jsonl"
        eventually(lambda: '"n2/m"' in lab.head.run(f"cat {progress}", check=False).stdout, RUN_LIMIT_S)
        lab.operator.run("ssh worker-2 pkill -KILL -x raylet")
        said, errors = run.communicate(timeout=RUN_LIMIT_S)
    assert run.returncode == 0, errors
    requests, footer = record(lab.head, "runs/killed")
    assert footer.conserved()
    assert Counter(r["outcome"] for r in requests) == {"done": sum(footer.arrived.values())}, said
    assert any(r["executor"] == "n1/m" for r in requests)
    eventually(
        lab.has_all_nodes, JOIN_LIMIT_S, lambda: lab.head.read("/tmp/ray/session_latest/logs/monitor.log")
    )


def test_after_ray_down_nothing_of_ray_is_left_on_any_machine(lab: Lab) -> None:
    lab.operator.run(f"{RAY}ray down -y lab.yaml", RUN_LIMIT_S)
    assert ray_processes(lab.head) == []
    for name in WORKERS.values():
        there = lab.site[name]
        eventually(lambda m=there: not ray_processes(m), DOWN_LIMIT_S, lambda m=there: str(ray_processes(m)))
