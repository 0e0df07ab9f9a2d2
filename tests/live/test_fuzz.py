"""Requests made from the gateway's own OpenAPI description: no 5xx but a deliberate 503, errors in one shape."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from serve_apps.gateway.openapi import describe

pytest_plugins = ("schemathesis.pytest.plugin",)
schema = schemathesis.openapi.from_dict(describe())


@pytest.fixture(scope="module")
def base_url(begin: Callable[..., Any]) -> Iterator[str]:
    run = begin("sect", deadline_s=20.0, live={"speedup": 200.0})
    yield run.cluster.url
    footer, _ = run.end()
    assert footer.conserved()


@pytest.fixture(scope="module")
def http(base_url: str) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=base_url, timeout=30) as client:
        yield client


def _proper(status: int, kind: str, body: Callable[[], Any]) -> None:
    assert status < 500 or status == 503, f"{status}"
    if status >= 400 and "json" in kind:
        error = body()["error"]
        assert {"message", "type", "param", "code"} <= set(error)
        assert error["message"]


@schema.parametrize()
@settings(
    max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None
)
def test_requests_of_the_description_and_broken_ones_are_answered(case: Any, base_url: str) -> None:
    response = case.call(base_url=base_url, timeout=30)
    _proper(response.status_code, response.headers.get("content-type", [""])[0], response.json)


@settings(
    max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None
)
@pytest.mark.parametrize(
    "path", ["/v1/chat/completions", "/v1/completions", "/v1/images/generations", "/v1/responses"]
)
@given(raw=st.binary(max_size=300))
def test_any_bytes_as_a_body_are_a_client_error(path: str, raw: bytes, http: httpx2.Client) -> None:
    response = http.post(path, content=raw, headers={"content-type": "application/json"})
    _proper(response.status_code, response.headers.get("content-type", ""), response.json)
    assert response.status_code in (400, 413)
