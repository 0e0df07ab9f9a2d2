"""Real (tiny) models behind the gateway, one node of them beside an emulated one: what an OpenAI client sees."""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from math import prod
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest
from PIL import Image

from edgebed.runs.live import as_live, said_of
from edgebed.runs.live_run import run_plan
from emulation.domain.events import Leave, Slowdown
from emulation.domain.scenario import Scenario
from emulation.files import ConfigError
from emulation.recording import read_run
from serve_apps.testbed.live import LiveCluster
from tests.build.mixed import scenario
from tests.build.works import PROMPT, picture_uri

pytestmark = pytest.mark.models


@dataclass
class Live:
    """A run in progress on real models."""

    cluster: LiveCluster
    sdk: openai.OpenAI
    http: httpx2.Client
    folder: Path

    def ask(self, text: str = PROMPT, **fields: Any) -> Any:
        """One chat completion of the real text model."""
        given: dict[str, Any] = {"max_tokens": 16, "extra_body": {"ignore_eos": True}} | fields
        messages: Any = [{"role": "user", "content": text}]
        return self.sdk.chat.completions.create(model="gpt2", messages=messages, **given)


@pytest.fixture(scope="module")
def live(mixed: LiveCluster, checkpoints: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    folder = tmp_path_factory.mktemp("run")
    given = as_live(scenario(checkpoints, gateways=2))
    mixed.begin_run(run_plan(given, "RF", 1, folder))
    with (
        openai.OpenAI(base_url=f"{mixed.url}/v1", api_key="none", max_retries=0, timeout=60) as sdk,
        httpx2.Client(base_url=mixed.url, timeout=60) as http,
    ):
        yield Live(mixed, sdk, http, folder)


def test_every_real_replica_says_what_loading_cost(live: Live, checkpoints: Path) -> None:
    from safetensors import safe_open  # not transformers: this process would load torch too, for seconds

    with safe_open(checkpoints / "gpt2" / "model.safetensors", "numpy") as weights:
        millions = sum(prod(weights.get_slice(name).get_shape()) for name in weights.keys()) / 1e6  # noqa: SIM118
    found = {(node, model): facts for node, model, facts in live.cluster.load_facts()}
    assert set(found) == {("real", "gpt2"), ("real", "blip"), ("real", "sd")}
    assert all(f.import_s > 0 and f.ram_mb > 50 and f.threads == 1 for f in found.values())
    said = rf"{millions:.1f} M parameters, float32, cpu, 1 thread.*MB of RAM; import"
    assert re.match(said, said_of(found["real", "gpt2"]))


def test_usage_counts_the_tokens_of_the_models_own_tokenizer(live: Live, checkpoints: Path) -> None:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(checkpoints / "gpt2" / "tokenizer.json"))
    answer = live.ask("unheard-of words: é")
    assert answer.usage.prompt_tokens == len(tokenizer.encode("unheard-of words: é").ids) != 3
    assert answer.usage.completion_tokens == 16
    assert answer.choices[0].finish_reason == "length"
    assert answer.choices[0].message.content


def test_a_stream_says_what_the_whole_answer_says(live: Live) -> None:
    whole = live.ask(seed=5).choices[0].message.content
    chunks = list(live.ask(seed=5, stream=True, stream_options={"include_usage": True}))
    said = [c.choices[0].delta.content for c in chunks if c.choices and c.choices[0].delta.content]
    assert "".join(said) == whole
    assert len(said) > 5
    assert chunks[-1].usage.completion_tokens == 16


def test_seed_temperature_and_stop_are_honoured(live: Live) -> None:
    greedy = [live.ask(temperature=0.0).choices[0].message.content for _ in range(2)]
    seeded = [live.ask(seed=s).choices[0].message.content for s in (1, 1, 2)]
    assert greedy[0] == greedy[1]
    assert seeded[0] == seeded[1] != seeded[2]
    stop = seeded[0][6:9]
    cut = live.ask(seed=1, stop=stop).choices[0]
    assert cut.message.content == seeded[0][: seeded[0].index(stop)]
    assert cut.finish_reason == "stop"


def test_a_batch_of_prompts_has_one_answer_each(live: Live) -> None:
    answer = live.sdk.completions.create(
        model="gpt2",
        prompt=["a cat", "the edge"],
        max_tokens=5,
        temperature=0,
        extra_body={"ignore_eos": True},
    )
    assert [c.index for c in answer.choices] == [0, 1]
    assert answer.choices[0].text != answer.choices[1].text
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 10


def test_a_picture_is_captioned(live: Live) -> None:
    parts: Any = [
        {"type": "text", "text": "Describe the image."},
        {"type": "image_url", "image_url": {"url": picture_uri()}},
    ]
    answer = live.sdk.chat.completions.create(
        model="blip", messages=[{"role": "user", "content": parts}], max_tokens=8
    )
    assert answer.choices[0].message.content
    assert answer.usage is not None
    assert 1 <= answer.usage.completion_tokens <= 8


