"""The packaged profiles: where each comes from, that testbeds take them by name, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from edgebed.commands.main import app
from edgebed.profile.fit import fit
from edgebed.profile.published import published, write
from emulation.domain.cluster import TestbedConfig
from emulation.domain.profile import ProfileFile
from emulation.files import ConfigError, list_profiles, load_profile, load_testbed

PACKAGED = Path(__file__).parents[3] / "emulation" / "testbeds" / "profiles"


def inventory(folder: Path, *profile: Any) -> TestbedConfig:
    raw = {
        "name": "t",
        "models": [{"id": "gpt2", "modality": "text", "features": "tokens"}],
        "nodes": [{"id": "n", "cores": 1, "gpus": [{}]}, {"id": "o", "cores": 1}],
        "profile": list(profile),
    }
    (folder / "testbed.yaml").write_text(yaml.safe_dump(raw))
    return load_testbed(folder / "testbed.yaml")


@pytest.mark.parametrize("name", list_profiles())
def test_every_packaged_profile_says_where_it_comes_from_and_when(name: str) -> None:
    found = load_profile(name)
    origin = found.measured or found.derived or found.run
    assert origin is not None
    assert origin.date.startswith("202")
    assert found.device
    assert found.entry().source == found.said
    assert found.law.theta == (fit(found.points).theta if found.points else found.law.theta)


def test_what_is_derived_is_what_the_derivation_gives_today(tmp_path: Path) -> None:
    written = {p.relative_to(tmp_path): p.read_bytes() for p in write(tmp_path)}
    packaged = {p.relative_to(PACKAGED): p.read_bytes() for p in PACKAGED.glob("mlperf*/*.yaml")}
    assert written == packaged


def test_the_first_papers_pool_has_the_derived_laws() -> None:
    laws = {tuple(round(c, 12) for c in p.law.theta) for p in published().values()}
    pool = load_testbed("e3-pool")
    assert {tuple(round(c, 12) for c in e.theta) for e in pool.profile} <= laws


def test_a_testbed_takes_a_packaged_profile_by_name(tmp_path: Path) -> None:
    found = inventory(tmp_path, "epyc-1-thread/gpt2")
    assert found.theta("n", "gpt2", "cpu") == load_profile("epyc-1-thread/gpt2").law.theta
    assert "random weights" in found.profile[0].source


def test_a_testbed_may_call_model_and_node_otherwise(tmp_path: Path) -> None:
    named = {"profile": "mlperf-v5.1/jetson-agx-thor-llama3.1-8b", "model": "gpt2", "node": "n"}
    found = inventory(tmp_path, named, {"model": "gpt2", "mode": "cpu", "theta": [0.1, 0.2]})
    assert found.theta("n", "gpt2", "gpu") == load_profile(str(named["profile"])).law.theta
    assert found.theta("o", "gpt2", "gpu") is None


def test_a_file_beside_the_testbed_comes_before_a_packaged_name(tmp_path: Path) -> None:
    law = load_profile("epyc-1-thread/gpt2").model_dump(mode="json", exclude_none=True)
    law["law"]["theta"] = [1.0, 2.0]
    (tmp_path / "epyc-1-thread").mkdir()
    (tmp_path / "epyc-1-thread" / "gpt2").write_text(yaml.safe_dump(law))
    assert inventory(tmp_path, "epyc-1-thread/gpt2").theta("n", "gpt2", "cpu") == (1.0, 2.0)


@pytest.mark.parametrize(
    ("item", "said"),
    [
        ("epyc-1-thread/gpt3", "did you mean 'epyc-1-thread/gpt2'"),
        ({"profile": "gone.yaml"}, "no such profile file"),
        ({"profile": "epyc-1-thread/gpt2", "modle": "gpt2"}, "did you mean 'model'"),
        ({"profile": "epyc-1-thread/gpt2", "model": "x"}, "profile names unknown model 'x'"),
        ("mlperf-v4.0/l4-sdxl", "profile names unknown model 'sdxl'"),
    ],
)
def test_what_no_profile_is_found_for_is_one_clear_error(item: Any, said: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=said):
        inventory(tmp_path, item)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"measured": None}, "needs one of measured, run and derived, has none"),
        ({"derived": {}}, "needs one of"),
        ({"points": []}, "a fitted law has points"),
        ({"law": {"theta": [1.0, 1.0]}}, "a fitted law has points"),
    ],
)
def test_a_profile_says_where_it_comes_from_once_and_a_fit_shows_its_points(
    change: dict[str, Any], said: str
) -> None:
    good = load_profile("epyc-1-thread/gpt2").model_dump(mode="json")
    derived = load_profile("mlperf-v4.0/l4-sdxl").model_dump(mode="json")["derived"]
    changed = {**good, **{k: derived if k == "derived" else v for k, v in change.items()}}
    ProfileFile.model_validate(good)
    with pytest.raises(ValueError, match=said):
        ProfileFile.model_validate(changed)


def test_the_command_lists_every_profile_and_shows_one() -> None:
    listed = CliRunner().invoke(app, ["profiles", "--json"])
    assert [p["name"] for p in json.loads(listed.stdout)] == list_profiles()
    shown = CliRunner().invoke(app, ["profiles", "mlperf-v5.1/jetson-agx-thor-llama3.1-8b"])
    assert "inputs of 1024 tokens" in shown.stdout
    assert "0.0219647" in shown.stdout
    table = CliRunner().invoke(app, ["profiles"])
    assert table.exit_code == 0
    assert "epyc" in table.stdout
    gone = CliRunner().invoke(app, ["profiles", "gpt5"])
    assert isinstance(gone.exception, ConfigError)
