"""What one caller may ask for: beyond it 429 and when to come back; others are served meanwhile."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest

from emulation.domain.cluster import BackendEntry, ModelSpec
from serve_apps.gateway import quota
from serve_apps.gateway.admission import tokens_of
from serve_apps.gateway.front import Front
from serve_apps.gateway.http import Exchange, HttpError
from serve_apps.gateway.quota import Quotas
from serve_apps.gateway.server.books import Books
from serve_apps.gateway.server.settings import HttpSettings
from serve_apps.wire.ask import Ask
from serve_apps.wire.messages import Answer
from serve_apps.wire.secret import Keys, Secret
from tests.build.asgi import (
    CHAT,
    DONE,
    NO_KEYS,
    PICTURE,
    SAID,
    TESTBED,
    MadeUpCalls,
    MadeUpRun,
    Reply,
    ask_app,
)
from tests.build.waiting import in_a_loop, turns


class Clock:
    """Seconds as a test says."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def exchange(address: str = "10.0.0.7") -> Exchange:
    scope: Any = {"type": "http", "headers": [], "client": (address, 5), "path": "/v1/chat/completions"}
    return Exchange(scope, None, None)  # type: ignore[arg-type]


def app(run: MadeUpRun, keys: Keys = NO_KEYS, **limits: int) -> Any:
    books = Books(HttpSettings(**limits))
    return Front("127.0.0.1", keys, lambda: run, MadeUpCalls(), books).app()  # type: ignore[arg-type,return-value]


async def chat(app: Any, client: str = "10.0.0.7", **fields: Any) -> Reply:
    headers = fields.pop("headers", {})
    return await ask_app(
        app, "POST", "/v1/chat/completions", [orjson.dumps(CHAT | fields)], headers, client=client
    )


@in_a_loop
async def test_requests_beyond_a_minutes_are_told_when_to_come_back_and_others_are_served() -> None:
    served = app(MadeUpRun(), key_requests=2)
    replies = [await chat(served) for _ in range(3)]
    assert [r.status for r in replies] == [200, 200, 429]
    assert [r.headers["x-ratelimit-remaining-requests"] for r in replies] == ["1", "0", "0"]
    refused = replies[-1].error()
    assert (refused["type"], refused["code"]) == ("requests", "rate_limit_exceeded")
    assert 1 <= int(replies[-1].headers["retry-after"]) <= 30
    assert replies[-1].headers["x-ratelimit-limit-requests"] == "2"
    assert (await chat(served, client="10.0.0.8")).status == 200


@in_a_loop
async def test_whoever_has_no_key_to_show_gets_no_more_for_making_one_up() -> None:
    served = app(MadeUpRun(), key_requests=1)
    made_up = [{"headers": {"Authorization": f"Bearer {n}"}} for n in range(2)]
    assert [(await chat(served, **how)).status for how in made_up] == [200, 429]


@in_a_loop
async def test_bearers_of_a_key_are_one_caller_wherever_they_call_from() -> None:
    served = app(MadeUpRun(), Keys(api=Secret("open")), key_requests=1)
    key = {"Authorization": "Bearer open"}
    assert (await chat(served, client="10.0.0.1")).status == 401
    assert [(await chat(served, client=c, headers=key)).status for c in ("10.0.0.1", "10.0.0.2")] == [
        200,
        429,
    ]


@in_a_loop
async def test_bearers_of_a_key_are_one_caller_however_they_spell_it() -> None:
    served = app(MadeUpRun(), Keys(api=Secret("open")), key_requests=1)
    spelt = ("Bearer open", "bearer open", "BEARER   open", "Bearer open  ")
    replies = [await chat(served, headers={"Authorization": how}) for how in spelt]
    assert [r.status for r in replies] == [200, 429, 429, 429]


@in_a_loop
async def test_requests_at_once_are_counted_until_their_answer_is_out() -> None:
    go = asyncio.Event()
    run = MadeUpRun(go, SAID)
    served = app(run, key_concurrent=1)
    first = asyncio.ensure_future(chat(served))
    while not run.asked:
        await turns(1)
    assert (await chat(served)).status == 429
    other = asyncio.ensure_future(chat(served, client="10.0.0.8"))
    go.set()
    assert [(await one).status for one in (first, other)] == [200, 200]
    assert (await chat(served)).status == 200


@pytest.mark.parametrize(("max_tokens", "statuses"), [(8, [200, 429]), (3, [200, 200]), (99, [429, 429])])
@in_a_loop
async def test_tokens_are_those_of_the_prompt_and_what_its_answer_may_have(
    max_tokens: int, statuses: list[int]
) -> None:
    run = MadeUpRun()
    served = app(run, key_tokens=10)
    replies = [await chat(served, max_tokens=max_tokens) for _ in range(2)]
    assert [r.status for r in replies] == statuses
    assert len(run.asked) == statuses.count(200)
    if statuses == [429, 429]:  # no minute is long enough
        assert replies[0].headers["x-should-retry"] == "false"
        assert replies[0].error()["type"] == "tokens"


