"""The engines on tiny checkpoints: what a client asks for is what the true libraries do."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from shutil import copytree
from typing import Any

import orjson
import pytest
from PIL import Image

from emulation.files import ConfigError
from serve_apps.engines.caption import CaptionEngine, CaptionSettings
from serve_apps.engines.decoding import Decoder
from serve_apps.engines.loading import check_source
from serve_apps.engines.pacer import Pacer, Stopped
from serve_apps.engines.picture import PictureEngine, PictureSettings
from serve_apps.engines.prompting import TextSettings
from serve_apps.engines.text import TextEngine
from serve_apps.replica.real import Diffusers, Transformers
from serve_apps.wire.ask import BadAsk
from serve_apps.wire.messages import Pace
from tests.build.works import PROMPT, Heard, answer, picture_uri, text_work, work

pytestmark = pytest.mark.models


@pytest.fixture(scope="module")
def text(tiny: Path) -> TextEngine:
    return TextEngine(TextSettings(source=str(tiny / "gpt2")), ("cpu",))


@pytest.fixture(scope="module")
def caption(tiny: Path) -> CaptionEngine:
    return CaptionEngine(CaptionSettings(source=str(tiny / "blip")), ("cpu",))


@pytest.fixture(scope="module")
def picture(tiny: Path) -> PictureEngine:
    return PictureEngine(PictureSettings(source=str(tiny / "sd"), steps=3), ("cpu",))


# -- text


def test_greedy_text_is_what_the_library_itself_generates(text: TextEngine, tiny: Path) -> None:
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(tiny / "gpt2")
    model = transformers.AutoModelForCausalLM.from_pretrained(tiny / "gpt2")
    given = tokenizer(PROMPT, return_tensors="pt")
    expected = model.generate(**given, max_new_tokens=24, do_sample=False)[0, given["input_ids"].shape[1] :]
    found = answer(text, text_work(temperature=0.0))
    assert found.text == tokenizer.decode(expected, skip_special_tokens=True)
    assert found.prompt_tokens == given["input_ids"].shape[1]


def test_a_stream_is_the_whole_answer_in_pieces(text: TextEngine) -> None:
    heard = Heard()
    piece = text.run(text_work(max_tokens=40), 0, text.pacer(), heard)
    assert heard.text == piece.text
    assert heard.tokens == piece.tokens == 40
    assert len(heard.said) > 20
    assert piece.finish == "length"


def test_another_attempt_says_the_same_and_a_seed_overrules_the_id(text: TextEngine) -> None:
    first, again = (answer(text, text_work(1)).text for _ in range(2))
    assert first == again != answer(text, text_work(2)).text
    assert answer(text, text_work(1, seed=3)).text == answer(text, text_work(2, seed=3)).text


def test_a_stop_sequence_cuts_the_answer_before_it(text: TextEngine) -> None:
    whole = answer(text, text_work(1)).text
    stop = whole[10:14]
    cut = answer(text, text_work(1, stop=(stop,)))
    assert cut.text == whole[: whole.index(stop)]
    assert cut.finish == "stop"
    assert cut.tokens < 24


def test_a_checkpoint_says_how_it_wants_to_be_sampled_where_the_client_does_not(
    text: TextEngine, tiny: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "gpt2"
    copytree(tiny / "gpt2", folder)
    config = orjson.loads((folder / "generation_config.json").read_bytes())
    (folder / "generation_config.json").write_bytes(orjson.dumps({**config, "do_sample": True, "top_k": 1}))
    own = TextEngine(TextSettings(source=str(folder)), ("cpu",))
    greedy = answer(text, text_work(1, temperature=0.0)).text
    assert answer(own, text_work(1)).text == greedy != answer(text, text_work(1)).text


def test_an_answer_is_at_least_as_long_as_it_is_wanted(
    text: TextEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = frozenset(range(0, 990, 2))  # every second token
    monkeypatch.setattr(text, "_decoder", Decoder(text._prompts.decode, ends, temperature=1.0))
    assert all(12 <= answer(text, text_work(n, min_tokens=12)).tokens <= 24 for n in range(1, 8))


def test_a_prompt_may_be_tokens_of_the_models_own(text: TextEngine) -> None:
    ids = text._prompts.ids(text_work(), 0)
    same = answer(text, text_work(inputs=(tuple(ids),), temperature=0.0))
    assert same.text == answer(text, text_work(temperature=0.0)).text
    assert same.prompt_tokens == len(ids)
    with pytest.raises(BadAsk, match="not one of the model's") as error:
        text.check(text_work(inputs=((5, 2**30),), said_in="prompt"))
    assert error.value.fault.param == "prompt"


def test_the_end_token_ends_an_answer_unless_it_is_ignored(
    text: TextEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = frozenset(range(0, 990, 2))  # every second token
    monkeypatch.setattr(text, "_decoder", Decoder(text._prompts.decode, ends, temperature=1.0))
    ended = answer(text, text_work(1))
    assert ended.finish == "stop"
    assert ended.tokens < 24
    assert answer(text, text_work(1, ignore_eos=True)).tokens == 24


def test_a_prompt_that_does_not_fit_is_refused_with_its_length(text: TextEngine) -> None:
    with pytest.raises(BadAsk, match=r"tokens of prompt and 24 asked for do not fit in the model's 2048"):
        text.check(text_work(inputs=("the " * 2040,)))
    with pytest.raises(BadAsk, match="do not fit") as error:
        text.check(text_work(inputs=("the " * 3000,), max_tokens=None))
    assert error.value.fault.param == "messages"


def test_without_a_limit_an_answer_is_as_long_as_settings_and_context_allow(text: TextEngine) -> None:
    found = answer(text, text_work(inputs=("the " * 2040,), max_tokens=None, ignore_eos=True))
    assert found.prompt_tokens + found.tokens == 2048


def test_every_prompt_of_a_batch_has_an_answer_of_its_own(text: TextEngine) -> None:
    batch = text_work(prompts=2, inputs=(PROMPT, "a cat"), temperature=0.0)
    assert text.choices(batch) == 2
    assert answer(text, batch, 1).text == answer(text, text_work(inputs=("a cat",), temperature=0.0)).text
    assert answer(text, batch, 0).text != answer(text, batch, 1).text


def test_reading_and_writing_are_timed_apart(text: TextEngine) -> None:
    pacer = text.pacer()
    text.run(text_work(max_tokens=1), 0, pacer, Heard())
    assert pacer.timing().prefill_s > 0
    assert pacer.timing().decode_s == 0
    text.run(text_work(max_tokens=9), 0, pacer, Heard())
    assert pacer.timing().decode_s > 0


def test_work_that_is_stopped_ends_at_its_next_token(text: TextEngine) -> None:
    pacer, heard = text.pacer(), Heard()

    def stop_after_five(said: str, tokens: int) -> None:
        heard(said, tokens)
        if heard.tokens >= 5:
            pacer.set(Pace(mode="cpu", factors=None))

    with pytest.raises(Stopped):
        text.run(text_work(max_tokens=500), 0, pacer, stop_after_five)
    assert 5 <= heard.tokens <= 8


# -- captions


def test_a_greedy_caption_is_what_the_library_itself_generates(caption: CaptionEngine, tiny: Path) -> None:
    import transformers

    processor = transformers.BlipProcessor.from_pretrained(tiny / "blip")
    model = transformers.BlipForConditionalGeneration.from_pretrained(tiny / "blip")
    image = Image.new("RGB", (40, 24), (200, 30, 60))
    expected = model.generate(**processor(images=image, return_tensors="pt"), max_new_tokens=12)[0, 1:]
    found = answer(caption, work(pictures=(picture_uri(),), max_tokens=12))
    assert found.text == processor.tokenizer.decode(expected, skip_special_tokens=True)
    assert found.tokens == 12


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_pictures_of_every_common_kind_are_read(caption: CaptionEngine, kind: str) -> None:
    assert answer(caption, work(pictures=(picture_uri(kind=kind),), max_tokens=2)).tokens >= 1


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("https://example.org/cat.png", "is not a data URI"),
        ("data:image/png;base64,@@@", "cannot be read"),
        ("data:image/png;base64,aGVsbG8=", "none of PNG"),
        (picture_uri()[:-60], "cannot be read"),
    ],
)
def test_a_picture_that_cannot_be_read_is_refused(caption: CaptionEngine, uri: str, said: str) -> None:
    with pytest.raises(BadAsk, match=said):
        caption.check(work(pictures=(picture_uri(), uri)))


# -- pictures


@pytest.mark.slow
def test_a_picture_has_the_asked_size_and_belongs_to_the_seed(picture: PictureEngine) -> None:
    given: dict[str, Any] = {"inputs": ("a cat",), "size": (72, 40)}
    first = answer(picture, work(1, seed=1, **given)).image
    assert Image.open(BytesIO(first)).size == (72, 40)
    assert Image.open(BytesIO(first)).format == "PNG"
    assert first == answer(picture, work(2, seed=1, **given)).image
    assert first != answer(picture, work(1, seed=2, **given)).image
    assert first != answer(picture, work(1, seed=1, prompts=2, **given), 1).image


@pytest.mark.slow
def test_guidance_and_steps_change_the_picture(picture: PictureEngine) -> None:
    given: dict[str, Any] = {"inputs": ("a cat",), "size": (64, 64), "seed": 1}
    usual = answer(picture, work(**given)).image
    assert answer(picture, work(guidance=7.5, steps=3, **given)).image == usual
    assert answer(picture, work(guidance=2.0, **given)).image != usual
    assert answer(picture, work(steps=5, **given)).image != usual


class CountedPacer(Pacer):
    """Counts pieces of work."""

    laps = 0

    def lap(self, coefficient: int = 0) -> None:
        self.laps += 1
        if self.laps == 2:
            self.stop()
        super().lap(coefficient)


def test_a_picture_that_is_stopped_ends_at_its_next_step(picture: PictureEngine) -> None:
    pacer = CountedPacer()
    with pytest.raises(Stopped):
        picture.run(work(inputs=("a cat",), size=(64, 64), steps=50), 0, pacer, Heard())
    assert pacer.laps == 2
    assert answer(picture, work(inputs=("a cat",), size=(64, 64))).image  # and the next one is made


@pytest.mark.parametrize(
    ("fields", "said", "param"),
    [
        ({"size": (100, 64)}, "multiples of 8", "size"),
        ({"size": (2048, 64)}, "at most 1024", "size"),
        ({"steps": 0}, "1 to 500", "steps"),
    ],
)
def test_an_impossible_picture_is_refused(
    picture: PictureEngine, fields: dict[str, Any], said: str, param: str
) -> None:
    with pytest.raises(BadAsk, match=said) as error:
        picture.check(work(inputs=("a cat",), **fields))
    assert error.value.fault.param == param


# -- loading


def test_loading_says_what_it_cost(text: TextEngine, caption: CaptionEngine, picture: PictureEngine) -> None:
    for facts in (text.facts, caption.facts, picture.facts):
        assert min(facts.import_s, facts.weights_s, facts.first_call_s) > 0
        assert facts.parameters > 100_000
        assert (facts.device, facts.dtype, facts.vram_mb) == ("cpu", "float32", 0.0)


def test_half_precision_can_be_asked_for(tiny: Path) -> None:
    settings = TextSettings(source=str(tiny / "gpt2"), dtype="bfloat16")
    engine = TextEngine(settings, ("cpu",))
    assert engine.facts.dtype == "bfloat16"
    assert answer(engine, text_work(max_tokens=4)).tokens >= 1


def test_a_gpu_that_is_not_there_is_an_error_that_says_what_to_set(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    source = str(tiny / "gpt2")
    with pytest.raises(ConfigError, match="device: cpu"):
        TextEngine(TextSettings(source=source), ("gpu", "cpu"))
    assert TextEngine(TextSettings(source=source, device="cpu"), ("gpu",)).facts.device == "cpu"


def test_a_local_source_becomes_absolute(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tiny)
    found = check_source(TextSettings(source="gpt2", threads=2), ("torch",))
    assert (found.source, found.threads) == (str(tiny / "gpt2"), 2)


def test_a_source_that_is_nowhere_is_an_error_that_says_how_to_fetch_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ConfigError, match="hf download openai-community/gpt2 --local-dir gpt2"):
        check_source(TextSettings(source="openai-community/gpt2"), ("torch",))
    with pytest.raises(ConfigError, match="no such folder"):
        check_source(TextSettings(source=str(tmp_path / "none")), ("torch",))
    with pytest.raises(ConfigError, match="no/such/folder"):
        TextEngine(TextSettings(source="no/such/folder"), ("cpu",))


def test_a_missing_library_is_an_error_that_says_what_to_install() -> None:
    with pytest.raises(ConfigError, match=r"pip install 'edgebed\[models\]'"):
        check_source(TextSettings(source="x"), ("no_such_library",))


def test_settings_are_checked_by_the_backend_for_the_kind_of_model(tiny: Path) -> None:
    source = str(tiny / "gpt2")
    assert Transformers.checked("text", {"source": source, "threads": 2}) == {"source": source, "threads": 2}
    with pytest.raises(ConfigError, match=r"settings\.thread: unknown key 'thread'; did you mean 'threads'"):
        Transformers.checked("text", {"source": source, "thread": 2})
    with pytest.raises(ConfigError, match=r"settings\.source: is missing"):
        Transformers.checked("caption", {})
    with pytest.raises(ConfigError, match="cannot run text models"):
        Diffusers.checked("text", {"source": source})


def test_another_causal_model_with_a_chat_template_needs_no_code(tmp_path: Path, tiny: Path) -> None:
    import torch
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(tiny / "gpt2")
    tokenizer.chat_template = "{% for m in messages %}{{ m.role }}: {{ m.content }} {% endfor %}assistant:"
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2,
        num_attention_heads=2, max_position_embeddings=128, eos_token_id=tokenizer.eos_token_id,
    )  # fmt: skip
    transformers.LlamaForCausalLM(config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    engine = TextEngine(TextSettings(source=str(tmp_path)), ("cpu",))
    talk = answer(engine, text_work(turns=(("system", "be short"), ("user", "a cat"))))
    plain = answer(engine, text_work(inputs=("system: be short user: a cat assistant:",)))
    assert talk.text == plain.text
    assert talk.prompt_tokens == plain.prompt_tokens
    assert talk.tokens == 24 or talk.finish == "stop"
