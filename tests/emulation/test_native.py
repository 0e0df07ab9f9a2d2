"""Values of the hot path, compiled or not: made from all their fields in order, and plain data when it is asked for."""

from __future__ import annotations

import copy
import inspect
import pickle
from dataclasses import FrozenInstanceError, asdict, fields, replace
from math import inf
from typing import Any

import pytest

from controller.admission import Prospect
from controller.backlog import Entry
from controller.deployers.steps import Weights
from controller.meta.observations import Flight, Observation
from controller.schedulers.hosts import Host
from emulation.compiled import WHY_NOT
from emulation.domain.feedback import Completion, PerfKey, Prediction, Spread
from emulation.domain.measured import Measured
from emulation.domain.native import Native
from emulation.domain.request import Request
from emulation.domain.request_kind import Drawn
from emulation.domain.routing import RoutingDecision
from emulation.domain.snapshot import ExecutorView, NodeView
from emulation.domain.truth import RequestTruth
from emulation.executor import Job
from emulation.executor.notices import Changed, Ended, Returned, Started
from serve_apps.records.rows import measured_of, request_of, row_of
from workloads.sources import Draft

REQUEST = Request("r1", "gpt2", "n1", 1.5, inf, 2, 30, 64.0, 100, 200, "one")
TRUTH = RequestTruth(12, (0.5, 1.5), 31)
JOB = Job(REQUEST, TRUTH, 2, 3.0, service_s=4.0, mode="gpu", counted_tokens=(1, 2))
MEASURED = Measured(2, "n1/gpt2", "gpu", 1.5, 1.6, 1.7, 1.8, 2.5, None, 1, 0.5, True, 1, 0.1, 0.2, True, 12)
VIEW = ExecutorView("n1/gpt2", "n1", ("gpt2",), "ready", "gpu", {"gpt2": 1}, {"gpt2": 1.5}, busy=True)
VALUES: tuple[Native, ...] = (
    REQUEST, TRUTH, JOB, MEASURED, VIEW,
    NodeView("n1", 30.0, True, (VIEW,), 0.0, 4.0, 1, ("game",), {"gpt2": "gpu"}),
    RoutingDecision("n1/gpt2", "route", "sect", (("n1/gpt2", 1.0),), 2.0, 0.5, None),
    Completion(REQUEST, "n1/gpt2", "done", 9.0, MEASURED, False),
    Prediction(2.0, 0.5, 7),
    Spread((1.0, 0.5, 2.0), 0.1, (0.1, 0.2)),
    Started(1.8, JOB), Ended(4.0, JOB, "done", 4.2, "why"), Returned(4.0, JOB),
    Changed(1.0, "n1/gpt2", "starting", "gpu", 5.0),
    Entry("gpt2", (1.0, 0.0), 2.0),
    Observation("n1", PerfKey("n1", "gpt2", "gpu"), (1.0,), 3, 4.0, 2.0, None, 1.0, 0.1, "done", True, False, True),
    Weights("gpt2", 1.0, 1.2, True),
    Host("n1", 4.0, 0.5, 0.0, 0.25),
    Draft(1.5, "gpt2", "n1", 1, 30, 12, 64, "one"), Drawn(1.5, "gpt2", "n1", 1, 30, 12, 64, "one"),
    Flight("n1", 3, True),
    Prospect(1, 9.0, 4.0),
)  # fmt: skip

every = pytest.mark.parametrize("value", VALUES, ids=lambda v: type(v).__name__)


def of(value: Any) -> tuple[Any, ...]:
    """Its fields; of a job in it, those too: jobs are equal to themselves only."""
    found = (getattr(value, field.name) for field in fields(value))
    return tuple(of(one) if isinstance(one, Job) else one for one in found)


def test_every_one_of_them_is_tried() -> None:
    assert {kind.__name__ for kind in Native.__subclasses__()} <= {type(value).__name__ for value in VALUES}


@every
def test_it_takes_its_fields_in_order(value: Any) -> None:
    assert list(inspect.signature(type(value)).parameters) == [field.name for field in fields(value)]


@every
def test_it_pickles_and_copies(value: Any) -> None:
    for again in (pickle.loads(pickle.dumps(value)), copy.copy(value), copy.deepcopy(value), replace(value)):
        assert type(again) is type(value)
        assert again is not value
        assert of(again) == of(value)


@every
def test_it_compares_by_its_fields_unless_it_changes(value: Any) -> None:
    again = copy.copy(value)
    assert (again == value) is not isinstance(value, Job)


def test_one_field_is_replaced() -> None:
    later = replace(REQUEST, deadline_s=9.0)
    assert later != REQUEST
    assert asdict(later) == {**asdict(REQUEST), "deadline_s": 9.0}
    assert hash(replace(later, deadline_s=inf)) == hash(REQUEST)


@pytest.mark.skipif(WHY_NOT is not None, reason=f"runs uncompiled: {WHY_NOT}")
def test_compiled_it_cannot_be_changed() -> None:
    with pytest.raises((AttributeError, FrozenInstanceError)):
        REQUEST.deadline_s = 9.0  # type: ignore[misc]


def test_a_row_of_the_journal_is_read_back() -> None:
    assert request_of({**row_of(REQUEST), "deadline_s": None}) == REQUEST
    assert measured_of(row_of(MEASURED)) == MEASURED
    with pytest.raises(ValueError, match="arrival_s"):
        request_of({**row_of(REQUEST), "arrival_s": "soon"})
    with pytest.raises(ValueError, match="mode"):
        measured_of({**row_of(MEASURED), "mode": "tpu"})
