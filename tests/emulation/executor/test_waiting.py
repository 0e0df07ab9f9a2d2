"""The queue of an executor counts what waits in it, whatever comes and goes."""

from __future__ import annotations

from collections import Counter, deque
from math import inf

from hypothesis import given
from hypothesis import strategies as st

from emulation.domain.request import Request
from emulation.domain.truth import RequestTruth
from emulation.executor.job import Job
from emulation.executor.waiting import Waiting


def job(number: int, prompts: int) -> Job:
    model = f"m{number % 3}"
    return Job(Request(f"r{number}", model, "n", 0.0, inf, prompts), RequestTruth(noise=(1.0,) * prompts))


@given(
    st.lists(st.tuples(st.sampled_from(["append", "back", "take", "remove"]), st.integers(1, 4)), max_size=30)
)
def test_a_queue_is_in_order_and_counts_what_waits(steps: list[tuple[str, int]]) -> None:
    queue, plain = Waiting(), deque[Job]()
    for number, (step, prompts) in enumerate(steps):
        if step == "append":
            plain.append(job(number, prompts))
            queue.append(plain[-1])
        elif step == "back":
            jobs = [job(1000 * number + i, prompts) for i in range(2)]
            plain.extendleft(reversed(jobs))
            queue.put_back(jobs)
        elif plain and step == "take":
            assert queue.first() is plain[0]
            assert queue.take() is plain.popleft()
        elif plain:
            gone = plain[prompts % len(plain)]
            plain.remove(gone)
            queue.remove(gone)
            queue.remove(gone)
        assert list(queue) == list(plain)
        assert queue.requests == Counter(j.request.model for j in plain)
        assert queue.prompts == {
            m: sum(len(j.truth.noise) for j in plain if j.request.model == m) for m in queue.requests
        }
    assert queue.clear() == list(plain)
    assert not queue
    assert queue.prompts == {}
