"""Case memory: bounded, found by likeness, good and bad kept apart, and still there after a restart."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from controller.planners.memory import Case, CaseMemory, MemoryConfig, Telemetry
from emulation.domain.cluster import Mode


def telemetry(scale: float = 1.0, absent: tuple[str, ...] = ()) -> Telemetry:
    return Telemetry(prompts_per_s={"a": 0.8 * scale, "b": 0.2 * scale}, absent=absent)


def case(
    j: float, epoch: int = 0, mode: Mode = "gpu", node: str = "n0", seen: Telemetry | None = None
) -> Case:
    return Case(
        telemetry=seen or telemetry(), p={"a": {node: 1.0}}, roles={node: {"a": mode}}, success={"a": 1.0},
        latency_s={"a": 5.0}, fairness_norm=1.0, latency_norm=0.1, objective=j, epoch=epoch,
    )  # fmt: skip


def test_likeness_is_demand_and_who_is_there() -> None:
    assert telemetry().distance(telemetry()) == 0.0
    assert telemetry().distance(telemetry(2.0)) == pytest.approx(0.693, abs=1e-3)
    assert telemetry().distance(telemetry(absent=("n1",))) == 1.0


def test_only_like_cases_are_found_closest_first() -> None:
    memory = CaseMemory()
    for j, seen in ((0.1, telemetry(8.0)), (0.2, telemetry(1.2)), (0.3, telemetry())):
        memory.add(case(j, seen=seen))
    assert [c.objective for _, c in memory.like(telemetry())] == [0.3, 0.2]


def test_precedents_are_good_and_bad_and_no_policy_is_both() -> None:
    memory = CaseMemory()
    for i, j in enumerate((0.3, 0.1, 0.9, 0.2)):
        memory.add(case(j, epoch=i, node=f"n{i}"))
    good, bad = memory.precedents(telemetry())
    assert [c.objective for c in good] == [0.1, 0.2]
    assert [c.objective for c in bad] == [0.9]
    alone = CaseMemory()
    alone.add(case(0.5))
    good, bad = alone.precedents(telemetry())
    assert (len(good), bad) == (1, [])


def test_of_one_policy_the_latest_outcome_counts() -> None:
    memory = CaseMemory()
    memory.add(case(0.1, epoch=0))
    memory.add(case(0.4, epoch=1))
    good, _ = memory.precedents(telemetry())
    assert [c.objective for c in good] == [0.4]


def test_it_never_holds_more_than_its_size_and_keeps_best_worst_and_newest() -> None:
    memory = CaseMemory(MemoryConfig(size=8))
    for i in range(50):
        memory.add(case(0.05 if i == 3 else 0.99 if i == 7 else 0.3 + 0.001 * i, epoch=i))
        assert len(memory.cases) <= 8
        assert memory.cases[-1].epoch == i
    kept = [c.objective for c in memory.cases]
    assert min(kept) == 0.05
    assert max(kept) == 0.99


def test_cases_survive_a_restart(tmp_path: Path) -> None:
    config = MemoryConfig(size=4, file=str(tmp_path / "deep" / "cases.jsonl"))
    first = CaseMemory(config)
    for i in range(6):
        first.add(case(0.1 * i, epoch=i))
    again = CaseMemory(config)
    assert again.cases == first.cases
    assert len(again.cases) == 4
    again.add(case(0.7, epoch=9))
    assert CaseMemory(config).cases[-1].epoch == 9
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["cases.jsonl"], "no half-written file is left"


def test_a_planner_restarted_from_its_first_state_has_the_cases_of_the_one_that_died(tmp_path: Path) -> None:
    first = CaseMemory(MemoryConfig(file=str(tmp_path / "cases.jsonl")))
    at_the_start = pickle.dumps(first)
    first.add(case(0.1))
    first.add(case(0.2, epoch=1))
    assert pickle.loads(at_the_start).cases == first.cases


def test_size_zero_remembers_nothing(tmp_path: Path) -> None:
    memory = CaseMemory(MemoryConfig(size=0, file=str(tmp_path / "cases.jsonl")))
    memory.add(case(0.1))
    assert memory.cases == []
    assert list(tmp_path.iterdir()) == []


def test_a_broken_file_is_one_clear_error(tmp_path: Path) -> None:
    file = tmp_path / "cases.jsonl"
    file.write_text(case(0.1).model_dump_json() + "\n" + '{"telemetry": 3}\n')
    with pytest.raises(ValueError, match=r"cases\.jsonl, line 2: telemetry"):
        CaseMemory(MemoryConfig(file=str(file)))
