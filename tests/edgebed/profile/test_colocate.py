"""The contention curve: measured by processes that are busy at once, fitted by the law the world applies."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from edgebed.commands.main import app
from edgebed.profile.colocate import Colocation, colocate, levels_of, shared_settings
from edgebed.profile.grid import Grid, middle
from edgebed.profile.sharing import fit_sharing, how_to_use
from emulation.domain.contention import Contention
from emulation.domain.sharing import CpuLaw, GpuSpec
from emulation.files import ConfigError, load_profile
from tests.build.command_line import edgebed

pytestmark = [pytest.mark.models, pytest.mark.usefixtures("idle_machine")]

LEVELS = (1, 2, 3, 4)


def curve(speeds: dict[int, float], alone_s: float = 0.2) -> dict[int, list[float]]:
    """Three requests of each process that ran at these speeds; the middle one exactly."""
    return {n: [alone_s / v * f for f in (0.9, 1.0, 1.1) for _ in range(n)] for n, v in speeds.items()}


@given(st.floats(min_value=0, max_value=2))
def test_the_overhead_of_a_gpu_that_keeps_the_worlds_law_is_found_exactly(overhead: float) -> None:
    gpu = GpuSpec(sharing="processor", overhead=overhead)
    found = fit_sharing(curve({n: gpu.share(n) for n in LEVELS}), (10.0, 5.0), "gpu")
    assert found.sharing == "processor"
    assert found.overhead == pytest.approx(overhead, abs=1e-9)
    assert found.worst_error == pytest.approx(0.0, abs=1e-9)


@given(st.floats(min_value=0, max_value=1.5))
def test_the_exponent_of_cores_that_keep_the_worlds_law_is_found_exactly(exponent: float) -> None:
    law = CpuLaw(reference_cores=8, exponent=exponent)
    found = fit_sharing(curve({n: law.share(8, n) for n in LEVELS}), (2.0,), "cpu")
    assert (found.sharing, found.overhead) == ("cores", None)
    assert found.exponent == pytest.approx(exponent, abs=1e-9)


def test_a_gpu_on_which_neighbours_cost_nothing_is_said_to_share_nothing() -> None:
    found = fit_sharing(curve({1: 1.0, 2: 0.98, 4: 0.97}), (1.0,), "gpu")
    assert (found.sharing, found.overhead, found.exponent) == ("none", None, None)
    assert how_to_use(found, 8) == "gpus: [{slices: 4, sharing: none}]"


def test_faster_than_equal_shares_is_no_negative_overhead_and_the_error_says_so() -> None:
    found = fit_sharing(curve({1: 1.0, 2: 0.6}), (1.0,), "gpu", fraction=0.5)
    assert (found.sharing, found.overhead, found.fraction) == ("processor", 0.0, 0.5)
    assert found.worst_error == pytest.approx(1 - 0.5 / 0.6)


def test_a_curve_by_hand() -> None:
    # alone 0.2 s; two: 0.5 s = 2 * 0.2 * (1 + 0.25); four: 1.6 s = 4 * 0.2 * (1 + 1.0)
    found = fit_sharing({1: [0.2], 2: [0.5, 0.4, 0.6], 4: [1.6]}, (1.0,), "gpu")
    assert found.overhead == pytest.approx((1 * 0.25 + 3 * 1.0) / (1 + 9))
    assert [(p.processes, p.median_s, p.speed) for p in found.points] == [
        (1, 0.2, 1.0),
        (2, 0.5, pytest.approx(0.4)),
        (4, 1.6, pytest.approx(0.125)),
    ]
    assert how_to_use(found, 8) == "gpus: [{slices: 4, sharing: processor, overhead: 0.325}]"


def test_a_curve_that_does_not_say_its_law_is_refused() -> None:
    good = fit_sharing(curve({1: 1.0, 2: 0.5}), (1.0,), "gpu").model_dump()
    assert Contention.model_validate(good).sharing == "processor"
    with pytest.raises(ValueError, match="processor has an overhead"):
        Contention.model_validate(good | {"overhead": None})
    with pytest.raises(ValueError, match="processor has an overhead"):
        Contention.model_validate(good | {"exponent": 0.5})
    with pytest.raises(ValueError, match="points must start with 1"):
        Contention.model_validate(good | {"points": good["points"][::-1]})


def test_one_process_is_always_measured_and_each_level_once() -> None:
    assert levels_of("--colocate", [4, 2, 4]) == (1, 2, 4)
    with pytest.raises(ConfigError, match="more than one at once"):
        levels_of("--colocate", [1])


def test_the_middle_of_a_grid_is_computed() -> None:
    assert middle(Grid(inputs=(768, 16, 128), outputs=(1, 96)), "text") == (128, 96)
    assert middle(Grid(prompts=(1, 2, 3)), "image") == (2,)


def test_a_fraction_of_a_gpu_caps_memory_and_threads() -> None:
    assert shared_settings(None, "cpu") == ({}, {})
    assert shared_settings(0.25, "cuda") == (
        {"gpu_memory_share": 0.25},
        {"CUDA_MPS_ACTIVE_THREAD_PERCENTAGE": "25"},
    )
    with pytest.raises(ConfigError, match="--fraction is a share of a GPU"):
        shared_settings(0.25, "cpu")


@pytest.mark.slow
# In `make test` the processes of a quick engine stand for those of a real one, which take long to load it.
@pytest.mark.parametrize(
    "backend", ["tests.build.quick_engines:Quick", pytest.param("transformers", marks=pytest.mark.long)]
)
def test_the_command_writes_the_curve_into_the_profile_and_a_testbed_still_takes_it(
    backend: str, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgebed.profile.measuring.Colocation", lambda _, *more: Colocation(backend, *more))
    file = tmp_path / "m.yaml"
    options = ["--inputs", "4,8", "--outputs", "1,2", "--repeats", "1", "--colocate", "2", "--json"]
    result = CliRunner().invoke(app, ["profile", str(tiny / "gpt2"), str(file), "--model", "m", *options])
    assert result.exit_code == 0, result.output
    found = load_profile(str(file)).contention
    assert found is not None
    assert found.x == (8.0, 2.0)
    assert [(p.processes, len(p.services_s)) for p in found.points] == [(1, 5), (2, 10)]
    assert found.points[0].speed == 1.0
    assert json.loads(result.stdout)["contention"]["exponent"] == found.exponent


@pytest.mark.slow
@pytest.mark.parametrize(("source", "said"), [("no/such/folder", "cannot be loaded"), ("m", "do not fit")])
def test_a_process_that_cannot_do_its_part_is_one_clear_error(source: str, said: str) -> None:
    """What real engines say of such a folder and such a prompt stands in `tests/serve_apps/engines`."""
    plan = Colocation(
        backend="tests.build.quick_engines:Refusing", modality="text", settings={"source": source},
        grid=Grid(inputs=(4,), outputs=(2,)), levels=(1,),
    )  # fmt: skip
    with pytest.raises(ConfigError, match=said):
        colocate(plan)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--colocate", "1"], "more than one at once"),
        (["--colocate", "1,x"], "--colocate '1,x' is not a list of numbers"),
        (["--colocate", "2", "--fraction", "0.5"], "it is a share of a GPU; add --device cuda"),
        (["--fraction", "0.5"], "add --colocate"),
    ],
)
def test_wrong_options_are_one_clear_error_before_anything_is_measured(
    options: list[str], said: str, tiny: Path, tmp_path: Path
) -> None:
    assert (
        said
        in edgebed(
            "profile", str(tiny / "gpt2"), str(tmp_path / "p.yaml"), "--model", "m", *options, code=2
        ).stderr
    )
    assert not list(tmp_path.iterdir())
