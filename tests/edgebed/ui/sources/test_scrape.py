"""What a record cannot say of requests under way is asked of the gateways: bounded, again and again, errors said."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import orjson
import pytest

from edgebed.runs.layout import Layout
from edgebed.ui.sources import followed, scrape
from edgebed.ui.sources.followed import FollowedRun
from edgebed.ui.sources.scrape import Scrape, look_of
from emulation.domain.records import EventRecord
from emulation.recording import RECORD_FILE, encode
from serve_apps.observe.exposition import exposition
from serve_apps.observe.samples import Sample
from tests.build.waiting import eventually


def gateway_text(t_s: float, in_flight: int, scheme: str = "MA") -> str:
    """What a gateway counts itself."""
    samples = [
        Sample("edgebed_in_flight", ("gpt2", "dispatched"), in_flight - 1),
        Sample("edgebed_in_flight", ("sd", "held"), 1),
        Sample("edgebed_run_info", (scheme, "demo", "warm"), 1.0),
        Sample("edgebed_virtual_seconds", (), t_s),
        Sample("edgebed_speedup_ratio", (), 10.0),
        Sample("edgebed_executor_masked", ("arc-b60/sd", "arc-b60"), 1.0),
        Sample("edgebed_executor_risky", ("arc-b60/gpt2", "arc-b60"), 0.0),
    ]
    return exposition(samples)[0].decode()


def nodes_text() -> str:
    """What nodes and recorder count."""
    samples = [
        Sample("vllm:num_requests_running", ("gpt2", "arc-b60"), 1),
        Sample("vllm:num_requests_waiting", ("gpt2", "arc-b60"), 4),
        Sample("edgebed_executor_share_ratio", ("arc-b60/gpt2", "arc-b60"), 0.45),
        Sample("edgebed_arrived_requests_total", ("gpt2",), 70),
    ]
    return exposition(samples)[0].decode()


class Gateways:
    """Stand-ins for two gateways behind one address."""

    def __init__(self) -> None:
        self.pages: dict[str, str] = {}
        self.asked: list[tuple[str, str | None]] = []
        gateways = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                gateways.asked.append((self.path, self.headers["Authorization"]))
                page = gateways.pages.get(self.path)
                self.send_response(503 if page is None else 200)
                self.end_headers()
                self.wfile.write((page or "").encode())

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        one, two = ({"number": n, "alive": True, "url": f"{self.url}/{n}"} for n in range(2))
        gone = {"number": 2, "alive": False}
        self.pages["/control/gateways"] = orjson.dumps({"gateways": [one, two, gone]}).decode()
        self.pages["/0/metrics/testbed"] = nodes_text()
        self.tell(100.0)

    def tell(self, t_s: float, scheme: str = "MA") -> None:
        """It is this moment."""
        self.pages["/0/metrics/gateway"] = gateway_text(t_s, 5, scheme)
        self.pages["/1/metrics/gateway"] = gateway_text(t_s - 0.1, 3, scheme)


@pytest.fixture
def gateways() -> Iterator[Gateways]:
    """Two that answer."""
    made = Gateways()
    thread = Thread(target=made.server.serve_forever, args=(0.01,))
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


@pytest.fixture
def scraped(gateways: Gateways) -> Iterator[Scrape]:
    """Somebody who looks at them."""
    made = Scrape(gateways.url, every_s=0.02)
    made.start()
    yield made
    made.close()


def test_a_look_adds_the_gateways_up() -> None:
    look = look_of([gateway_text(100.0, 5), gateway_text(99.9, 3), nodes_text()])
    assert look is not None
    assert (look.t_s, look.scheme, look.in_flight, look.speedup) == (100.0, "MA", 8, 10.0)
    assert look.queued == {("arc-b60", "gpt2"): 5}
    assert (look.share, look.masked, look.arrived) == ({"arc-b60/gpt2": 0.45}, {"arc-b60/sd"}, {"gpt2": 70})


def test_between_two_runs_there_is_nothing_to_see() -> None:
    assert look_of([nodes_text()]) is None


def test_every_gateway_is_asked_alone_and_the_token_goes_to_control_only(
    gateways: Gateways, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGEBED_TOKEN", "secret")
    made = Scrape(gateways.url, every_s=0.02)
    made.start()
    eventually(lambda: made.looks)
    made.close()
    assert made.looks[0].in_flight == 8
    assert {path for path, token in gateways.asked if token == "Bearer secret"} == {"/control/gateways"}


def test_a_gateway_that_is_gone_is_said_and_tried_again(gateways: Gateways, scraped: Scrape) -> None:
    eventually(lambda: scraped.looks)
    page = gateways.pages.pop("/1/metrics/gateway")
    eventually(lambda: "503" in scraped.problem)
    gateways.pages["/1/metrics/gateway"] = page
    eventually(lambda: not scraped.problem)


def test_an_answer_without_end_is_not_taken(
    gateways: Gateways, scraped: Scrape, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scrape, "MOST_BYTES", 100)
    eventually(lambda: "more than 100 bytes" in scraped.problem)


def test_nobody_there_is_said() -> None:
    made = Scrape("http://127.0.0.1:9", every_s=0.02)
    made.start()
    eventually(lambda: made.problem)
    made.close()
    assert "127.0.0.1:9 does not say how it is" in made.problem


def test_a_look_counts_for_the_moments_just_after_it(gateways: Gateways, scraped: Scrape) -> None:
    eventually(lambda: scraped.looks)
    assert scraped.at(100.3) is not None
    assert scraped.at(200.0) is None
    assert scraped.at(50.0) is None


@pytest.mark.slow
def test_a_run_that_grows_shows_who_is_under_way(
    root: Path, tmp_path: Path, gateways: Gateways, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LOOK_S", "WRITTEN_S"):
        monkeypatch.setattr(followed, name, 0.0)
    folder = tmp_path / "copied" / "MA" / "seed-0"
    folder.mkdir(parents=True)
    shutil.copy(root / "scenario.json", folder.parents[1])
    lines = (Layout(root).run_folder("MA", 0) / RECORD_FILE).read_bytes().splitlines(keepends=True)
    (folder / RECORD_FILE).write_bytes(b"".join(lines[: len(lines) // 2]))
    os.utime(folder / RECORD_FILE, (2**33, 2**33))  # however slow this machine is, its last line is fresh
    run = FollowedRun(folder, Layout(root).scenario(), gateways.url)
    eventually(lambda: run.span().to_s == 100.0)
    frame = run.frame(100.0)
    assert frame.arrived == 70 == frame.done + frame.failed + frame.in_system
    assert round(sum(run.series(100.0).models["gpt2"].arrived_per_s) * run.series(100.0).bucket_s) == 70
    executors = {e.id: e for node in frame.nodes for e in node.executors}
    assert executors["arc-b60/gpt2"].queued == 5
    assert executors["arc-b60/sd"].masked
    gateways.tell(101.0, scheme="AL")  # the next run has begun
    gateways.asked.clear()
    eventually(lambda: ("/1/metrics/gateway", None) in gateways.asked[4:])
    assert run.span().to_s == 100.0
    assert {e.queued for node in run.frame(101.0).nodes for e in node.executors} == {None}
    to = {"value": 0.0, "scheme": "AL", "before": "MA", "reasoner": "none"}
    switch = EventRecord(100.5, 99, "scheme", "AL", "onset", visible=False, detail=to)
    with (folder / RECORD_FILE).open("ab") as file:
        file.write(encode(switch))  # no other run: this one was switched
    os.utime(folder / RECORD_FILE, (2**33, 2**33))
    eventually(lambda: run.span().to_s == 101.0)
    assert 5 in {e.queued for node in run.frame(101.0).nodes for e in node.executors}
    run.close()