def test_a_picture_is_made_in_the_asked_size(live: Live) -> None:
    found = live.sdk.images.generate(
        model="sd",
        prompt="a cat",
        size="96x64",
        n=2,
        response_format="b64_json",  # type: ignore[call-overload]
        extra_body={"steps": 2, "seed": 1},
    )
    pictures = [Image.open(BytesIO(base64.b64decode(d.b64_json))) for d in found.data]
    assert [(p.size, p.format) for p in pictures] == [((96, 64), "PNG")] * 2


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        (
            "chat/completions",
            {"model": "gpt2", "messages": [{"role": "user", "content": "a " * 3000}]},
            "do not fit",
        ),
        ("images/generations", {"model": "sd", "prompt": "x", "size": "100x64"}, "multiples of 8"),
        ("images/generations", {"model": "sd", "prompt": "x", "size": "2000x64"}, "at most 1024"),
        (
            "chat/completions",
            {
                "model": "blip",
                "messages": [
                    {
                        "role": "user",
                        "content": [
                            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
                        ],
                    }
                ],
            },
            "none of PNG",
        ),
    ],
)
def test_what_the_model_cannot_do_is_a_400_that_says_so(
    live: Live, path: str, body: dict[str, Any], said: str
) -> None:
    answer = live.http.post(f"/v1/{path}", json=body)
    assert answer.status_code == 400
    assert said in answer.json()["error"]["message"]


def test_an_emulated_node_serves_beside_the_real_one(live: Live) -> None:
    answer = live.sdk.chat.completions.create(
        model="emulated", messages=[{"role": "user", "content": "three short words"}], max_tokens=4
    )
    assert answer.usage is not None
    assert answer.usage.prompt_tokens == 3


def test_a_client_that_leaves_frees_the_replica(live: Live) -> None:
    body = {
        "model": "gpt2", "messages": [{"role": "user", "content": "a"}], "max_tokens": 2000, "ignore_eos": True,
    }  # fmt: skip
    live.cluster.inject(Slowdown(node="real", factor=50.0, at_s=0.0, until_s=100_000.0))
    try:
        with pytest.raises(httpx2.ReadTimeout):
            live.http.post("/v1/chat/completions", json=body, timeout=2.0)
        live.ask(max_tokens=1)  # within a minute, or its client gives up: the 2000 tokens would take many
    finally:  # factors multiply: 50 times as slow, a fiftieth as slow
        live.cluster.inject(Slowdown(node="real", factor=0.02, at_s=0.0, until_s=100_000.0))


def test_a_leave_gives_work_back_and_the_stream_goes_on_after_the_return(live: Live) -> None:
    whole = live.ask(seed=9, max_tokens=400).choices[0].message.content

    async def talk() -> str:
        async with openai.AsyncOpenAI(base_url=f"{live.cluster.url}/v1", api_key="none", timeout=60) as sdk:
            messages: Any = [{"role": "user", "content": PROMPT}]
            stream = await sdk.chat.completions.create(
                model="gpt2", messages=messages, max_tokens=400, seed=9, stream=True,
                extra_body={"ignore_eos": True},
            )  # fmt: skip
            said = ""
            left = False
            async for chunk in stream:
                said += chunk.choices[0].delta.content or "" if chunk.choices else ""
                if said and not left:
                    left = True
                    now_s = live.http.get("/health").json()["t_s"]
                    leave = Leave(node="real", at_s=now_s, until_s=now_s + 1.0)
                    await asyncio.to_thread(live.cluster.inject, leave)
            return said

    assert asyncio.run(talk()) == whole


def test_the_record_balances_and_knows_where_the_time_went(live: Live) -> None:
    footer = live.cluster.end_run()
    assert footer is not None
    run = read_run(live.folder)
    done = [r for r in run.requests if r.outcome == "done" and r.model == "gpt2"]
    assert done
    assert all(r.service_s and r.service_s > 0 for r in done)
    assert all(r.input_tokens and r.input_tokens >= r.prompt_tokens for r in done)
    assert any(r.input_tokens != r.prompt_tokens for r in done)
    assert all(r.input_tokens is None for r in run.requests if r.outcome != "done" or r.model != "gpt2")
    assert {r.outcome for r in run.requests} >= {"done", "rejected", "aborted"}


def test_real_models_need_a_clock_that_is_not_compressed(checkpoints: Path) -> None:
    with pytest.raises(ConfigError, match=r"speedup must be 1, not 10 \(gpt2 on real"):
        as_live(scenario(checkpoints, speedup=10))


def test_a_batch_wider_than_the_backend_computes_is_refused(checkpoints: Path) -> None:
    given = scenario(checkpoints).model_dump()
    given["testbed"]["profile"][0]["batch"] = {"width": 4}
    with pytest.raises(
        ConfigError, match="gpt2 on real, cpu: batch width 4, but backend transformers computes 1"
    ):
        as_live(Scenario.model_validate(given))
    given["testbed"]["profile"][0]["batch"] = {"width": 1}
    given["testbed"]["profile"][1]["batch"] = {"width": 4}  # of the emulated one
    as_live(Scenario.model_validate(given))


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"backend": "transformer"}, r"backends\[0\] \(transformer\): unknown backend"),
        ({"backend": "no.such.module:X"}, r"backends\[0\] .*No module named"),
        ({"backend": "emulated", "settings": {"source": "x"}}, "takes no settings"),
        ({"model": "sd", "backend": "transformers", "settings": {"source": "x"}}, "cannot run image models"),
    ],
)
def test_a_wrong_entry_is_one_clear_error(checkpoints: Path, entry: dict[str, Any], said: str) -> None:
    raw = scenario(checkpoints).model_dump(mode="json")
    raw["testbed"]["backends"] = [entry]
    with pytest.raises(ConfigError, match=said):
        as_live(Scenario.model_validate(raw))
