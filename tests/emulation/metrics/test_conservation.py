from __future__ import annotations

from dataclasses import replace

from emulation.metrics.conservation import conservation
from tests.build.records import footer, request, run


def test_a_balanced_run_is_conserved() -> None:
    found = conservation(run([request(0, 1), request(0, 1, "b", outcome="rejected")]))
    assert found.ok
    assert (found.arrived, found.ended, found.in_system) == (2, 2, 0)


def test_a_lost_request_is_named_with_its_model() -> None:
    whole = run([request(0, 1), request(0, 1, "b")])
    assert whole.footer is not None
    found = conservation(replace(whole, footer=replace(whole.footer, arrived={"a": 1, "b": 2})))
    assert not found.ok
    assert found.problems == ("b: 2 arrived, but 1 ended and 0 are in the system",)


def test_requests_still_inside_are_accounted_for_by_name() -> None:
    requests = [request(0, 1), *(request(0, 9, outcome="unfinished") for _ in range(2))]
    assert conservation(run(requests)).ok
    found = conservation(replace(run(requests[:2]), footer=footer(requests)))
    assert found.problems == ("a: the footer states 2 in the system, the record names 1",)


def test_before_version_3_what_is_inside_is_only_counted() -> None:
    requests = [request(0, 1)]
    books = replace(footer(requests), arrived={"a": 3}, in_system={"a": 2})
    assert conservation(replace(run(requests, version=2), footer=books)).ok
    assert not conservation(replace(run(requests), footer=books)).ok


def test_a_footer_that_contradicts_the_record_is_caught() -> None:
    requests = [request(0, 1), request(0, 1)]
    found = conservation(replace(run(requests[:1]), footer=footer(requests)))
    assert found.problems == ("a: the footer states 2 done, the record has 1",)


def test_a_request_may_end_once_only() -> None:
    twice = request(0, 1)
    found = conservation(run([twice, twice]))
    assert not found.ok
    assert "ends 2 times" in found.problems[0]


def test_a_cut_run_proves_nothing() -> None:
    found = conservation(replace(run([request(0, 1)]), footer=None))
    assert not found.ok
    assert "no footer" in found.problems[0]
