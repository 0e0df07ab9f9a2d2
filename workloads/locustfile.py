"""Sends a scenario's requests to any OpenAI-compatible URL with locust: open loop, on wall time.

    locust -f workloads/locustfile.py --headless -H http://127.0.0.1:8000 --scenario demo --seed 1

Without `--headless`, locust's web page starts and stops it. With `--master` and `--worker`, worker i of n
sends every n-th request; the master shares out the work and the common start. Every option has an
environment variable (`EDGEBED_SCENARIO`, ...); the API key is read from `EDGEBED_API_KEY` only.

Each request leaves at its intended time however many are outstanding, and its latency counts from that time,
so a server that stalls is charged for everything that waited. The run ends by itself. Locust's number of
users has no meaning here: one idle user stands for the client.
"""

from __future__ import annotations

import os
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import gevent  # type: ignore[import-untyped]
from gevent.fileobject import FileObject  # type: ignore[import-untyped]
from locust import User, events, task
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment
from locust.runners import MasterRunner, WorkerRunner

from emulation.files import load_scenario
from workloads.failures import reason_of
from workloads.generate import generate
from workloads.load import ClientResult, worker_log
from workloads.open_loop import GRACE_S, WITHOUT_DEADLINE_S, Timeline, request_timeout_s
from workloads.sender import Job, OpenLoopRun

LEAD_S = 1.0
"""Wall seconds between the start of a test and t0, where none is given."""


class EdgeClient(User):
    """Stands for the client in locust's books; the requests are sent by `OpenLoopRun`."""

    @task
    def idle(self) -> None:
        """Waits: locust insists on a user with a task."""
        gevent.sleep(1.0)


def add_options(parser: LocustArgumentParser) -> None:
    """Our options, also shown on locust's web page."""
    add = parser.add_argument_group("edgebed").add_argument
    add("--scenario", env_var="EDGEBED_SCENARIO", default="demo", help="packaged name or path of a scenario")
    add("--seed", type=int, env_var="EDGEBED_SEED", default=1, help="seed of the requests")
    add("--t0", type=float, env_var="EDGEBED_T0", default=0.0, help="epoch seconds of t = 0; 0: in a second")
    add("--speedup", type=float, env_var="EDGEBED_SPEEDUP", default=0.0, help="0: as the scenario says")
    add(
        "--client-log", env_var="EDGEBED_CLIENT_LOG", default="client.jsonl", help="one JSON line per request"
    )
    add(
        "--plain-ids",
        action="store_true",
        help="call requests as the scenario does: for a testbed that no other load is sent to",
    )
    add(
        "--tell-intended",
        action="store_true",
        help="say of every request when it was meant to leave: for a testbed whose virtual time 0 is --t0",
    )
    add(
        "--rate",
        type=float,
        env_var="EDGEBED_RATE",
        default=1.0,
        help="how many times as densely as the scenario says requests leave",
    )
    add(
        "--steered",
        action="store_true",
        help="read lines `rate <number>` and `stop` from standard input; its end is a stop",
    )
    timeout = "wall seconds before a client without a deadline gives up"
    add(
        "--request-timeout",
        type=float,
        env_var="EDGEBED_REQUEST_TIMEOUT",
        default=WITHOUT_DEADLINE_S,
        help=timeout,
    )
    grace = "wall seconds a client waits past the deadline, and the run for its last request"
    add("--grace", type=float, env_var="EDGEBED_GRACE", default=GRACE_S, help=grace)


