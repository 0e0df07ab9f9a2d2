"""`edgebed profile`: the law that fits the measurements, in a file that testbeds of both worlds take."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from edgebed.commands.main import app
from edgebed.profile.fit import fit
from emulation.domain.profile import Point, ProfileFile
from emulation.files import ConfigError, load_profile, load_testbed
from emulation.rng import stream
from tests.build.command_line import edgebed

pytestmark = [pytest.mark.models, pytest.mark.usefixtures("idle_machine")]

SIZES = [(float(i), float(o)) for i in (16, 128, 512) for o in (1, 16, 64)] * 3


def points(theta: tuple[float, float], noise: float = 0.0, seed: int = 1) -> list[Point]:
    draws = stream(seed, "test").normal(1.0, noise, len(SIZES))
    return [
        Point(x=x, service_s=float(np.dot(theta, x) * d), prefill_s=0.0, decode_s=0.0)
        for x, d in zip(SIZES, draws, strict=True)
    ]


def test_an_exact_law_is_found_exactly() -> None:
    law = fit(points((0.0037, 0.081)))
    assert law.theta == pytest.approx((0.0037, 0.081))
    assert law.r2 == pytest.approx(1.0)
    assert law.worst_error == pytest.approx(0.0, abs=1e-9)


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    truth = (0.0037, 0.081)
    laws = [fit(points(truth, 0.1, seed)) for seed in range(100)]
    for index in (0, 1):
        held = sum(law.low[index] <= truth[index] <= law.high[index] for law in laws)
        assert 88 <= held <= 100


def test_intervals_grow_with_the_noise() -> None:
    calm, noisy = fit(points((0.0037, 0.081), 0.02)), fit(points((0.0037, 0.081), 0.2))
    assert noisy.high[1] - noisy.low[1] > 3 * (calm.high[1] - calm.low[1])
    assert noisy.r2 < calm.r2


def test_coefficients_are_never_negative() -> None:
    law = fit(points((-0.0001, 0.5)))
    assert law.theta[0] == law.low[0] == 0.0


def test_points_that_cannot_tell_the_coefficients_apart_are_an_error() -> None:
    alike = [Point(x=(8.0, 8.0), service_s=1.0 + i / 10, prefill_s=0, decode_s=0) for i in range(5)]
    with pytest.raises(ConfigError, match="measure more sizes"):
        fit(alike)
    with pytest.raises(ConfigError, match="measure more sizes"):
        fit(alike[:1])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("modality", "name", "options", "count"),
    [
        ("text", "gpt2", ["--inputs", "8,64", "--outputs", "2,8"], 8),
        ("caption", "blip", ["--prompts", "1,2"], 4),
        ("image", "sd", ["--prompts", "1,2", "--size", "64x64", "--steps", "2"], 4),
    ],
)
def test_the_command_measures_and_a_testbed_takes_the_file(
    modality: str, name: str, options: list[str], count: int, tiny: Path, tmp_path: Path
) -> None:
    file = tmp_path / "m.yaml"
    command = [
        "profile",
        str(tiny / name),
        str(file),
        "--model",
        "m",
        "--modality",
        modality,
        "--json",
        *options,
    ]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    found = load_profile(file)
    assert json.loads(result.stdout)["theta"] == list(found.law.theta)
    assert len(found.points) == count
    assert len({p.x for p in found.points}) == count / 2
    assert found.measured.source == name
    assert all(p.service_s >= p.prefill_s > 0 for p in found.points)
    if modality == "text":
        assert {p.x for p in found.points} == {(8.0, 2.0), (8.0, 8.0), (64.0, 2.0), (64.0, 8.0)}
    testbed = _testbed(tmp_path, modality, ["m.yaml"])
    assert testbed.theta("n", "m", "cpu") == found.law.theta
    assert testbed.profile[0].source.startswith("measured ")


def _testbed(folder: Path, modality: str, profile: list[Any]) -> Any:
    features = "tokens" if modality == "text" else "prompts"
    raw = {
        "name": "t",
        "models": [{"id": "m", "modality": modality, "features": features, "modes": ["cpu"]}],
        "nodes": [{"id": "n"}],
        "profile": profile,
    }
    (folder / "testbed.yaml").write_text(yaml.safe_dump(raw))
    return load_testbed(folder / "testbed.yaml")


def test_a_profile_that_is_not_there_or_not_whole_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such profile file"):
        _testbed(tmp_path, "text", ["gone.yaml"])
    (tmp_path / "bad.yaml").write_text("model: m\nmode: cpu\n")
    with pytest.raises(ConfigError, match=r"bad\.yaml: law: is missing"):
        _testbed(tmp_path, "text", ["bad.yaml"])


def test_a_profile_whose_parts_do_not_match_is_refused(tmp_path: Path) -> None:
    law = fit(points((0.1, 0.2)))
    good: dict[str, Any] = {
        "model": "m",
        "mode": "cpu",
        "measured": {
            "date": "2026-11-21", "device": "x", "threads": 1, "dtype": "float32", "source": "s",
            "parameters": 1, "modality": "text", "import_s": 0, "weights_s": 0, "first_call_s": 0, "ram_mb": 0,
            "vram_mb": 0,
        },
        "law": law.model_dump(),
        "points": [p.model_dump() for p in points((0.1, 0.2))],
    }  # fmt: skip
    assert ProfileFile.model_validate(good).entry().theta == law.theta
    with pytest.raises(ValueError, match="must have the same length"):
        ProfileFile.model_validate(good | {"points": [{**good["points"][0], "x": [1.0]}]})


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--modality", "txt"], "did you mean 'text'"),
        (["--inputs", "1,x"], "is not a list of numbers"),
        (["--outputs", "0"], "at least 1"),
        (["--inputs", "4000,4001", "--outputs", "1,2"], "do not fit"),
        (["--threads", "2", "--dtype", "float8"], "did you mean 'float32'"),
    ],
)
def test_wrong_options_are_one_clear_error_and_no_file(
    options: list[str], said: str, tiny: Path, tmp_path: Path
) -> None:
    assert (
        said
        in edgebed(
            "profile", str(tiny / "gpt2"), str(tmp_path / "p.yaml"), "--model", "m", *options, code=2
        ).stderr
    )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("model", "options", "said"),
    [
        ("openai-community/gpt2", [], "--model: must be a name of letters"),
        ("a" * 101, [], "--model: must be a name of letters"),
        ("m", ["--inputs", "8", "--outputs", "8"], "measure more sizes"),
        ("m", ["--inputs", "8,16", "--outputs", "4,8", "--repeats", "1"], ""),
        ("m", ["--modality", "caption", "--prompts", "2", "--repeats", "1"], "measure more sizes"),
    ],
)
def test_what_no_profile_can_hold_is_told_before_anything_is_loaded(
    model: str, options: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(name: str) -> Any:
        raise ConfigError(f"began to load {name}")

    monkeypatch.setattr("edgebed.profile.measuring.backend_class", load)
    arguments = ("profile", "openai-community/gpt2", str(tmp_path / "p.yaml"), "--model", model, *options)
    told = edgebed(*arguments, code=2).stderr
    assert (said or "began to load transformers") in told
    assert ("began to load" in told) == (not said)
