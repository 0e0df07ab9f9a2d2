"""`edgebed profile --batch`: what requests in one batch take from each other, and the law that fits it."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from edgebed.profile.batch import measure_batches
from edgebed.profile.grid import Grid, work_of
from edgebed.profile.sharing import fit_batch
from emulation.domain.contention import BatchCurve
from emulation.domain.profile import FittedRun, Law, Point, ProfileFile
from emulation.files import ConfigError
from serve_apps.wire.messages import Work
from tests.build.command_line import edgebed

pytestmark = [pytest.mark.models, pytest.mark.usefixtures("idle_machine")]

WORKS = [work_of("text", (16, 4), Grid(), number) for number in range(4)]


@dataclass
class Crowd:
    """Stands for an engine: a request takes as many seconds as there were others at its end, and one."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    now: int = 0

    def compute(self, engine: object, work: Work) -> float:
        with self.lock:
            self.now += 1
        time.sleep(0.03)  # noqa: TID251  while it computes, others come
        with self.lock:
            company = self.now
            self.now -= 1
        return float(company)


def test_every_measured_request_has_the_company_of_its_level() -> None:
    crowd = Crowd()
    found = measure_batches(crowd, WORKS, (1, 2, 4), 3, crowd.compute)
    assert {n: len(s) for n, s in found.items()} == {1: 3, 2: 6, 4: 12}
    assert set(found[1]) == {1.0}
    curve = fit_batch(found, (16.0, 4.0))
    assert [p.median_s for p in curve.points] == [1.0, 2.0, 4.0]


@pytest.mark.slow
def test_what_one_request_raises_is_raised_and_the_others_end() -> None:
    def compute(engine: object, work: Work) -> float:
        if work.request.id == "profile-2":
            raise ConfigError("out of memory")
        time.sleep(0.01)  # noqa: TID251  the others compute on when one has failed
        return 1.0

    with pytest.raises(ConfigError, match="out of memory"):
        measure_batches(None, WORKS, (1, 4), 2, compute)
    assert not [t for t in threading.enumerate() if t.name.startswith("ThreadPoolExecutor")]


@pytest.mark.parametrize("cost", [0.0, 0.1, 1.0])
def test_a_law_that_holds_is_found(cost: float) -> None:
    curve = fit_batch({n: (2.0 * (1 + cost * (n - 1)),) * 3 for n in (1, 2, 4, 8)}, (16.0, 4.0))
    assert curve.cost == pytest.approx(cost)
    assert curve.worst_error == pytest.approx(0.0, abs=1e-9)
    assert curve.batching.width == 8
    assert [curve.batching.speed(p.requests) for p in curve.points] == pytest.approx(
        [p.speed for p in curve.points]
    )


def test_a_batch_that_speeds_up_costs_nothing_and_its_error_says_so() -> None:
    curve = fit_batch({1: (2.0,), 4: (1.0,)}, (16.0, 4.0))
    assert (curve.cost, curve.worst_error) == (0.0, 0.5)


def test_a_testbed_takes_the_batch_of_a_profile() -> None:
    curve = fit_batch({1: (1.0,), 4: (1.6,)}, (16.0, 4.0))
    run = FittedRun(date="2026-01-01", scenario="s", scheme="sect", seed=0, nodes=("n",), source="x")
    law = Law(theta=(0.1, 0.2), low=(0.1, 0.2), high=(0.1, 0.2), r2=1.0, residual_sd_s=0.0, worst_error=0.0)
    point = Point(x=(1.0, 1.0), service_s=0.3, prefill_s=0.1, decode_s=0.2)
    file = ProfileFile(model="m", mode="gpu", run=run, law=law, points=(point,), batch=curve)
    assert file.entry().batch == curve.batching
    assert file.model_copy(update={"batch": None}).entry().batch.width == 1


def test_points_that_are_no_curve_are_refused() -> None:
    good = fit_batch({1: (1.0,), 2: (1.2,)}, (1.0,)).model_dump()
    with pytest.raises(ValueError, match="grow to width 4"):
        BatchCurve.model_validate(good | {"width": 4})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--batch", "1,4"], "other backends compute one request at a time; add --backend vllm"),
        (["--backend", "vllm", "--batch", "1"], "more than one at once"),
        (["--backend", "emulated"], "known: transformers, diffusers, vllm"),
        (["--backend", "vlm"], "did you mean 'vllm'"),
    ],
)
def test_what_cannot_be_measured_is_one_clear_error(
    options: list[str], said: str, tiny: Path, tmp_path: Path
) -> None:
    assert (
        said
        in edgebed(
            "profile", str(tiny / "gpt2"), str(tmp_path / "x.yaml"), "--model", "gpt2", *options, code=2
        ).stderr
    )
    assert not list(tmp_path.iterdir())
