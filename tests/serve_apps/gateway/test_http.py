"""What any path of the gateway has: bounded bodies, errors in one shape, clients that leave."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest

from serve_apps.wire.calls import Unreached
from tests.build.asgi import CHAT, DELTAS, SAID, MadeUpRun, Reply, app_of, ask_app, asked
from tests.build.waiting import until


@pytest.mark.parametrize("path", ["/v1/nothing", "/", "/v1/chat/completions/", "/v1/models?x"])
def test_a_path_nobody_serves_is_not_found(path: str) -> None:
    reply = asked(path, CHAT, MadeUpRun())
    assert (reply.status, reply.error()["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("GET", "/v1/chat/completions", "POST"),
        ("OPTIONS", "/v1/responses", "POST"),
        ("HEAD", "/v1/responses", "POST"),
        ("TRACE", "/health", "GET, HEAD"),
        ("DELETE", "/v1/models/any/name", "GET, HEAD"),
        ("GET", "/control/inject", "POST"),
    ],
)
def test_a_method_a_path_does_not_have_is_answered_with_the_one_it_has(
    method: str, path: str, allow: str
) -> None:
    reply = asked(path, run=MadeUpRun(), method=method)
    assert (reply.status, reply.error()["code"], reply.headers["allow"]) == (405, "method_not_allowed", allow)


def test_a_failure_nobody_foresaw_has_the_error_shape_too() -> None:
    reply = asked("/v1/chat/completions", CHAT, MadeUpRun(Unreached("the node is gone")))
    assert (reply.status, reply.error()["code"]) == (500, "internal_error")
    streamed = asked("/v1/chat/completions", {**CHAT, "stream": True}, MadeUpRun(DELTAS[0], KeyError("d7")))
    assert (streamed.status, streamed.ended) == (200, True)
    assert streamed.events()[-1]["error"]["code"] == "internal_error"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", CHAT),
        ("/v1/completions", {"model": "gpt2", "prompt": "a b"}),
        ("/v1/responses", {"model": "gpt2", "input": "a b"}),
    ],
)
def test_what_of_a_stream_came_together_goes_out_together(path: str, body: dict[str, Any]) -> None:
    one_by_one = asked(path, {**body, "stream": True}, MadeUpRun(*DELTAS, SAID))
    together = asked(path, {**body, "stream": True}, MadeUpRun(DELTAS, (SAID,)))
    each = [message.count(b"\n\n") for message in one_by_one.messages]
    assert [message.count(b"\n\n") for message in together.messages] == [each[0] + each[1], each[2], 0]
    assert [list(event) for event in together.events()] == [list(event) for event in one_by_one.events()]


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_leaves_ends_the_work(stream: bool) -> None:
    async def leave() -> Reply:
        run, leaves = MadeUpRun(DELTAS[0], asyncio.Event()), asyncio.Event()
        app = app_of(run)
        raw = orjson.dumps({**CHAT, "stream": stream})
        serving = asyncio.ensure_future(
            ask_app(app, "POST", "/v1/chat/completions", [raw], {}, leaves=leaves)
        )
        await until(lambda: run.asked)
        assert not run.left.is_set()
        leaves.set()
        reply = await serving
        await asyncio.wait_for(run.left.wait(), 10)
        return reply

    reply = asyncio.run(leave())
    assert not reply.ended
    assert reply.status == (200 if stream else 0)


def test_a_client_that_leaves_while_its_connection_is_full_ends_the_work() -> None:
    async def leave() -> None:
        run, leaves, full = MadeUpRun(*DELTAS, SAID), asyncio.Event(), asyncio.Event()
        app = app_of(run)
        waiting = [{"type": "http.request", "body": orjson.dumps({**CHAT, "stream": True})}]

        async def receive() -> Any:
            if not waiting:
                await leaves.wait()
            return waiting.pop() if waiting else {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            full.set()
            await asyncio.Event().wait()

        headers = [(b"content-type", b"application/json")]
        scope = {"type": "http", "method": "POST", "path": "/v1/chat/completions", "headers": headers}
        serving = asyncio.ensure_future(app(scope, receive, send))
        await asyncio.wait_for(full.wait(), 10)
        leaves.set()
        await asyncio.wait_for(serving, 10)
        await asyncio.wait_for(run.left.wait(), 10)

    asyncio.run(leave())


def test_a_client_that_leaves_while_sending_is_not_answered() -> None:
    async def leave() -> Reply:
        leaves = asyncio.Event()
        leaves.set()
        app = app_of()
        return await ask_app(app, "POST", "/v1/chat/completions", [], {}, leaves=leaves)

    assert asyncio.run(leave()) == Reply()
