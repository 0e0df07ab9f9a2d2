"""Control over HTTP: for whom it is, and what it says."""

from __future__ import annotations

from typing import Any

import pytest

from serve_apps.gateway.front import Front
from serve_apps.wire.calls import Unreached
from serve_apps.wire.names import EVENTS, RECORDER
from serve_apps.wire.secret import Keys, Secret
from serve_apps.wire.steer import Choice, EventEntry, EventList, InForce, SchemeList
from tests.build.asgi import MadeUpCalls, asked

LEAVE = {"kind": "leave", "node": "d1", "at_s": 1.0, "until_s": 9.0}


@pytest.mark.parametrize(
    ("host", "client", "token", "given", "status"),
    [
        ("127.0.0.1", "127.0.0.1", None, "", 200),
        ("127.0.0.1", "127.0.0.1", None, "Bearer of an SDK", 200),
        ("127.0.0.1", "10.0.0.7", None, "", 403),
        ("0.0.0.0", "127.0.0.1", None, "", 403),
        ("0.0.0.0", "10.0.0.7", "open", "Bearer open", 200),
        ("0.0.0.0", "10.0.0.7", "open", "bearer open", 200),
        ("0.0.0.0", "10.0.0.7", "open", "BEARER  open ", 200),
        ("0.0.0.0", "10.0.0.7", "open", "Bearer shut", 401),
        ("0.0.0.0", "10.0.0.7", "open", "open", 401),
        ("0.0.0.0", "10.0.0.7", "open", "Basic open", 401),
        ("0.0.0.0", "10.0.0.7", "open", "Beareropen", 401),
        ("0.0.0.0", "10.0.0.7", "open", "Bearer", 401),
        ("0.0.0.0", "10.0.0.7", "open", None, 401),
        ("127.0.0.1", "127.0.0.1", "open", None, 401),
        ("127.0.0.1", "127.0.0.1", "open", "Bearer open", 200),
        ("127.0.0.1", "127.0.0.1", "open", "Bearer shut", 401),
        ("127.0.0.1", "127.0.0.1", "open", "open", 401),
        ("127.0.0.1", "127.0.0.1", "open", "", 401),
    ],
)
def test_control_is_for_loopback_or_bearers_of_the_token(
    host: str, client: str, token: str | None, given: str | None, status: int
) -> None:
    keys = Keys(control=None if token is None else Secret(token))
    calls = MadeUpCalls({"t_s": 3.0})
    reply = asked(
        "/control/progress",
        headers={} if given is None else {"Authorization": given},
        keys=keys,
        calls=calls,
        host=host,
        client=client,
    )
    assert reply.status == status
    assert (status == 401) == ("www-authenticate" in reply.headers)
    assert len(calls.called) == (status == 200)


def test_control_injects_an_event_and_says_its_number() -> None:
    calls = MadeUpCalls(7)
    reply = asked("/control/inject", LEAVE, calls=calls, client="127.0.0.1")
    assert (reply.status, reply.json()) == (200, {"event": 7})
    assert calls.called[0][1] == "inject"
    assert calls.called[0][2].node == "d1"


@pytest.mark.parametrize(
    ("outcome", "status", "message"),
    [
        (ValueError("no node 'd1' in this run"), 400, "no node 'd1' in this run"),
        (Unreached("silent"), 503, "events does not answer"),
    ],
)
def test_control_says_why_an_event_was_not_taken(outcome: Exception, status: int, message: str) -> None:
    calls = MadeUpCalls(outcome)
    reply = asked("/control/inject", LEAVE, calls=calls, client="127.0.0.1")
    assert (reply.status, reply.error()["message"]) == (status, message)


def test_control_undoes_an_event_and_says_from_when_on() -> None:
    calls = MadeUpCalls(12.5)
    reply = asked("/control/undo", {"event": 3}, calls=calls, client="127.0.0.1")
    assert (reply.status, reply.json()) == (200, {"event": 3, "until_s": 12.5})
    assert calls.called == [(EVENTS, "undo", 3)]


@pytest.mark.parametrize("body", [{"event": -1}, {"event": "x"}, {"event": True}, {"event": 1.5}])
def test_an_event_is_named_by_its_number_or_refused(body: Any) -> None:
    calls = MadeUpCalls(12.5)
    reply = asked("/control/undo", body, calls=calls, client="127.0.0.1")
    assert (reply.status, reply.error()["param"], calls.called) == (400, "event", [])
    assert "event" in reply.error()["message"]


@pytest.mark.parametrize("body", [{}, {"number": 3}, [], b"{"])
def test_what_names_no_event_is_refused(body: Any) -> None:
    reply = asked("/control/undo", body, client="127.0.0.1")
    assert reply.status == 400
    assert reply.error()["message"]


def test_control_lists_the_events_and_never_is_null() -> None:
    entry = EventEntry(
        event=0, kind="leave", target="d1", state="in_force", by_hand=True, at_s=1.0, until_s=None, onset_s=1.25,
        undone_s=None, spec={**LEAVE, "until_s": None},
    )  # fmt: skip
    calls = MadeUpCalls(EventList(t_s=3.0, events=(entry,)))
    reply = asked("/control/events", calls=calls, client="127.0.0.1")
    assert EventList.model_validate(reply.json()) == calls.outcome
    assert asked("/control/events", calls=calls, client="10.0.0.9").status == 403


