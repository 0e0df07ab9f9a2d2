"""Checkpoints that the project makes itself: the true architectures with random weights, tokenizers included.

Tiny ones exercise every line of the loading and serving code in seconds; full-size ones cost what the published
weights cost, in time and memory, and say nothing sensible. Shapes are those of the published configurations:
GPT-2 (Radford et al. 2019, 124M and 774M), BLIP captioning large (Li et al. 2022, 470M) and Stable Diffusion v1.5
(Rombach et al. 2022). torch is only imported when one is made.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from edgebed.models import vocabularies
from emulation.files import ConfigError, did_you_mean
from serve_apps.engines.needs import need

Kind = Literal["causal", "caption", "diffusion"]
Dtype = Literal["float32", "float16", "bfloat16"]
Channels = tuple[int, int, int, int]
END = "<|endoftext|>"
START = "<|startoftext|>"
BERT_MARKS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[DEC]", "[ENC]")


@dataclass(frozen=True, slots=True)
class Shape:
    """What is built: the kind of model, and its measures (keys are those of the libraries' own configurations)."""

    kind: Kind
    vocabulary: int | None
    """Tokens; None: as many as the made vocabulary has."""
    sizes: Mapping[str, Any]
    """`causal`: GPT2Config. `caption`: text, vision. `diffusion`: text, unet, vae."""


def _gpt2(layers: int, width: int, heads: int, context: int, vocabulary: int | None) -> Shape:
    sizes = {"n_layer": layers, "n_embd": width, "n_head": heads, "n_positions": context}
    return Shape("causal", vocabulary, sizes)


def _blip(
    vocabulary: int | None, text: tuple[int, int, int, int, int], vision: tuple[int, int, int, int, int, int]
) -> Shape:
    """Width, layers, heads and inner width of both parts; then positions of the text, sides of picture and patch."""
    common = ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")
    words = dict(zip((*common, "max_position_embeddings"), text, strict=True))
    picture = dict(zip((*common, "image_size", "patch_size"), vision, strict=True))
    return Shape("caption", vocabulary, {"text": words, "vision": picture})


def _diffusion(
    unet: Channels,
    vae: Channels,
    text: dict[str, Any],
    sample: int,
    norm_groups: int,
    heads: int,
    size: int | None,
) -> Shape:
    """Stable Diffusion: four levels each in the U-Net and in the VAE, which makes pictures 8 times smaller."""
    denoiser = {
        "block_out_channels": unet, "cross_attention_dim": text["hidden_size"], "sample_size": sample,
        "norm_num_groups": norm_groups, "attention_head_dim": heads,
    }  # fmt: skip
    coder = {"block_out_channels": vae, "norm_num_groups": norm_groups, "sample_size": 8 * sample}
    return Shape("diffusion", size, {"text": text, "unet": denoiser, "vae": coder})


TINY: dict[str, Shape] = {
    "gpt2": _gpt2(2, 96, 3, 2048, None),
    "gpt2-large": _gpt2(6, 160, 5, 2048, None),
    "blip": _blip(None, (48, 2, 3, 96, 128), (64, 2, 4, 128, 64, 16)),
    "sd": _diffusion(
        (16, 32, 32, 32),
        (8, 16, 16, 16),
        {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64},
        16, 8, 1, None,
    ),
}  # fmt: skip
"""All four of the papers, each small enough to be made in seconds; `gpt2-large` stands to `gpt2` as the true one
does. Attention heads of the two are 32 wide, the least that vLLM computes on a CPU."""

FULL: dict[str, Shape] = {
    "gpt2": _gpt2(12, 768, 12, 1024, 50257),
    "gpt2-large": _gpt2(36, 1280, 20, 1024, 50257),
    "blip-large": _blip(30524, (768, 12, 12, 3072, 512), (1024, 24, 16, 4096, 384, 16)),
    "sd-v1-5": _diffusion(
        (320, 640, 1280, 1280),
        (128, 256, 512, 512),
        {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072},
        64, 32, 8, 49408,
    ),
}  # fmt: skip
"""As large as the published ones."""


@dataclass(frozen=True, slots=True)
class Made:
    """A checkpoint on disk."""

    name: str
    folder: Path
    parameters: int
    megabytes: float


def make_tiny(folder: Path, seed: int = 0) -> list[Made]:
    """All tiny checkpoints, one folder each. Written whole or not at all.

    Raises `ConfigError` if the folder is there already or a library is missing.
    """

    def fill(building: Path) -> list[Made]:
        return [_make(name, shape, building / name, seed, "float32") for name, shape in TINY.items()]

    return whole(folder, fill)


def make_random(name: str, folder: Path, seed: int = 0, dtype: Dtype = "float32") -> Made:
    """A full-size checkpoint with random weights. Written whole or not at all.

    Raises `ConfigError` for an unknown name, if the folder is there already or a library is missing.
    """
    if name not in FULL:
        raise ConfigError(f"unknown model {name!r}; {did_you_mean(name, list(FULL))}")
    return whole(folder, lambda building: [_make(name, FULL[name], building, seed, dtype)])[0]


def whole(folder: Path, fill: Callable[[Path], list[Made]]) -> list[Made]:
    """Fill a folder beside the wanted one, and give it its name at the end."""
    if folder.exists():
        raise ConfigError(f"{folder}: is there already; remove it or name another folder")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        building = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    except OSError as error:
        raise ConfigError(f"{folder}: cannot be written: {error}") from error
    try:
        made = fill(building)
        building.chmod(0o755)
        building.rename(folder)
    except OSError as error:
        raise ConfigError(f"{folder}: cannot be written: {error}") from error
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return [Made(m.name, folder / m.folder.relative_to(building), m.parameters, m.megabytes) for m in made]


def count(name: str) -> int:
    """Parameters of a full-size model, without making one."""
    with need("torch").device("meta"):
        return _parameters(_BUILDERS[FULL[name].kind](FULL[name]))


@dataclass(frozen=True, slots=True)
class _Built:
    """A model in memory: its modules, and everything that is saved (has `save_pretrained`)."""

    modules: tuple[Any, ...]
    saved: tuple[Any, ...]


def _make(name: str, shape: Shape, folder: Path, seed: int, dtype: Dtype) -> Made:
    torch = need("torch")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        built = _BUILDERS[shape.kind](shape)
    for module in built.modules:
        module.to(getattr(torch, dtype))
    for part in built.saved:
        part.save_pretrained(folder)
    size = sum(f.stat().st_size for f in folder.rglob("*") if f.is_file())
    return Made(name, folder, _parameters(built), size / 1e6)


def _parameters(built: _Built) -> int:
    return sum(p.numel() for module in built.modules for p in module.parameters())


def _causal(shape: Shape) -> _Built:
    transformers = need("transformers")
    vocabulary, merges = vocabularies.gpt2(END, shape.vocabulary)
    tokenizer = transformers.GPT2Tokenizer(
        vocab=vocabulary, merges=merges, model_max_length=shape.sizes["n_positions"]
    )
    end = vocabulary[END]
    config = transformers.GPT2Config(
        vocab_size=len(vocabulary), bos_token_id=end, eos_token_id=end, **shape.sizes
    )
    model = transformers.GPT2LMHeadModel(config)
    return _Built((model,), (model, tokenizer))


def _caption(shape: Shape) -> _Built:
    transformers = need("transformers")
    vocabulary = vocabularies.bert(BERT_MARKS, shape.vocabulary)
    tokenizer = transformers.BertTokenizer(vocab=vocabulary)
    marks = {
        "vocab_size": len(vocabulary), "bos_token_id": vocabulary["[DEC]"],
        "eos_token_id": vocabulary["[SEP]"], "sep_token_id": vocabulary["[SEP]"],
        "pad_token_id": vocabulary["[PAD]"],
        "encoder_hidden_size": shape.sizes["vision"]["hidden_size"],
    }  # fmt: skip
    config = transformers.BlipConfig(
        text_config={**shape.sizes["text"], **marks}, vision_config=dict(shape.sizes["vision"])
    )
    model = transformers.BlipForConditionalGeneration(config)
    side = shape.sizes["vision"]["image_size"]
    pictures = transformers.BlipImageProcessorPil(size={"height": side, "width": side})
    return _Built((model,), (model, transformers.BlipProcessor(pictures, tokenizer)))


def _diffusers(shape: Shape) -> _Built:
    transformers, diffusers = need("transformers"), need("diffusers")
    vocabulary, merges = vocabularies.clip(START, END, shape.vocabulary)
    tokenizer = transformers.CLIPTokenizer(
        vocab=vocabulary, merges=merges, bos_token=START, eos_token=END, pad_token=END, unk_token=END,
        model_max_length=77,
    )  # fmt: skip
    text = transformers.CLIPTextConfig(
        vocab_size=len(vocabulary), bos_token_id=vocabulary[START], eos_token_id=vocabulary[END],
        pad_token_id=vocabulary[END], hidden_act="quick_gelu", **shape.sizes["text"],
    )  # fmt: skip
    vae = shape.sizes["vae"]
    levels = len(vae["block_out_channels"])
    pipeline = diffusers.StableDiffusionPipeline(
        text_encoder=transformers.CLIPTextModel(text),
        tokenizer=tokenizer,
        unet=diffusers.UNet2DConditionModel(in_channels=4, out_channels=4, **shape.sizes["unet"]),
        vae=diffusers.AutoencoderKL(
            down_block_types=("DownEncoderBlock2D",) * levels,
            up_block_types=("UpDecoderBlock2D",) * levels,
            layers_per_block=2, latent_channels=4, **vae,
        ),
        scheduler=diffusers.PNDMScheduler(
            beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", skip_prk_steps=True,
            set_alpha_to_one=False, steps_offset=1,
        ),
        safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip
    return _Built((pipeline.text_encoder, pipeline.unet, pipeline.vae), (pipeline,))


_BUILDERS: dict[Kind, Callable[[Shape], _Built]] = {
    "causal": _causal,
    "caption": _caption,
    "diffusion": _diffusers,
}
