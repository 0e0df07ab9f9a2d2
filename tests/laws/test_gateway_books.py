"""Whatever clients do at the same time, and whatever they call their requests, the books of a gateway balance."""

from __future__ import annotations

import asyncio
import pickle
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulation.recording import read_run
from serve_apps.gateway import attempt_calls, dispatch
from serve_apps.gateway.front import Front
from serve_apps.records.recorder import Recorder
from serve_apps.wire.calls import Unreached
from serve_apps.wire.messages import Answer, Delta, RunPlan, Work
from serve_apps.wire.secret import Keys
from tests.build.asgi import MadeUpCalls, Reply, ask_app
from tests.build.fakes import device_testbed, header, scenario
from tests.build.gateway import Gateway, ending, hanging, raising, said, served
from tests.build.waiting import turns, until

WORLD = scenario(device_testbed(nodes=2))
GONE = Unreached("its process is gone")
FATES = (
    "done",
    "done",
    "hangs",
    "returned",
    "expired",
    "error",
    "lost",
    "rejected",
    "no_host",
    "held",
    "bad",
)
"""What becomes of a request's first attempt; `bad`: it never gets one."""


@dataclass(frozen=True)
class Act:
    """One request of a client, or (fate None) a moment in which nothing new happens."""

    fate: str | None
    client_id: str | None
    streamed: bool
    leaves: bool
    pause: int


acts = st.builds(
    Act,
    st.sampled_from((*FATES, None)),
    st.sampled_from((None, "a", "a", "b/1", "~", "a~2")),
    st.booleans(),
    st.booleans(),
    st.integers(0, 6),
)


async def _text_then_hang(work: Work) -> AsyncIterator[Delta | Answer]:
    yield Delta(choice=0, text="a", tokens=1)
    await asyncio.Event().wait()


def _arrange(gateway: Gateway, act: Act) -> None:
    """Have the next attempt, wherever it goes, meet this fate."""
    if act.fate in ("rejected", "no_host"):
        gateway.path.plan.append({"rejected": "reject"}.get(act.fate, act.fate))
    elif act.fate == "held":
        gateway.path.plan.append(None)
    ways: dict[str, Any] = {
        "done": served, "hangs": hanging(), "lost": raising(GONE), "returned": ending("returned"),
        "expired": ending("expired"), "error": ending("error"),
    }  # fmt: skip
    if act.fate in ways:
        streams: dict[str, Any] = {"hangs": _text_then_hang, "lost": said("a b", then=GONE)}
        for executor in ("d0", "d1"):
            gateway.replicas.serving[executor].append(ways[act.fate])
            gateway.replicas.streaming[executor].append(
                streams.get(act.fate, said("a b c d", then=act.fate if act.fate != "done" else "done"))
            )


async def _ask(gateway: Gateway, act: Act, leaves: asyncio.Event) -> Reply:
    app: Any = Front("127.0.0.1", Keys(), lambda: gateway.dispatcher, MadeUpCalls()).app()  # type: ignore[arg-type]
    body: dict[str, Any] = {"model": "m", "prompt": "one two", "stream": act.streamed}
    if act.fate == "bad":
        body["max_tokens"] = 0
    given = {} if act.client_id is None else {"X-Request-ID": act.client_id}
    return await ask_app(app, "POST", "/v1/completions", [orjson.dumps(body)], given, leaves=leaves)


async def _play(gateway: Gateway, script: list[Act]) -> list[Reply]:
    gateway.replicas.works.clear()
    asked, all_leave = [], asyncio.Event()
    for act in script:
        if act.fate is not None:
            _arrange(gateway, act)
            leaves = asyncio.Event() if act.leaves else all_leave
            asked.append(asyncio.ensure_future(_ask(gateway, act, leaves)))
        await turns(act.pause)
        if act.leaves and act.fate is not None:
            leaves.set()
    await turns(20)
    gateway.changed("d0", "ready")  # whoever is held looks again
    await turns(20)
    all_leave.set()
    replies = await asyncio.gather(*asked)
    await until(lambda: not gateway.dispatcher.flights)
    return replies


async def _booked(gateway: Gateway, folder: Path) -> Any:
    """The record a recorder makes of what the gateway told it."""
    recorder, nobody = Recorder(), None
    plan: Any = RunPlan(
        run_id="run", scenario=WORLD, seed=0, header=header(WORLD), truth=nobody, fast_path=nobody,
        folder=str(folder),
    )  # type: ignore[arg-type]  # fmt: skip
    await recorder.open(plan, {})
    await recorder.append("run", "g", 1, b"".join(map(pickle.dumps, gateway.batch.entries)))
    assert (await recorder.progress()).in_system == 0
    await recorder.close()
    return read_run(folder)


@pytest.mark.slow
@settings(max_examples=80, deadline=None, derandomize=True, database=None)
@given(script=st.lists(acts, max_size=14))
def test_every_request_arrives_once_and_ends_once(script: list[Act]) -> None:
    async def steps() -> None:
        gateway = Gateway()
        replies = await _play(gateway, script)
        with TemporaryDirectory() as folder:
            run = await _booked(gateway, Path(folder))
        ids = [args[0].id for how, args in gateway.batch.entries if how == "arrive"]
        assert max(Counter(ids).values(), default=1) == 1
        assert sorted(ids) == sorted(r.request_id for r in run.requests)
        assert {r.status for r in replies} <= {0, 200, 400, 409, 422, 503}
        assert all(r.headers["x-request-id"] for r in replies if r.status)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(attempt_calls, "RETRY_S", 0.0)
        patch.setattr(dispatch, "AGAIN_LOOK_S", 0.0)
        asyncio.run(asyncio.wait_for(steps(), 20.0))


def test_of_requests_that_share_an_id_at_the_same_instant_one_is_served() -> None:
    async def steps() -> None:
        gateway = Gateway()
        acts = [Act("hangs", "same", False, False, 0)] * 5
        replies = await _play(gateway, acts)
        assert Counter(r.status for r in replies) == {409: 4, 0: 1}
        refused = next(r for r in replies if r.status == 409)
        assert (refused.error()["code"], refused.error()["param"]) == ("duplicate_request", "X-Request-ID")
        assert refused.headers["x-should-retry"] == "false"

    asyncio.run(asyncio.wait_for(steps(), 20.0))


def test_an_id_that_is_free_again_is_served_as_another_request() -> None:
    async def steps() -> None:
        gateway = Gateway()
        replies = [(await _play(gateway, [Act("done", "same", False, False, 0)]))[0] for _ in range(3)]
        assert [r.status for r in replies] == [200, 200, 200]
        assert {r.headers["x-request-id"] for r in replies} == {"same"}
        assert len({r.json()["id"] for r in replies}) == 3

    asyncio.run(asyncio.wait_for(steps(), 20.0))
