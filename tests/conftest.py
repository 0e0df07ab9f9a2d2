"""What tests everywhere share: which kind a folder is, how two processes divide them, and how a process must end.

Marker `models`: loads and runs real (tiny) models, `pip install 'edgebed[models]'`.
"""

from __future__ import annotations

import functools
import gc
import importlib.util
import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
import typer.testing
from _pytest.runner import runtestprotocol
from hypothesis import Phase, settings
from hypothesis.internal.conjecture import engine

from tests.build.checkpoints import made_once
from tests.build.threads import left_behind
from tests.build.waiting import eventually

HERE = Path(__file__).parent
KINDS = {"live": ("ray",), "cluster": ("ray", "cluster"), "vllm": ("vllm",), "ui": ("ui",)}
"""Folder to the markers of everything in it; warnings are no errors there, for what runs there warns about itself."""
LIBRARIES = {"models": ("torch", "transformers", "diffusers"), "vllm": ("vllm",)}
"""Marker to what must be installed for it."""
TORCH = (
    *(
        "edgebed/profile",
        "edgebed/models",
        "edgebed/rl",
        "controller/rl",
        "serve_apps/engines",
        "benchmarks/test_gpu",
    ),
    *("serve_apps/replica/test_injection", "serve_apps/replica/test_real"),
)
"""What loads the libraries of real models, which takes a process many seconds, and makes tiny ones."""
FIRST = (
    *("live/test_real_models", "live/test_gateways", "live/test_vram", "live"),
    *TORCH,
    *("edgebed/report", "docs", "edgebed/reproduce", "edgebed/commands", "edgebed/calibrate", "parity"),
    *("workloads/test_locust", "packaging", "contracts/test_commands", "laws", "controller/agents"),
)
"""What begins first, in this order: what takes long must not begin last, nor Ray start more often than it must."""
TOLD_S = 0.01
"""How many seconds a set-up or a take-down that passed must have taken to be told of (`--durations`)."""
DEATHS = (-signal.SIGSEGV, -signal.SIGABRT, -signal.SIGBUS, -signal.SIGILL)


# Images of containers often forbid it, and then each of the hundreds of processes here compiles our sources anew.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# Typer builds the whole command line anew at each call; hundreds of tests call it, and it is always the same.
typer.main.get_command = typer.testing._get_command = functools.cache(typer.main.get_command)

# How long an example takes says nothing. A failing example is made smaller for a minute at most, then it is printed as
# it is by then, with what brings it back; which parts of it do not matter is left to whoever looks into it.
settings.register_profile("here", deadline=None, phases=set(Phase) - {Phase.explain}, print_blob=True)
engine.MAX_SHRINKING_SECONDS = 60
settings.load_profile("here")


def pytest_configure() -> None:
    # A shell that starts this in the background has it ignore SIGINT, and so would every command under test.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[Any]:
    """Ten thousand tests and their modules are there to the end: the collector of garbage never looks at them again.

    It took a second each time that a test asked for it, and a fifth of the whole.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Do not import a folder of whose tests `-m` leaves none, unless it is asked for by name."""
    if collection_path.parent != HERE or not collection_path.is_dir():
        return None
    named = [Path(arg.partition("::")[0]).absolute() for arg in config.args]
    if any(collection_path in (path, *path.parents) for path in named):
        return None
    wanted = str(config.option.markexpr or "").split(" and ")
    kinds = KINDS.get(collection_path.name, ())
    refused = any(f"not {kind}" in wanted for kind in kinds)
    lacking = not kinds and any(kind in wanted for own in KINDS.values() for kind in own)
    return True if refused or lacking else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    absent = {m: [n for n in needs if importlib.util.find_spec(n) is None] for m, needs in LIBRARIES.items()}
    for item in items:
        kinds = KINDS.get(item.path.relative_to(HERE).parts[0], ())
        for kind in kinds:
            item.add_marker(kind)
        if kinds or item.get_closest_marker("models") is not None:
            item.add_marker(pytest.mark.filterwarnings("default"))
        for marker, missing in absent.items():
            if missing and item.get_closest_marker(marker) is not None:
                item.add_marker(pytest.mark.skip(reason=f"not installed: {', '.join(missing)}"))
    items.sort(key=_turn)