@pytest.mark.parametrize("header", ["x-edge-origin", "x-edge-tenant", "x-edge-intended-s"])
@in_a_loop
async def test_what_is_refused_for_a_header_costs_no_tokens(header: str) -> None:
    served = app(MadeUpRun(), key_tokens=10)
    bad = await chat(served, max_tokens=8, headers={header: "not so!"})
    assert bad.status == 400
    assert (await chat(served, max_tokens=8)).status == 200


SEEN: list[dict[str, Any]] = [
    {
        "role": "user",
        "content": [
            {"type": "text", "text": "what is it"},
            {"type": "image_url", "image_url": {"url": PICTURE}},
        ],
    }
]


@pytest.mark.parametrize(
    ("key_tokens", "fields", "statuses"),
    [
        (10, {}, [429, 429]),
        (2 * (2 + 256), {}, [200, 200, 429]),
        (299, {"min_tokens": 298}, [429, 429]),
        (600, {"min_tokens": 300}, [200, 429]),
        (12, {"max_tokens": 1, "n": 4}, [200, 429]),
        (22, {"model": "blip", "messages": SEEN}, [429]),
        (23, {"model": "blip", "messages": SEEN}, [200, 429]),
        (7, {"model": "blip", "messages": SEEN, "max_tokens": 4}, [200, 429]),
    ],
)  # fmt: skip
@in_a_loop
async def test_an_answer_without_a_limit_counts_as_much_as_it_may_have_and_a_prompt_for_each_of_its_answers(
    key_tokens: int, fields: dict[str, Any], statuses: list[int]
) -> None:
    served = app(
        MadeUpRun(Answer(served=DONE, texts=("so",) * 4, completion_tokens=4)), key_tokens=key_tokens
    )
    assert [(await chat(served, **fields)).status for _ in statuses] == statuses


@in_a_loop
async def test_a_picture_counts_by_its_prompt_for_each_that_is_drawn() -> None:
    run = MadeUpRun(Answer(served=DONE, images=(b"png",) * 3))
    served, body = app(run, key_tokens=11), orjson.dumps({"model": "sd", "prompt": "a red cat", "n": 3})
    replies = [await ask_app(served, "POST", "/v1/images/generations", [body], {}) for _ in range(2)]
    assert [r.status for r in replies] == [200, 429]


def test_an_answer_without_a_limit_counts_as_its_backend_says_and_its_context_has_room_for() -> None:
    spec = ModelSpec(id="gpt2", modality="text", features="tokens", context_tokens=1024)
    backends = (
        BackendEntry(backend="transformers", settings={"max_tokens": 900}),
        BackendEntry(model="gpt2", node="d0", backend="transformers", settings={"max_tokens": 50}),
        BackendEntry(model="blip", backend="transformers", settings={"max_tokens": 5000}),
    )
    bed = TESTBED.model_copy(update={"models": (spec, *TESTBED.models[1:]), "backends": backends})
    short, long = (Ask(model="gpt2", prompt_tokens=n, longest_tokens=n) for n in (10, 1000))
    assert (tokens_of(short, spec, bed), tokens_of(long, spec, bed)) == (910, 1024)


def test_what_was_taken_comes_back_evenly() -> None:
    clock = Clock()
    quotas = Quotas(HttpSettings(key_requests=60), clock)

    def ask_once() -> None:
        with quotas.counted(exchange()):
            pass

    for passed_s, count in ((0.0, 60), (10.0, 10), (1.0, 1), (3600.0, 60)):
        clock.now_s += passed_s
        for _ in range(count):
            ask_once()
        with pytest.raises(HttpError) as refused:
            ask_once()
        assert (refused.value.status, dict(refused.value.headers)) == (429, {b"retry-after": b"1"})


def test_callers_without_end_are_not_all_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quota, "MOST_CALLERS", 3)
    quotas = Quotas(HttpSettings(key_requests=1), Clock())
    with quotas.counted(exchange("served")):
        for number in range(50):
            with quotas.counted(exchange(str(number))):
                assert len(quotas._callers) <= 4
        with pytest.raises(HttpError), quotas.counted(exchange("served")):
            raise AssertionError("unreachable")


@in_a_loop
async def test_without_limits_nothing_is_counted_or_said() -> None:
    served = app(MadeUpRun())
    reply = await chat(served)
    assert not [name for name in reply.headers if name.startswith("x-ratelimit")]
