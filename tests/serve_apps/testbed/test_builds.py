"""A cluster whose machines run another edgebed is not joined, and the reason says what to do."""

from __future__ import annotations

import re
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from ray.exceptions import GetTimeoutError, RaySystemError

from emulation import compiled
from emulation.files import ConfigError, load_testbed
from serve_apps.testbed import builds
from serve_apps.testbed.builds import Build, check_builds, differing, pure_like_here, this_build

HERE = Build("1.0", "abc", True)
TESTBED = load_testbed("demo")


@pytest.mark.parametrize(
    ("there", "said"),
    [
        (HERE, ""),
        (replace(HERE, compiled=False), "n1 runs edgebed uncompiled, .* set EDGEBED_PURE=1 here"),
        (replace(HERE, sources="abd"), "n1 runs other sources of edgebed .version 1.0; 1.0 here."),
        (replace(HERE, version="0.9"), "n1 runs other sources of edgebed .version 0.9; 1.0 here."),
    ],
)
def test_every_way_to_be_unlike_is_told_with_its_remedy(there: Build, said: str) -> None:
    found = differing(HERE, {"n0": HERE, "n1": there})
    assert (found == "") == (said == "")
    assert re.search(said, found)


def test_who_runs_the_sources_here_has_them_run_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    pure = replace(HERE, compiled=False)
    assert differing(pure, {"n1": HERE}) == "", "the environment of our processes says so"
    monkeypatch.setattr(compiled, "WHY_NOT", "by the test")
    assert pure_like_here() == {"EDGEBED_PURE": "1"}
    monkeypatch.setattr(compiled, "WHY_NOT", None)
    assert pure_like_here() == {}


class Machines:
    """The part of Ray that asks them."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.asked: list[dict[str, float]] = []

    def remote(self, function: Any) -> Any:
        def options(num_cpus: int, resources: dict[str, float]) -> Any:
            self.asked.append(resources)
            return SimpleNamespace(remote=lambda: self.answer)

        return SimpleNamespace(options=options)

    def get(self, answer: Any, timeout: float) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (GetTimeoutError(), "the machine of .* does not answer"),
        (
            RaySystemError("x\nModuleNotFoundError: No module named 'serve_apps'"),
            "does not run on the machine of",
        ),
    ],
)
def test_a_machine_that_cannot_say_is_not_taken_for_alike(
    monkeypatch: pytest.MonkeyPatch, answer: Exception, said: str
) -> None:
    monkeypatch.setattr(builds, "ray", Machines(answer))
    with pytest.raises(ConfigError, match=said):
        check_builds("somewhere:1", TESTBED)


def test_every_edge_node_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    machines = Machines(this_build())
    monkeypatch.setattr(builds, "ray", machines)
    check_builds("somewhere:1", TESTBED)
    assert machines.asked == [{f"edge:{n.id}": 0.001} for n in TESTBED.nodes]
    monkeypatch.setattr(builds, "ray", Machines(replace(this_build(), sources="other")))
    with pytest.raises(ConfigError, match="the cluster at 'somewhere:1': .* runs other sources"):
        check_builds("somewhere:1", TESTBED)