def _turn(item: pytest.Item) -> int:
    path = item.path.relative_to(HERE).as_posix()
    return next((i for i, folder in enumerate(FIRST) if path.startswith(folder)), len(FIRST))


# -- two processes (`pytest -n 2`)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """A process takes a whole file at a time, so what a file shares is made once.

    All that starts Ray counts as one file, so does all that loads the libraries of real models, and all of reports.
    """
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            if file.startswith("tests/live/"):
                return "Ray"
            if file.startswith("tests/edgebed/report/"):
                return "report"
            return "torch" if file.removeprefix("tests/").startswith(TORCH) else file

    config.option.loadscopereorder = (
        False  # it would begin with the files of the most tests, whatever they take
    )
    return ByFile(config, log)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """Of several processes, one reports what matters of a test: not that there was nothing to set up, nor to put away.

    To hand on a report costs more than many a test, and each test has three.
    """
    if not hasattr(item.config, "workerinput"):
        return None
    hook = item.ihook
    hook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    for report in runtestprotocol(item, log=False, nextitem=nextitem):
        if report.when == "call" or not report.passed or report.duration > TOLD_S:
            hook.pytest_runtest_logreport(report=report)
    hook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


# -- the end of a process

_workers: list[Any] = []


@pytest.hookimpl(optionalhook=True)
def pytest_testnodeready(node: Any) -> None:
    _workers.append(node.gateway)


@pytest.hookimpl(wrapper=True)
def pytest_sessionfinish(session: pytest.Session) -> Iterator[None]:
    """With several processes: one that died while its interpreter ended fails the run, like one without others."""
    yield
    ends = [gateway._io.popen.poll() for gateway in _workers]
    if any(code in DEATHS for code in ends):
        session.exitstatus = pytest.ExitCode.INTERNAL_ERROR
        print(f"\na process of the tests died at its end: exit codes {ends}", file=sys.stderr)


@pytest.fixture(scope="session", autouse=True)
def no_thread_outlives_the_tests() -> Iterator[None]:
    """Set up before every other fixture, so torn down after them: whoever started a thread has ended it by then."""
    before = frozenset(threading.enumerate())
    yield
    gc.collect()  # a pool of threads that nobody refers to ends its threads
    eventually(lambda: not left_behind(before), said=lambda: f"still running: {left_behind(before)}")


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages with empty pictures."""
    from tests.build.undrawn import leave_pictures_empty

    leave_pictures_empty(monkeypatch)


@pytest.fixture(scope="session")
def elsewhere() -> Iterator[Any]:
    """One other process for all who ask one."""
    from tests.build.elsewhere import Elsewhere

    one = Elsewhere("1")
    yield one
    one.close()


@pytest.fixture
def one_elsewhere(monkeypatch: pytest.MonkeyPatch, elsewhere: Any) -> None:
    """Whoever breaks no law is asked in one other process, which all of them share, not in two of its own: what breaks
    one is, in `tests/edgebed/check`."""
    monkeypatch.setattr("edgebed.check.apart.HASH_SEEDS", ("1",))
    monkeypatch.setattr("edgebed.check.apart._elsewhere", elsewhere.ask)


@pytest.fixture(scope="session")
def checkpoints(pytestconfig: pytest.Config) -> Path:
    """The folder of all tiny checkpoints. Nobody writes into it: it is kept until what makes them is another."""
    return made_once(pytestconfig.cache.mkdir("tiny"))  # type: ignore[union-attr]


@pytest.fixture(scope="session")
def tiny(checkpoints: Path) -> Path:
    """The same for whoever runs them in this process: on one core, as its other tests leave it no more."""
    import torch

    torch.set_num_threads(1)
    return checkpoints
