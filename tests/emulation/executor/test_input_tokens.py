"""What a real model read is in the record, by its own tokenizer; the law counts what is really read."""

from __future__ import annotations

from math import inf

import pytest

from emulation.domain.cluster import TestbedConfig
from emulation.domain.request import Request
from emulation.domain.truth import RequestTruth
from emulation.executor import Ended, Job, NodeState
from emulation.record_lines import request_record
from emulation.recording import decode, encode

TESTBED = TestbedConfig.model_validate(
    {
        "name": "t",
        "models": [{"id": "m", "modality": "text", "features": "tokens", "modes": ["gpu"]}],
        "nodes": [{"id": "d", "hosting": "device", "gpus": [{"sharing": "none"}]}],
        "profile": [{"model": "m", "mode": "gpu", "theta": [0.01, 0.1]}],
    }
)
REQUEST = Request("r1", "m", "d", 0.0, inf, prompt_tokens=50)


def ended(node: NodeState) -> Ended:
    return next(n for n in node.take_notices() if isinstance(n, Ended))


def test_what_a_real_model_read_comes_with_its_end_and_not_before() -> None:
    node = NodeState(TESTBED, "d", real=("m",))
    job = Job(REQUEST, RequestTruth())
    node.submit("d", job, 0.0)
    assert job.truth.input_tokens is None
    assert node.computed.complete("r1", 2.0, 7, 2.0, 63)
    notice = ended(node)
    record = request_record(REQUEST, notice.outcome, notice.deliver_s, True, notice.job.measured(done=True))
    assert (record.prompt_tokens, record.input_tokens, record.output_tokens) == (50, 63, 7)
    assert decode(encode(record)) == record


def test_a_request_that_is_not_done_has_read_nothing_that_is_known() -> None:
    node = NodeState(TESTBED, "d", real=("m",))
    node.submit("d", Job(REQUEST, RequestTruth()), 0.0)
    node.cancel("r1", 1.0)
    notice = ended(node)
    assert (
        request_record(REQUEST, notice.outcome, 1.0, True, notice.job.measured(done=False)).input_tokens
        is None
    )


@pytest.mark.parametrize(("read", "took_s"), [(None, 0.5 + 0.4), (63, 0.63 + 0.4)])
def test_the_law_counts_what_is_really_read(read: int | None, took_s: float) -> None:
    node = NodeState(TESTBED, "d")
    node.submit("d", Job(REQUEST, RequestTruth(output_tokens=4, input_tokens=read)), 0.0)
    node.advance(10.0)
    assert ended(node).t_s == pytest.approx(took_s)
