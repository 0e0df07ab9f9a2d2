"""Who lives in a testbed: Ray's own processes on this machine by number, actors and replicas by Ray's table of them."""

from __future__ import annotations

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import ray

from serve_apps.testbed.lives import Life, Role, Watch
from serve_apps.testbed.processes import Process
from serve_apps.wire.names import GATEWAY_APP, RECORDER
from serve_apps.wire.testbed import ours

log = logging.getLogger("edgebed")

LOOK_S = 1.0
"""Wall seconds between two looks."""
HEAD, CONTROL_SERVICE, CONTROLLER = "Ray's head raylet", "Ray's control service (GCS)", "Serve's controller"
SILENT_S = 30.0
"""Wall seconds without an answer after which Ray's table of actors counts as gone."""
BACK_S = 60.0
"""Wall seconds an actor has to come back."""
_REPLICA = "SERVE_REPLICA::"
_CONTROLLER_NAME = "SERVE_CONTROLLER_ACTOR"

ActorTable = Mapping[str, Mapping[str, Any]]
"""Ray's: actor id to `Name`, `State`, `NumRestarts` and more."""


def lives_in(table: ActorTable, job: str) -> dict[str, set[Life]]:
    """Role to its lives, out of Ray's table of actors: those of this job, and Serve's of this testbed.

    A replica's role is its application, any other actor's its name; one without a name has none.
    """
    found: dict[str, set[Life]] = defaultdict(set)
    for actor, row in table.items():
        name = str(row["Name"])
        if name.startswith(_REPLICA):
            role = next(iter(ours({name.removeprefix(_REPLICA).partition("#")[0]: row})), "")
        else:
            role = CONTROLLER if name == _CONTROLLER_NAME else name if row["JobID"] == job else ""
        if role and row["State"] == "ALIVE":
            found[role].add(Life(actor, row["NumRestarts"]))
    return found


def roles(actors: Iterable[str], apps: Iterable[str], processes: Iterable[str]) -> list[Role]:
    """What a testbed of these actors, Serve applications and processes of Ray needs. Without head, control service,
    recorder or gateway it cannot go on; of what runs on one node only, the rest of it can do without."""
    vital = {HEAD, CONTROL_SERVICE, RECORDER, GATEWAY_APP}
    patience = {name: 0.0 for name in processes}
    patience.setdefault(CONTROL_SERVICE, 0.0)
    patience |= {name: BACK_S for name in (*actors, *apps, CONTROLLER)}
    return [Role(name, patience_s, name in vital) for name, patience_s in patience.items()]


class Lookout:
    """Looks once a second, in a thread of its own, from `begin` to `stop`."""

    def __init__(self, ask: Callable[[], dict[str, set[Life]]] | None = None) -> None:
        """`ask`: role to its lives as Ray has them; may block, and raise what it likes."""
        self.watch = Watch()
        self._ask_ray = ask or lives_now
        self._processes: dict[str, Process] = {}
        self._mend: Callable[[], Process | None] | None = None
        self._known: dict[str, set[Life]] = {}
        self._answered_s = time.monotonic()
        self._asking: threading.Thread | None = None
        self._one_at_a_time = threading.Lock()
        self._ended = threading.Event()
        self._looking = threading.Thread(target=self._run, name="lookout", daemon=True)

    def begin(
        self, actors: Iterable[str], apps: Iterable[str], processes: Mapping[str, Process],
        mend: Callable[[], Process | None] | None = None,
    ) -> None:  # fmt: skip
        """From now on see who dies of these actors, Serve applications and processes of Ray.

        `mend`: starts Ray's control service again.
        """
        self._processes, self._mend = dict(processes), mend
        for role in roles(actors, apps, processes):
            self.watch.expect(role)
        self._ask()  # whoever dies before the first look has lived
        self.look()
        self._looking.start()

    def stop(self) -> None:
        """Look no more: what ends from now on ends as planned. Waits for a question to Ray that is under way."""
        self._ended.set()
        for thread in (self._looking, self._asking):
            if thread is not None and thread.is_alive():
                thread.join(LOOK_S)

    def look(self) -> str | None:
        """See at once who lives; why the testbed cannot go on, or None."""
        with self._one_at_a_time:
            self._look()
        return self.watch.lost

    def is_lost(self) -> bool:
        """Whether the testbed cannot go on, as was seen last."""
        return self.watch.lost is not None

    def lives(self, role: str) -> bool:
        """Whether somebody is in a role, stalled or not, as Ray's table said last."""
        return bool(self._known.get(role))

    def gateway_lives(self, source: str) -> bool:
        """Whether a gateway process lives, stalled or not; `source`: as it calls itself in its records."""
        return any(life.of == source.split(":")[1] for life in self._known.get(GATEWAY_APP, ()))

    def head_alive(self) -> bool:
        """Whether Ray's head is whole, as far as it was started here."""
        return all(p.alive() for name, p in self._processes.items() if name in (HEAD, CONTROL_SERVICE))

    def settled(self) -> str | None:
        """Wait until all that it cannot do without is there, or counts as gone; then as `look`."""
        while self.look() is None and self.watch.waits():
            time.sleep(LOOK_S)
        return self.watch.lost

    def _look(self) -> None:
        """Processes at once; Ray is asked beside it, so that one that is silent hides nothing else."""
        self._mend_service()
        lives = {name: {Life(p.name)} for name, p in self._processes.items() if p.alive()}
        own = CONTROL_SERVICE in self._processes
        if (not own or CONTROL_SERVICE in lives) and (self._asking is None or not self._asking.is_alive()):
            self._asking = threading.Thread(target=self._ask, name="lookout asks", daemon=True)
            self._asking.start()
            self._asking.join(LOOK_S)
        now_s = time.monotonic()
        if not own and now_s - self._answered_s < SILENT_S:
            lives[CONTROL_SERVICE] = {Life("answers")}
        self.watch.look(now_s, {**self._known, **lives})

    def _mend_service(self) -> None:
        """Start Ray's control service again if it is the one thing that is missing of Ray's head."""
        service, head = self._processes.get(CONTROL_SERVICE), self._processes.get(HEAD)
        if self._mend is None or service is None or service.alive() or head is None or not head.alive():
            return
        try:
            found = self._mend()
        except Exception as error:  # Ray raises what it likes; it is then seen to be away
            log.error("%s did not start again: %s", CONTROL_SERVICE, error)
            self._mend = None
        else:
            if found is not None:
                log.warning("%s had died and was started again", CONTROL_SERVICE)
                self._processes[CONTROL_SERVICE] = found

    def _ask(self) -> None:
        try:
            self._known = self._ask_ray()
            self._answered_s = time.monotonic()
        except Exception as error:  # Ray raises what it likes; that it said nothing is what matters
            log.warning("Ray's table of actors: %s", error)

    def _run(self) -> None:
        while not self._ended.wait(LOOK_S):
            self.look()


def lives_now() -> dict[str, set[Life]]:
    """`lives_in` of Ray's present table. Blocks while Ray does not answer."""
    ask: Any = ray._private.state.actors
    return lives_in(ask(), ray.get_runtime_context().get_job_id())
