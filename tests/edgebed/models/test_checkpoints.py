"""`edgebed models`: all four architectures, made here, loaded by the libraries' own `from_pretrained`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from edgebed.commands.main import app
from edgebed.models import checkpoints
from emulation.files import ConfigError

pytestmark = pytest.mark.models

SAID = "the edge of a network serves what is near, or 7 zebras: é!"


def test_a_listed_word_is_one_token_and_any_text_comes_back_whole(tiny: Path) -> None:
    import transformers

    for name in ("gpt2", "gpt2-large"):
        tokenizer = transformers.AutoTokenizer.from_pretrained(tiny / name)
        assert tokenizer.decode(tokenizer(SAID)["input_ids"]) == SAID
        assert len(tokenizer(" the edge of a network")["input_ids"]) == 5


def test_the_large_tiny_gpt2_is_larger_as_the_true_one_is(tiny: Path) -> None:
    import transformers

    small, large = (transformers.AutoConfig.from_pretrained(tiny / n) for n in ("gpt2", "gpt2-large"))
    assert large.n_layer == 3 * small.n_layer
    assert large.n_embd / small.n_embd == pytest.approx(1280 / 768)


@pytest.mark.slow
def test_weights_are_the_seeds_and_nobody_elses_draws_change(tmp_path: Path, tiny: Path) -> None:
    import torch

    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    checkpoints.make_tiny(tmp_path / "again")
    assert torch.rand(1) == expected
    assert _weights(tmp_path / "again") == _weights(tiny)
    checkpoints.make_tiny(tmp_path / "other", seed=1)
    assert _weights(tmp_path / "other") != _weights(tiny)


def test_the_command_says_what_it_made(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["models", "make-tiny", str(tmp_path / "m"), "--json"])
    assert result.exit_code == 0
    rows = json.loads(result.stdout)
    assert [r["name"] for r in rows] == ["gpt2", "gpt2-large", "blip", "sd"]
    assert all(Path(r["folder"]).is_dir() and r["parameters"] > 100_000 for r in rows)
    assert sum(r["megabytes"] for r in rows) < 20


def test_a_folder_that_is_there_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("kept")
    with pytest.raises(ConfigError, match="is there already"):
        checkpoints.make_tiny(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["mine"]


def test_a_making_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> object:
        raise OSError("no space left on device")

    monkeypatch.setitem(checkpoints._BUILDERS, "causal", full)
    with pytest.raises(ConfigError, match="no space left"):
        checkpoints.make_tiny(tmp_path / "tiny")
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_model_is_named_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean 'gpt2-large'"):
        checkpoints.make_random("gpt2-larg", tmp_path / "m")


@pytest.mark.parametrize(
    ("name", "millions"),
    [
        ("gpt2", 124.4),
        ("gpt2-large", 774.0),
        ("blip-large", 469.7 - 30524 * 768e-6),  # the published figure counts the tied output matrix apart
        ("sd-v1-5", 1066.2),
    ],
)
def test_full_size_models_have_the_published_number_of_parameters(name: str, millions: float) -> None:
    assert checkpoints.count(name) / 1e6 == pytest.approx(millions, abs=0.1)


def _weights(folder: Path) -> list[bytes]:
    return [p.read_bytes() for p in sorted(folder.rglob("*.safetensors"))]
