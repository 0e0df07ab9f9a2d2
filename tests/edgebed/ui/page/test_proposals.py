"""A decision that waits for approval: what it would change is said, and what a visitor makes of it is sent."""

from __future__ import annotations

import json
from typing import Any

import pytest
from nicegui import ui
from nicegui.testing import User

from edgebed.ui.page.proposal_form import changes, mistake_in
from serve_apps.wire.names import EVENTS
from serve_apps.wire.steer import Approve, Reject
from tests.build.http_server import Server
from tests.build.steered import PROPOSAL, Actors
from tests.build.waiting import in_a_loop, until
from tests.edgebed.ui.page.test_steering import look, shown, visitor

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


def actors_with_a_proposal() -> Actors:
    actors = Actors()
    actors.held = (PROPOSAL,)
    return actors


def edited(user: User) -> Any:
    """The text in which the proposal can be changed."""
    (text,) = user.find(kind=ui.textarea).elements
    return text


@pytest.mark.slow
@in_a_loop
async def test_what_it_would_change_is_listed_and_it_is_approved_as_it_is() -> None:
    actors = actors_with_a_proposal()
    with Server(calls=actors) as server:
        async with visitor(f"http://127.0.0.1:{server.port}") as (user, room):
            look(room)
            await until(lambda: shown(user, "Proposal 3 of deployer:n (slot 4), decided at 12.0 s"))
            assert shown(user, "sd waits")
            rows = [row for table in user.find(kind=ui.table).elements for row in table.rows]
            assert [(r["c0"], r["c1"], r["c2"]) for r in rows] == [("modes · sd", "off", "gpu")]
            user.find(kind=ui.button, content="Approve").click()
            await until(lambda: shown(user, "Proposal 3 of deployer:n: approved."))
            look(room)
            await until(lambda: shown(user, "No decision waits for approval."))
    assert actors.done == [(EVENTS, "approve", Approve(proposal=3))]


@pytest.mark.slow
@in_a_loop
async def test_it_is_approved_as_somebody_has_edited_it_and_never_as_what_is_no_command() -> None:
    actors = actors_with_a_proposal()
    command = {"node": "n", "modes": {"sd": "cpu"}}
    with Server(calls=actors) as server:
        async with visitor(f"http://127.0.0.1:{server.port}") as (user, room):
            look(room)
            await until(lambda: shown(user, "Proposal 3"))
            edited(user).value = "{"
            (button,) = user.find(kind=ui.button, content="Approve as edited").elements
            assert not button.enabled
            assert shown(user, "This is no JSON")
            edited(user).value = json.dumps(command)
            look(room)  # a look at what waits leaves alone what is being written
            assert button.enabled
            user.find(kind=ui.button, content="Approve as edited").click()
            await until(lambda: shown(user, "Proposal 3 of deployer:n: edited."))
    assert actors.done == [(EVENTS, "approve", Approve(proposal=3, command=command))]


@pytest.mark.slow
@in_a_loop
async def test_it_is_rejected() -> None:
    actors = actors_with_a_proposal()
    with Server(calls=actors) as server:
        async with visitor(f"http://127.0.0.1:{server.port}") as (user, room):
            look(room)
            await until(lambda: shown(user, "Proposal 3"))
            user.find(kind=ui.button, content="Reject").click()
            await until(lambda: shown(user, "Proposal 3 of deployer:n: rejected."))
    assert actors.done == [(EVENTS, "reject", Reject(proposal=3))]


def test_changes_say_what_goes_what_comes_and_what_is_another() -> None:
    present = {"p": {"sd": {"a": 0.5, "b": 0.5}}, "roles": {"a": {"sd": "gpu"}}}
    proposed = {"p": {"sd": {"a": 0.5, "c": 0.25}}, "roles": {"a": {"sd": "cpu"}}}
    assert changes(present, proposed) == [
        ("p · sd · b", "0.5", "–"), ("roles · a · sd", "gpu", "cpu"), ("p · sd · c", "–", "0.25"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "wrong"), [("{}", ""), ("[]", "A command is an object"), ("x", "This is no JSON")]
)
def test_a_mistake_is_said_as_it_is_typed(text: str, wrong: str) -> None:
    assert mistake_in(text).startswith(wrong)
    assert bool(mistake_in(text)) == bool(wrong)
