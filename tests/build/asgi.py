"""The gateway's HTTP side without Ray: its app, asked over ASGI, before a run that is made up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import orjson

from controller.fast_path import FastPath
from controller.perf.prior import Prior
from controller.routers.sect import Sect
from emulation.domain.cluster import ModelSpec, NodeSpec, ProfileEntry, TestbedConfig
from emulation.domain.request import Request
from emulation.domain.sharing import GpuSpec
from serve_apps.gateway.flight import Flight
from serve_apps.gateway.front import Front
from serve_apps.gateway.links import Links
from serve_apps.gateway.names import Names
from serve_apps.gateway.shadows import Shadows
from serve_apps.observe.requests import RequestCounts
from serve_apps.wire.ask import Ask
from serve_apps.wire.messages import Answer, Delta, GatewayRun, Served
from serve_apps.wire.secret import Keys

TESTBED = TestbedConfig(
    name="one",
    models=(
        ModelSpec(id="gpt2", modality="text", features="tokens"),
        ModelSpec(id="blip", modality="caption"),
        ModelSpec(id="sd", modality="image"),
    ),
    nodes=tuple(NodeSpec(id=n, hosting="device", gpus=(GpuSpec(),)) for n in ("d0", "d1")),
    profile=(
        ProfileEntry(model="gpt2", mode="gpu", theta=(0.01, 0.1)),
        ProfileEntry(model="blip", mode="gpu", theta=(1.0,)),
        ProfileEntry(model="sd", mode="gpu", theta=(1.0,)),
    ),
)
RUN = GatewayRun(
    run_id="r", scheme="sect", testbed=TESTBED, speedup=1.0, slot_s=20.0, deadline_s=30.0, length_knowledge="exact",
    fast_path=b"",
)  # fmt: skip
DONE = Served(outcome="done", ended_s=1.0)
SAID = Answer(served=DONE, texts=("two words",), completion_tokens=2)
DELTAS = (Delta(choice=0, text="two ", tokens=1), Delta(choice=0, text="words", tokens=1))
NO_KEYS = Keys()
AS_JSON = {"Content-Type": "application/json"}
PICTURE = "data:image/png;base64,AAAA"
CHAT = {"model": "gpt2", "messages": [{"role": "user", "content": "hi there"}]}


class MadeUpRun:
    """A run that answers from a list: what is in it is yielded, an exception is raised, an event is waited for."""

    def __init__(self, *items: Any, calls: Any = None) -> None:
        self.run = RUN
        self.clock = SimpleNamespace(now_s=lambda: 100.0)
        self.records = SimpleNamespace(full=False, trouble="", add=self._record)
        self.recorded: list[tuple[str, Any]] = []
        self.shadows = Shadows(calls or MadeUpCalls())
        self.flights = {"taken": Flight(Request("taken", "gpt2", "d0", 0.0, 30.0), Ask(model="gpt2"), 0.0)}
        self.names = Names()
        self._taken = self.names.claimed("taken")
        self._taken.__enter__()
        self.counts = RequestCounts("sect", (m.id for m in TESTBED.models))
        self.counts.ends["gpt2", "done"] = 3
        self.heard_s = {"plan": 40.0}
        self.links: Links | None = None
        self.fast_path = FastPath(TESTBED, Sect(), Prior(TESTBED))
        self.asked: list[tuple[Request, Ask]] = []
        self.in_shadow: list[str | None] = []
        """The scheme that each of them named for the shadow."""
        self.left = asyncio.Event()
        """Set when the work for a client ended, however."""
        self._items = items or (SAID,)

    def _record(self, method: str, *args: Any) -> None:
        self.recorded.append((method, *args))

    async def answer(self, request: Request, ask: Ask, shadow: str | None = None) -> Answer:
        answer: Answer = [batch[-1] async for batch in self.stream(request, ask, shadow)][-1]
        return answer

    async def stream(self, request: Request, ask: Ask, shadow: str | None = None) -> AsyncIterator[Any]:
        self.asked.append((request, ask))
        self.in_shadow.append(shadow)
        try:
            for item in self._items:
                if isinstance(item, Exception):
                    raise item
                if isinstance(item, asyncio.Event):
                    await item.wait()
                else:
                    yield item if isinstance(item, tuple) else (item,)
        finally:
            self.left.set()


class MadeUpCalls:
    """Actors that answer everything in one way."""

    def __init__(self, outcome: Any = None) -> None:
        self.outcome = outcome
        self.called: list[tuple[Any, ...]] = []

    async def call(self, name: str, method: str, *args: Any, limit_s: float = 1.0) -> Any:
        self.called.append((name, method, *args))
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


@dataclass
class Reply:
    """What a client got."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    ended: bool = False
    messages: list[bytes] = field(default_factory=list)
    """The body as the application sent it, message by message."""

    def json(self) -> Any:
        return orjson.loads(self.body)

    def error(self) -> Any:
        """The error, in OpenAI's shape and no other."""
        found = self.json()["error"]
        assert set(found) == {"message", "type", "param", "code"}
        return found

    def events(self) -> list[Any]:
        """Payloads of the events."""
        lines = [line for line in self.body.split(b"\n") if line.startswith(b"data: {")]
        return [orjson.loads(line.removeprefix(b"data: ")) for line in lines]


async def ask_app(
    app: Callable[..., Awaitable[None]],
    method: str,
    path: str,
    chunks: Sequence[bytes],
    headers: Mapping[str, str],
    client: str = "10.0.0.7",
    leaves: asyncio.Event | None = None,
) -> Reply:
    """One request to an ASGI application, of JSON if nothing else is said; the client leaves when the event says so."""
    reply = Reply()
    waiting = [
        {"type": "http.request", "body": c, "more_body": i + 1 < len(chunks)} for i, c in enumerate(chunks)
    ]

    async def receive() -> Any:
        if waiting:
            return waiting.pop(0)
        await (leaves or asyncio.Event()).wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            assert not reply.status
            reply.status = message["status"]
            reply.headers = {k.decode(): v.decode() for k, v in message["headers"]}
        else:
            assert not reply.ended
            reply.body += message.get("body", b"")
            reply.messages.append(message.get("body", b""))
            reply.ended = not message.get("more_body", False)

    scope = {
        "type": "http", "method": method, "path": path, "client": (client, 5),
        "headers": [(k.lower().encode(), v.encode()) for k, v in (AS_JSON | dict(headers)).items()],
    }  # fmt: skip
    await asyncio.wait_for(app(scope, receive, send), 10)
    return reply


def app_of(
    run: MadeUpRun | None = None, host: str = "127.0.0.1", keys: Keys = NO_KEYS, calls: Any = None
) -> Callable[..., Awaitable[None]]:
    """The gateway's app before a run, or between two."""
    return Front(host, keys, lambda: run, calls or MadeUpCalls()).app()  # type: ignore[arg-type,return-value]


def asked(
    path: str,
    body: Any = None,
    run: MadeUpRun | None = None,
    *,
    method: str | None = None,
    headers: Mapping[str, str] | None = None,
    keys: Keys = NO_KEYS,
    calls: Any = None,
    host: str = "127.0.0.1",
    client: str = "10.0.0.7",
) -> Reply:
    """What the gateway answers to one request."""
    raw = body if isinstance(body, bytes) else b"" if body is None else orjson.dumps(body)
    app = app_of(run, host, keys, calls)
    how = method or ("GET" if body is None else "POST")
    return asyncio.run(ask_app(app, how, path, [raw], headers or {}, client))
