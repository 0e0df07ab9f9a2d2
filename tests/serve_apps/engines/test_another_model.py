"""The how-to's model that is not one of the four: its one file, against the library's own way of running the model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from emulation.domain.cluster import TestbedConfig
from serve_apps.engines.caption import CaptionSettings, read_picture
from serve_apps.replica.choice import checked, real_models
from serve_apps.wire.ask import BadAsk
from tests.build.works import answer, picture_uri, work

pytestmark = pytest.mark.models

HOW_TO = Path(__file__).parents[3] / "docs" / "how-to"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> Path:
    """A tiny ViT-GPT2 with random weights."""
    import torch
    import transformers

    folder = tmp_path_factory.mktemp("vit-gpt2")
    tokenizer = transformers.AutoTokenizer.from_pretrained(tiny / "gpt2")
    end = tokenizer.eos_token_id
    torch.manual_seed(0)
    sees = transformers.ViTConfig(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64, image_size=32,
        patch_size=16,
    )  # fmt: skip
    writes = transformers.GPT2Config(
        vocab_size=len(tokenizer), n_embd=48, n_layer=2, n_head=3, n_positions=64, bos_token_id=end,
        eos_token_id=end, add_cross_attention=True, is_decoder=True,
    )  # fmt: skip
    config = transformers.VisionEncoderDecoderConfig.from_encoder_decoder_configs(sees, writes)
    config.decoder_start_token_id = end
    transformers.VisionEncoderDecoderModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    transformers.ViTImageProcessorPil(size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def engine(checkpoint: Path) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(HOW_TO))
        from vit_gpt2 import VitGpt2Engine

    return VitGpt2Engine(CaptionSettings(source=str(checkpoint)), ("cpu",))


def test_it_says_what_the_library_generates(engine: Any, checkpoint: Path) -> None:
    import torch
    import transformers

    model = transformers.VisionEncoderDecoderModel.from_pretrained(checkpoint).eval()
    pixels = engine._pictures(images=read_picture(picture_uri()), return_tensors="pt")["pixel_values"]
    with torch.inference_mode():
        ids = model.generate(pixels, max_new_tokens=12, do_sample=False, use_cache=False)
    said = answer(engine, work(pictures=(picture_uri(),), max_tokens=12))
    assert said.text == engine._tokenizer.decode(ids[0], skip_special_tokens=True)
    assert said.tokens > 2


def test_a_picture_that_cannot_be_read_is_the_clients_mistake(engine: Any) -> None:
    with pytest.raises(BadAsk, match="none of PNG"):
        engine.check(work(pictures=("data:image/png;base64,AAAA",)))


def test_it_is_one_entry_of_a_testbed(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(HOW_TO))
    entry = {"model": "captions", "backend": "vit_gpt2:VitGpt2", "settings": {"source": str(checkpoint)}}
    testbed = TestbedConfig.model_validate(
        {
            "name": "one",
            "models": [{"id": "captions", "modality": "caption", "modes": ["cpu"]}],
            "nodes": [{"id": "n"}],
            "profile": [{"model": "captions", "mode": "cpu", "theta": [0.5]}],
            "backends": [entry],
        }
    )
    assert real_models(checked(testbed, "emulated", 1.0), "n", "emulated") == ("captions",)
