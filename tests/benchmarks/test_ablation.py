"""The ablation's schemes are `fused` but for one thing each, which is what the name says, and its plan can be made."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pytest

from benchmarks import ablation
from controller.schemes import SCHEMES, Scheme
from edgebed.matrix.cells import cells_of
from edgebed.matrix.plan import load_plan
from edgebed.runs.virtual import simulate
from edgebed.wiring.controllers import Controllers, build_controllers
from edgebed.wiring.parts import find_scheme
from emulation.domain.ports import PerfKey
from emulation.domain.records import DecisionRecord
from emulation.files import load_scenario
from emulation.recording import MemorySink, Run

ROWS = {n: row for n, row in vars(ablation).items() if isinstance(row, Scheme) and row.name != "fused"}
MORE_THAN_ONE = {"without-admission": 2, "without-planner": 4}
"""Fields that differ where it takes more than one to take a part away."""


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_each_differs_from_the_whole_in_one_part_and_can_be_built(row: Scheme) -> None:
    whole = SCHEMES["fused"]
    other = [
        f.name for f in fields(Scheme) if f.name != "name" and getattr(row, f.name) != getattr(whole, f.name)
    ]
    assert len(other) == MORE_THAN_ONE.get(row.name, 1), other
    assert build_controllers(row, load_scenario("bristol-A"), 0)


def test_the_plan_names_all_of_them() -> None:
    plan, _ = load_plan(str(Path(ablation.__file__).with_name("ablation.yaml")))
    named = {name.partition(":")[2] for name in plan.schemes if ":" in name}
    assert named == {
        name for name, row in vars(ablation).items() if isinstance(row, Scheme) and name != "_FUSED"
    }


def test_planners_have_epochs_to_learn_in_wherever_they_plan() -> None:
    """One that decides at 0 s alone has no case to remember and nothing to forget."""
    plan, beside = load_plan(str(Path(ablation.__file__).with_name("ablation.yaml")))
    worlds = [(cell.scenario, cell.build(0)) for cell in cells_of(plan, beside)]
    pods = [(n, w) for n, w in worlds if any(node.hosting == "pods" for node in w.testbed.nodes)]
    assert {
        name: world.slots // world.epoch_slots for name, world in pods if world.slots < 5 * world.epoch_slots
    } == {}
    assert len(pods) > len(worlds) / 2


# -- what each row changes, seen in a run


@dataclass(frozen=True)
class Seen:
    """A run, and those who decided in it as they are at its end."""

    run: Run
    by: Controllers
    told_before: Mapping[PerfKey, float]
    """What its laws predicted before it began."""

    @property
    def told(self) -> Mapping[PerfKey, float]:
        return predictions(self.by)

    def decisions(self, actor: str) -> list[DecisionRecord]:
        return [d for d in self.run.decisions if d.actor == actor]

    @property
    def policies(self) -> list[dict[str, Any]]:
        return [d.choice for d in self.decisions("planner")]

    @property
    def refused(self) -> int:
        return sum(r.outcome == "rejected" for r in self.run.requests)

    @property
    def cases(self) -> int:
        assert self.by.planner is not None
        planner: Any = self.by.planner._decider
        return len(planner.experience.memory.cases)


def predictions(by: Controllers) -> dict[PerfKey, float]:
    path: Any = by.fast_path
    perf, bed = path.innermost.perf.ordinary, SCENARIO.testbed  # without the factors of the meta-controller
    keys = [
        PerfKey(f"{n.id}/{m}", m, v) for n in bed.nodes for m in bed.hosted(n.id) for v in bed.modes(n.id, m)
    ]
    return {
        k: perf.predict(k, (8.0, 8.0) if bed.model(k.model).features == "tokens" else (1.0,)).mean_s
        for k in keys
    }


SCENARIO = load_scenario("bristol-A").model_copy(
    update={
        "slots": 24,
        "epoch_slots": 6,
        "tail_slots": 4,
        "deadline_s": 200.0,
        "controllers": {
            **load_scenario("bristol-A").controllers,
            "search": {"starts": 1, "moves": {"pair_width": 0}},
        },
    }  # fmt: skip
)


def played(row: Scheme) -> Seen:
    """A short run of bristol-A, four epochs long, with too much to do."""
    sink, kept = MemorySink(), []

    def keep(by: Controllers) -> Controllers:
        kept.append((by, predictions(by)))
        return by

    simulate(SCENARIO, row, 0, sink, watched=keep)
    return Seen(sink.run(), *kept[0])


@pytest.fixture(scope="module")
def whole() -> Iterator[Seen]:
    return played(SCHEMES["fused"])


def first_scores(one: Seen, other: Seen) -> list[tuple[float, float]]:
    """Scores of the same executors by both at the first request that they score differently; they agreed till then."""
    for ours, theirs in zip(one.decisions("router"), other.decisions("router"), strict=False):
        assert ours.request_id == theirs.request_id
        mine, yours = dict(ours.candidates), dict(theirs.candidates)
        if mine != yours:
            return [(mine[e], yours[e]) for e in mine if e in yours and mine[e] != yours[e]]
    return []


def first_choices(one: Seen, other: Seen) -> tuple[str, str]:
    """What both did with the first request that they treated differently."""
    pairs = zip(one.decisions("router"), other.decisions("router"), strict=False)
    return next((str(a.choice), str(b.choice)) for a, b in pairs if a.choice != b.choice)


def no_meta(whole: Seen, row: Seen) -> None:
    assert whole.decisions("meta")
    assert not row.decisions("meta")


def no_learned_laws(whole: Seen, row: Seen) -> None:
    assert whole.told != whole.told_before
    assert row.told == row.told_before


def no_exploration(whole: Seen, row: Seen) -> None:
    scores = first_scores(whole, row)
    assert scores
    assert all(bold < plain for bold, plain in scores), (
        "what is little known is no longer scored better than it looks"
    )


def no_courtesy(whole: Seen, row: Seen) -> None:
    scores = first_scores(whole, row)
    assert scores
    assert all(polite > plain for polite, plain in scores), "a wait no longer counts three times"


def no_admission(whole: Seen, row: Seen) -> None:
    assert whole.refused
    assert not row.refused
    assert not any(p["admission_limit_s"] for p in row.policies)


def at_the_median(whole: Seen, row: Seen) -> None:
    careful, bold = first_choices(whole, row)
    assert careful == "reject"
    assert bold != "reject"


def no_limits(whole: Seen, row: Seen) -> None:
    assert any(p["admission_limit_s"] for p in whole.policies)
    assert not any(p["admission_limit_s"] for p in row.policies)
    assert row.refused, "deadlines still refuse"


def no_planner(whole: Seen, row: Seen) -> None:
    assert whole.policies
    assert not row.policies
    assert not row.decisions("scheduler")


def with_memory(whole: Seen, row: Seen) -> None:
    assert not whole.cases
    assert len(row.policies) == len(whole.policies)
    assert row.cases


def short_list(whole: Seen, row: Seen) -> None:
    assert not any("emulated" in d.reason for d in whole.decisions("planner"))
    assert all("emulated" in d.reason for d in row.decisions("planner"))


SAYS: Mapping[str, Callable[[Seen, Seen], None]] = {
    "NO_META": no_meta,
    "NO_LEARNED_LAWS": no_learned_laws,
    "NO_EXPLORATION": no_exploration,
    "NO_COURTESY": no_courtesy,
    "NO_ADMISSION": no_admission,
    "AT_THE_MEDIAN": at_the_median,
    "NO_LIMITS": no_limits,
    "NO_PLANNER": no_planner,
    "WITH_MEMORY": with_memory,
    "SHORT_LIST": short_list,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", ROWS)
def test_each_changes_what_its_name_says(whole: Seen, name: str) -> None:
    SAYS[name](whole, played(find_scheme(f"{ablation.__name__}:{name}")))