class Session:
    """Ties runs to locust's life: start and stop of a test, alone or as master or worker."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._runner: Any = environment.runner
        self._options: Any = environment.parsed_options
        self._assigned: dict[str, Any] | None = None
        """This process's share of the coming test: index, count, t0_wall_s, load_id. Used once."""
        self._run: OpenLoopRun | None = None
        self._sending: Any = None
        self._missing: set[int] = set()
        self._answered = 0
        self._clock_offset_s = time.time() - time.monotonic()
        if isinstance(self._runner, WorkerRunner):
            self._runner.register_message("edgebed_share", self._on_share)
        if isinstance(self._runner, MasterRunner):
            self._runner.register_message("edgebed_done", self._on_done)

    def start(self, **_: Any) -> None:
        """A test starts: share out the work (master) or begin to send."""
        t0_wall_s = self._options.t0 or self._now_s() + LEAD_S
        if not isinstance(self._runner, WorkerRunner):
            load_id = "" if self._options.plain_ids else uuid.uuid4().hex[:8]
            self._assigned = {"index": 0, "count": 1, "t0_wall_s": t0_wall_s, "load_id": load_id}
        assigned, self._assigned = self._assigned, None
        if assigned is None:
            return
        try:
            job = self._job(**assigned)
        except ValueError as error:  # changed on the web page since `begin` looked at it
            print(error, file=sys.stderr)
            gevent.spawn(self._end, False)
            return
        if isinstance(self._runner, MasterRunner):
            self._share_out(job)
        else:
            self._sending = gevent.spawn(self._send_all, job)

    def stop(self, **_: Any) -> None:
        """A test stops, by itself or by hand: every request without an end gets one."""
        self._missing = set()
        if self._sending is not None and self._sending is not gevent.getcurrent():
            self._sending.kill(block=True)
        if self._run is not None:
            self._run.close()

    def _now_s(self) -> float:
        return time.monotonic() + self._clock_offset_s

    def _job(self, index: int, count: int, t0_wall_s: float, load_id: str) -> Job:
        options = self._options
        scenario = load_scenario(options.scenario)
        speedup = options.speedup or scenario.live.speedup
        return Job(
            scenario=scenario,
            workload=generate(scenario, options.seed),
            timeline=Timeline(t0_wall_s, speedup),
            base_url=str(self._environment.host).rstrip("/").removesuffix("/v1"),
            log=worker_log(Path(options.client_log), index, count),
            index=index,
            count=count,
            timeout_s=request_timeout_s(scenario, speedup, options.request_timeout, options.grace),
            grace_s=options.grace,
            api_key=os.environ.get("EDGEBED_API_KEY"),
            load_id=load_id,
            rate=options.rate,
            tell_intended=options.tell_intended,
        )

    def _send_all(self, job: Job) -> None:
        self._run = OpenLoopRun(job, self._now_s, self._sample)
        steering = gevent.spawn(steer, self._run, sys.stdin.fileno()) if self._options.steered else None
        self._run.run()
        if steering is not None:
            steering.kill()
        if isinstance(self._runner, WorkerRunner):
            self._runner.send_message("edgebed_done", {"index": job.index, "answered": self._run.answered})
        else:
            self._end(self._run.answered > 0)

    def _sample(self, kind: str, name: str, wall_s: float, result: ClientResult) -> None:
        """One entry in locust's own figures, in wall milliseconds."""
        failed = kind == "POST" and result.outcome != "done"
        self._environment.events.request.fire(  # type: ignore[no-untyped-call]
            request_type=kind,
            name=name,
            response_time=1000.0 * wall_s,
            response_length=result.output_tokens or 0,
            exception=RuntimeError(f"{result.outcome}: {reason_of(result)}") if failed else None,
            context={"request_id": result.request_id},
        )

    def _share_out(self, job: Job) -> None:
        workers = sorted(client.id for client in self._runner.clients.ready)
        self._missing, self._answered = set(range(len(workers))), 0
        for index, worker in enumerate(workers):
            share = {"index": index, "count": len(workers), "load_id": job.load_id}
            data = {**share, "t0_wall_s": job.timeline.t0_wall_s}
            self._runner.send_message("edgebed_share", data, client_id=worker)
        last_s = job.timeline.wall_s(job.scenario.end_s / job.rate) + job.timeout_s + 2 * job.grace_s
        gevent.spawn_later(max(0.0, last_s - self._now_s()), self._end_late, self._missing)

    def _on_share(self, msg: Any, **_: Any) -> None:
        self._assigned = dict(msg.data)

    def _on_done(self, msg: Any, **_: Any) -> None:
        self._missing.discard(msg.data["index"])
        self._answered += msg.data["answered"]
        if not self._missing:
            gevent.spawn(self._end, self._answered > 0)

    def _end_late(self, missing: set[int]) -> None:
        """The bound of a distributed run, if a worker of this very test is still missing."""
        if missing and missing is self._missing:
            print(f"edgebed: workers {sorted(missing)} never reported their end", file=sys.stderr)
            self._end(False)

    def _end(self, answered: bool) -> None:
        """The run is over: leave (headless) or wait for the next test (web page). Refusals are no failure."""
        self._environment.process_exit_code = 0 if answered else 1
        if self._options.headless:
            self._runner.quit()
        else:
            self._runner.stop()


def steer(run: OpenLoopRun, source: int) -> None:
    """Do what is read from a descriptor until its end, which is a stop: who steered is gone."""
    with FileObject(source, "rb", close=False) as lines:
        for line in lines:
            word, _, number = line.decode(errors="replace").strip().partition(" ")
            if word == "rate":
                run.change_rate(float(number))
            elif word == "stop":
                break
    run.stop_sending()


def begin(environment: Environment, **_: Any) -> None:
    """Checks the configuration before anything runs: one message and exit code 2."""
    if environment.runner is None:
        return
    options: Any = environment.parsed_options
    if not isinstance(environment.runner, WorkerRunner):
        try:
            generate(load_scenario(options.scenario), options.seed)
        except ValueError as error:
            print(error, file=sys.stderr)
            sys.exit(2)
        if options.headless and not environment.host:
            print("no URL to send to; give one with -H http://host:port", file=sys.stderr)
            sys.exit(2)
    session = Session(environment)
    environment.events.test_start.add_listener(session.start)  # type: ignore[no-untyped-call]
    environment.events.test_stop.add_listener(session.stop)  # type: ignore[no-untyped-call]


events.init_command_line_parser.add_listener(add_options)  # type: ignore[no-untyped-call]
events.init.add_listener(begin)  # type: ignore[no-untyped-call]
