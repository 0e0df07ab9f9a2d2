"""`edgebed models from-gguf`: a file's weights, tokenizer and window come back; what is none is refused in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from edgebed.commands.main import app
from edgebed.models.gguf import from_gguf
from emulation.domain.cluster import TestbedConfig
from emulation.files import ConfigError

pytestmark = pytest.mark.models

WIDTH, INNER, HEADS, LAYERS, WINDOW = 32, 64, 2, 2, 128
WORDS = ["<|end|>", "a", "b", "c", "ab", "Ġ", "Ġa", "Ġb"]


def write_gguf(path: Path) -> dict[str, Any]:
    """A Llama of 30,000 parameters as a GGUF file of plain numbers; its embedding comes back."""
    gguf = pytest.importorskip("gguf")
    rng = np.random.default_rng(0)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("tiny")
    writer.add_context_length(WINDOW)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(WORDS))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(WORDS)
    writer.add_token_types([gguf.TokenType.CONTROL] + [gguf.TokenType.NORMAL] * (len(WORDS) - 1))
    writer.add_token_merges(["a b", "Ġ a", "Ġ b"])
    for add in (writer.add_bos_token_id, writer.add_eos_token_id, writer.add_unk_token_id):
        add(0)

    def drawn(*shape: int) -> Any:
        return rng.normal(0.0, 0.1, shape).astype(np.float32)

    shapes = {
        "attn_norm": (WIDTH,), "attn_q": (WIDTH, WIDTH), "attn_k": (WIDTH, WIDTH), "attn_v": (WIDTH, WIDTH),
        "attn_output": (WIDTH, WIDTH), "ffn_norm": (WIDTH,), "ffn_gate": (INNER, WIDTH), "ffn_up": (INNER, WIDTH),
        "ffn_down": (WIDTH, INNER),
    }  # fmt: skip
    tensors = {"token_embd.weight": drawn(len(WORDS), WIDTH), "output_norm.weight": drawn(WIDTH)}
    tensors |= {f"blk.{i}.{n}.weight": drawn(*s) for i in range(LAYERS) for n, s in shapes.items()}
    tensors["output.weight"] = drawn(len(WORDS), WIDTH)
    for name, values in tensors.items():
        writer.add_tensor(name, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return tensors


def test_weights_tokenizer_and_window_are_those_of_the_file(tmp_path: Path) -> None:
    import transformers

    tensors = write_gguf(tmp_path / "tiny.gguf")
    made, entry = from_gguf(tmp_path / "tiny.gguf", tmp_path / "models" / "tiny")
    model = transformers.AutoModelForCausalLM.from_pretrained(made.folder)
    weights = model.get_input_embeddings().weight.detach().numpy()
    np.testing.assert_array_equal(weights, tensors["token_embd.weight"])
    assert made.parameters == sum(values.size for values in tensors.values())
    tokenizer = transformers.AutoTokenizer.from_pretrained(made.folder)
    assert tokenizer.decode(tokenizer("ab a")["input_ids"]) == "ab a"
    assert entry.context_tokens == WINDOW


def test_the_command_says_what_a_testbed_must_say_and_it_is_one(tmp_path: Path) -> None:
    write_gguf(tmp_path / "tiny.gguf")
    call = ["models", "from-gguf", str(tmp_path / "tiny.gguf"), "--out", str(tmp_path / "tiny"), "--json"]
    result = CliRunner().invoke(app, call)
    assert result.exit_code == 0, result.output
    entry = json.loads(result.stdout)["testbed"]
    law = {"model": "tiny", "mode": "cpu", "theta": [0.001, 0.01], "source": "a test's own"}
    bed = TestbedConfig.model_validate(
        {
            "name": "t",
            "nodes": [{"id": "n", "ram_gb": 8}],
            "profile": [law],
            **yaml.safe_load(yaml.safe_dump(entry)),
        }
    )
    assert bed.backends[0].settings["source"] == str(tmp_path / "tiny")
    with pytest.raises(ConfigError, match="is there already"):
        from_gguf(tmp_path / "tiny.gguf", tmp_path / "tiny")


@pytest.mark.parametrize("content", [b"", b"GGML and more", b"GGUF cut off"])
def test_what_is_no_gguf_file_is_refused_and_nothing_is_made(content: bytes, tmp_path: Path) -> None:
    if content.startswith(b"GGUF"):
        pytest.importorskip("gguf")
    (tmp_path / "file.gguf").write_bytes(content)
    with pytest.raises(ConfigError, match=r"file\.gguf"):
        from_gguf(tmp_path / "file.gguf", tmp_path / "made")
    assert [p.name for p in tmp_path.iterdir()] == ["file.gguf"]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nosuch\.gguf"):
        from_gguf(tmp_path / "nosuch.gguf", tmp_path / "made")


def test_a_folder_whose_name_no_model_can_have_is_refused_before_the_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "file.gguf").write_bytes(b"GGUF cut off")
    with pytest.raises(ConfigError, match="--out: must be a name of letters.* not 'my model'"):
        from_gguf(tmp_path / "file.gguf", tmp_path / "my model")
