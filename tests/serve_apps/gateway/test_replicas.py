"""Which way a call to a replica goes: over the line where there is one, by Serve's handle while there is none."""

from __future__ import annotations

from typing import Any

import pytest
from ray.exceptions import RayActorError

from serve_apps.gateway import line as line_module
from serve_apps.gateway.replicas import NearReplicas, Replicas, ServeReplicas, replicas
from serve_apps.testbed import apps
from serve_apps.wire.calls import Unreached
from serve_apps.wire.line import SWITCH, address
from serve_apps.wire.messages import Delta
from serve_apps.wire.testbed import NAMESPACE
from tests.build.gateway import items_of, said, served
from tests.build.line import Ends, on_both_loops
from tests.build.waiting import until
from tests.build.works import work


class Handles:
    """Serve's handles of one application, and the methods that were called by them."""

    def __init__(self, where: str) -> None:
        self.where, self.gone = where, False
        self.called: list[str] = []

    def handle(self, app: str, method: str) -> Handle:
        return Handle(self, method)

    async def call(self, method: str, *args: Any) -> Any:
        if self.gone:
            raise RayActorError
        return self.where if method == "line" else await served(*args) if args else 1


class Handle:
    """One of them."""

    def __init__(self, handles: Handles, method: str) -> None:
        self._handles, self._method = handles, method

    def remote(self, *args: Any) -> Any:
        self._handles.called.append(self._method)
        return said("a b")(*args) if self._method == "stream" else self._handles.call(self._method, *args)


def near(where: str, patch: pytest.MonkeyPatch) -> tuple[NearReplicas, Handles]:
    """The ways of a gateway to a replica that says it listens there."""
    handles, found = Handles(where), NearReplicas()
    patch.setattr(found, "_handle", handles.handle)
    return found, handles


async def heard(ways: Replicas) -> list[str]:
    """What a stream says."""
    items = items_of(ways.stream("app", work(2)))
    return [item.text if isinstance(item, Delta) else "answer" async for item in items]


@on_both_loops
async def test_a_replica_of_this_machine_is_called_over_its_line(ends: Ends) -> None:
    with pytest.MonkeyPatch.context() as patch:
        ways, handles = near(ends.where, patch)
        await ways.warm_up(["app"])
        assert handles.called == ["pid", "line"]
        assert (await ways.serve("app", work(1))).texts == ("done",)
        assert await heard(ways) == ["a", " b", " c", " d", "answer"]
    assert handles.called == ["pid", "line"]
    assert [w.request.id for w in ends.backend.works] == ["r1", "r2"]


@on_both_loops
async def test_every_other_replica_is_called_through_serve(ends: Ends) -> None:
    with pytest.MonkeyPatch.context() as patch:
        ways, handles = near(address("on another machine"), patch)
        await ways.warm_up(["app"])
        assert (await ways.serve("app", work(1))).texts == ("done",)
        assert await heard(ways) == ["a", " b", "answer"]
    assert handles.called == ["pid", "line", "serve", "stream"]
    assert ends.backend.works == []


@on_both_loops
async def test_a_replica_that_is_lost_is_called_through_serve_until_it_listens_again(ends: Ends) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(line_module, "AGAIN_S", 0.0)
        ways, handles = near(ends.where, patch)
        await ways.warm_up(["app"])
        await ends.listening.close()
        handles.gone = True
        with pytest.raises(Unreached, match="app: "):
            await ways.serve("app", work(1))
        with pytest.raises(Unreached, match="app: RayActorError"):
            await ways.serve("app", work(1))
        async with Ends() as restarted:
            handles.gone, handles.where = False, restarted.where
            assert (await ways.serve("app", work(2))).texts == ("done",)
            await until(lambda: ways._lines.of("app"))
            calls = handles.called.count("serve")
            assert (await ways.serve("app", work(3))).texts == ("done",)
            assert handles.called.count("serve") == calls
            assert [w.request.id for w in restarted.backend.works] == ["r3"]


def test_lines_are_turned_off_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SWITCH, raising=False)
    monkeypatch.setenv(NAMESPACE, "test")
    assert type(replicas()) is NearReplicas
    assert SWITCH not in apps._environment()
    monkeypatch.setenv(SWITCH, "off")
    assert type(replicas()) is ServeReplicas
    assert apps._environment()[SWITCH] == "off"  # Serve starts gateways with that
