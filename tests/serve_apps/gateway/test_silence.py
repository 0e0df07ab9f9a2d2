"""What every answer carries, and how a stream stays alive while nothing is said."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest

from serve_apps.gateway import http as module
from serve_apps.gateway.flight import Refused
from serve_apps.wire.secret import Keys, Secret
from tests.build.asgi import CHAT, DELTAS, SAID, MadeUpRun, Reply, app_of, ask_app, asked
from tests.build.waiting import until

COMMENT = b": still here\n\n"
STREAM = {**CHAT, "stream": True}


def held(before: tuple[Any, ...], after: tuple[Any, ...], until_heard: bytes) -> Reply:
    """A stream whose next item comes when the client has heard this."""

    async def listen() -> Reply:
        go = asyncio.Event()
        run = MadeUpRun(*before, go, *after)
        app, heard = app_of(run), bytearray()

        async def watched(scope: Any, receive: Any, send: Any) -> None:
            async def keep(message: Any) -> None:
                heard.extend(message.get("body", b""))
                await send(message)

            await app(scope, receive, keep)

        asking = asyncio.ensure_future(
            ask_app(watched, "POST", "/v1/chat/completions", [orjson.dumps(STREAM)], {})
        )
        await until(lambda: until_heard in heard)
        go.set()
        return await asking

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "SILENCE_S", 0.01)
        return asyncio.run(listen())


def test_a_long_silence_is_broken_by_comments_that_change_nothing_of_what_is_said() -> None:
    plain = asked("/v1/chat/completions", STREAM, MadeUpRun(*DELTAS, SAID))
    for before, after in ((), (*DELTAS, SAID)), ((DELTAS[0],), (DELTAS[1], SAID)):
        reply = held(before, after, COMMENT * 2)
        assert (reply.status, reply.ended) == (200, True)
        said = [e["choices"] for e in reply.events()]
        assert said == [e["choices"] for e in plain.events()]
        assert reply.body.endswith(b"data: [DONE]\n\n")


def test_what_fails_after_a_comment_is_an_event() -> None:
    reply = held((), (Refused("expired", "too late"),), COMMENT)
    assert reply.status == 200
    assert reply.events()[-1]["error"]["code"] == "expired"
    assert b"[DONE]" not in reply.body


def test_a_client_that_leaves_in_a_silence_ends_the_work() -> None:
    async def leave() -> None:
        run, leaves = MadeUpRun(asyncio.Event()), asyncio.Event()
        asking = asyncio.ensure_future(
            ask_app(app_of(run), "POST", "/v1/chat/completions", [orjson.dumps(STREAM)], {}, leaves=leaves)
        )
        await until(lambda: run.asked)
        leaves.set()
        await asking
        await asyncio.wait_for(run.left.wait(), 10)

    asyncio.run(leave())


ANSWERS: list[tuple[str, Any, dict[str, Any]]] = [
    ("/v1/chat/completions", CHAT, {}),
    ("/v1/chat/completions", STREAM, {}),
    ("/v1/chat/completions", b"{", {}),
    ("/v1/chat/completions", {**CHAT, "model": "none"}, {}),
    ("/v1/chat/completions", None, {}),
    ("/v1/responses", None, {"method": "DELETE"}),
    ("/v1/nothing", None, {}),
    ("/v1/models", None, {}),
    ("/v1/models/", None, {}),
    ("/v1/models/none", None, {}),
    ("/v1/models", None, {"keys": Keys(api=Secret("k"))}),
    ("/health", None, {}),
    ("/metrics", None, {}),
    ("/openapi.json", None, {}),
]


@pytest.mark.parametrize(("path", "body", "more"), ANSWERS)
def test_every_answer_carries_the_requests_name(path: str, body: Any, more: dict[str, Any]) -> None:
    runs = [MadeUpRun(*DELTAS, SAID) if body is STREAM else MadeUpRun() for _ in range(3)]
    named = asked(path, body, runs[0], headers={"X-Request-ID": "mine/1"}, **more)
    assert named.headers["x-request-id"] == "mine/1"
    ours = [asked(path, body, run, **more).headers["x-request-id"] for run in runs[1:]]
    assert ours[0] != ours[1]
    bad = asked(path, body, MadeUpRun(), headers={"X-Request-ID": "not good"}, **more)
    assert bad.headers["x-request-id"].startswith("x-")


def test_the_list_of_models_may_be_asked_for_with_a_slash() -> None:
    assert asked("/v1/models/", run=MadeUpRun()).json() == asked("/v1/models", run=MadeUpRun()).json()


def test_an_answer_that_came_too_late_asks_for_no_repetition() -> None:
    reply = asked("/v1/chat/completions", CHAT, MadeUpRun(Refused("expired", "late")))
    assert reply.status not in (408, 409, 425, 429)
    assert 400 <= reply.status < 500
    assert reply.headers["x-should-retry"] == "false"
    assert "retry-after" not in reply.headers
