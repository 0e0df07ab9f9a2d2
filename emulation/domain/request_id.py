"""What requests are called. A client's word is never the key of a request: two of them may say the same.

A client calls its request `r000012`, a load that shares a testbed with others `4f2a91c0/r000012`. The gateway keeps the
name for the first request that bears it and adds to it for those that follow: `r000012~2`. `~` is in no client's name.
"""

from __future__ import annotations

import re

_GIVEN = re.compile(r"[A-Za-z0-9_.:/\-]{1,128}")
_AGAIN = "~"
_OF_LOAD = "/"


def may_be_given(name: str) -> bool:
    """Whether a client may call its request so: 1 to 128 letters, digits or `_.:/-`."""
    return _GIVEN.fullmatch(name) is not None


def another(client_id: str, mark: str) -> str:
    """The id of a further request that its client calls so; `mark` tells it from all others of that name."""
    return f"{client_id}{_AGAIN}{mark}"


def client_id_of(request_id: str) -> str:
    """What its client called a request."""
    return request_id.partition(_AGAIN)[0]


def gateway_of(request_id: str) -> int:
    """Number of the gateway that gave a request this id: its marks are `<number>.<count>`, those of 0 `<count>`."""
    number, dot, _ = request_id.partition(_AGAIN)[2].partition(".")
    return int(number) if dot and number.isdecimal() else 0


def of_load(load_id: str, scenario_id: str) -> str:
    """What a load calls a request of its scenario, so that no other load calls one so; without an id of its own, as the
    scenario does."""
    return f"{load_id}{_OF_LOAD}{scenario_id}" if load_id else scenario_id


def scenario_id_of(request_id: str) -> str:
    """The scenario's id of a request that a load sent, whichever load it was."""
    return client_id_of(request_id).rpartition(_OF_LOAD)[2]