def test_control_switches_the_scheme_and_says_from_when_on_it_is_in_force() -> None:
    calls = MadeUpCalls(InForce(event=3, scheme="MA", before="AL", in_force_s=12.5))
    reply = asked("/control/scheme", {"to": "MA"}, calls=calls, client="127.0.0.1")
    said = {"event": 3, "scheme": "MA", "before": "AL", "in_force_s": 12.5, "missing": []}
    assert (reply.status, reply.json()) == (200, said)
    assert calls.called == [(EVENTS, "switch", "MA")]
    assert asked("/control/scheme", {"to": "MA"}, calls=calls, client="10.0.0.9").status == 403


@pytest.mark.parametrize(("token", "status"), [(None, 403), ("open", 200)])
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/control/scheme", {"to": "mylab.careful:CAREFUL"}),
        ("/control/inject", {"kind": "scheme", "to": "mylab.careful:CAREFUL", "at_s": 1.0}),
        (
            "/control/inject",
            {"kind": "outside", "fault": "mylab.flaky:Flaky", "node": "d1", "at_s": 1.0, "until_s": 2.0},
        ),
    ],
)
def test_a_scheme_or_fault_that_is_code_comes_in_only_with_the_token(
    path: str, body: Any, token: str | None, status: int
) -> None:
    done = InForce(event=3, scheme="mylab.careful:CAREFUL", before="AL", in_force_s=12.5)
    calls = MadeUpCalls(done if path.endswith("scheme") else 3)
    keys = Keys(control=None if token is None else Secret(token))
    given = {} if token is None else {"Authorization": f"Bearer {token}"}
    reply = asked(path, body, headers=given, keys=keys, calls=calls, client="127.0.0.1")
    assert reply.status == status
    assert len(calls.called) == (status == 200)


@pytest.mark.parametrize("body", [{"to": ""}, {"to": 3}, {"to": "two\nlines"}, {}, {"to": "MA", "at_s": 3}])
def test_a_switch_names_one_scheme_or_is_refused(body: Any) -> None:
    calls = MadeUpCalls()
    reply = asked("/control/scheme", body, calls=calls, client="127.0.0.1")
    assert (reply.status, calls.called) == (400, [])


def test_control_says_why_a_scheme_cannot_come_in() -> None:
    calls = MadeUpCalls(ValueError("MA is in force already"))
    reply = asked("/control/scheme", {"to": "MA"}, calls=calls, client="127.0.0.1")
    assert (reply.status, reply.error()["param"]) == (400, "to")
    assert reply.error()["message"] == "MA is in force already"


def test_control_lists_the_schemes_that_can_come_in() -> None:
    schemes = (
        Choice(scheme="MA", refused=""),
        Choice(scheme="oracle", refused="not while a live run goes on"),
    )
    calls = MadeUpCalls(SchemeList(scheme="AL", schemes=schemes))
    reply = asked("/control/schemes", method="GET", calls=calls, client="127.0.0.1")
    assert SchemeList.model_validate(reply.json()) == calls.outcome


def test_control_says_which_gateways_there_are() -> None:
    calls = MadeUpCalls([{"number": 0, "alive": True, "pid": 7, "url": "http://127.0.0.1:9"}])
    reply = asked("/control/gateways", method="GET", calls=calls, client="127.0.0.1")
    assert reply.json() == {"gateways": calls.outcome}
    assert calls.called == [(RECORDER, "gateways")]
    assert asked("/control/gateways", method="GET", calls=calls, client="10.0.0.9").status == 403


def test_control_refuses_what_is_no_event_or_not_declared_as_json() -> None:
    bad = asked("/control/inject", {"kind": "meteor"}, client="127.0.0.1")
    assert (bad.status, bad.error()["param"]) == (400, "event")
    plain = {"Content-Type": "text/plain"}
    assert asked("/control/inject", LEAVE, client="127.0.0.1", headers=plain).status == 415
    stall = asked("/control/block", {"seconds": -1}, client="127.0.0.1")
    assert (stall.status, stall.error()["param"]) == (400, "seconds")


@pytest.mark.parametrize("seconds", ["1", True, None, 0, 61, float("nan")])
def test_a_stall_is_so_many_seconds_or_refused(seconds: Any) -> None:
    reply = asked("/control/block", {"seconds": seconds}, client="127.0.0.1")
    assert (reply.status, reply.error()["param"]) == (400, "seconds")


def test_no_path_of_control_answers_strangers() -> None:
    app = Front("0.0.0.0", Keys(control=Secret("open")), lambda: None, MadeUpCalls({})).app()  # noqa: S104
    paths = [route.path for route in app.routes if "control" in getattr(route, "path", "")]
    assert len(paths) >= 4
    for path in paths:
        for method in ("GET", "POST", "HEAD"):
            calls = MadeUpCalls({})
            reply = asked(
                path, {} if method == "POST" else None, method=method, keys=Keys(control=Secret("open")),
                calls=calls, host="0.0.0.0", client="10.0.0.7",  # noqa: S104
            )  # fmt: skip
            assert reply.status in (401, 405), f"{method} {path}"
            assert calls.called == []
