"""Several machines on one: namespaces joined by a switch of our own, with SSH as the only way from one to another.

    with Site.up(["operator", "head", "worker-1"]) as site:
        site.set_delay(10.0)
        site["operator"].run("ssh head hostname")

What is real: processes, files, host name, loopback, network device, address and shared memory of each machine are its
own; it is entered through sshd with a key. What is not: all share this kernel, its clock, its processors and memory,
and each finds Python and the pinned packages in place, as a machine image would have them. The network is a process
(`switch.py`), slower than a wire. Needs root, `/dev/net/tun`, and the programs of `NEEDED`.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Self

from tests.build.waiting import eventually
from tests.cluster.machines.pid_one import SSHD, Plan

HERE = Path(__file__).parent
CHECKOUT = HERE.parents[2]
NEEDED = (SSHD, "ssh", "ssh-keygen", "rsync", "unshare", "nsenter", "ip", "mount", "pivot_root")
KINDS = ("net", "mnt", "pid", "uts", "ipc")
"""The namespaces of a machine, as `/proc/<pid>/ns` calls them."""
NETWORK = "10.77.0"
UP_LIMIT_S = 30.0
END_LIMIT_S = 20.0
SSH_CONFIG = """\
Host *
  User root
  IdentityFile ~/.ssh/key
  StrictHostKeyChecking no
  UserKnownHostsFile /dev/null
  LogLevel ERROR
"""


def missing() -> list[str]:
    """What this machine lacks to carry others; empty: nothing."""
    lacks = [program for program in NEEDED if shutil.which(program) is None]
    if os.geteuid() != 0:
        lacks.append("root")
    if not Path("/dev/net/tun").exists():
        lacks.append("/dev/net/tun")
    return lacks


class Machine:
    """One of the site's machines, as who sits at it sees it."""

    def __init__(self, plan: Plan, maker: subprocess.Popen[bytes]) -> None:
        self.name = plan.name
        self.address = plan.address
        self.python = plan.python
        self._maker = maker
        self.namespaces = frozenset(_namespaces(maker.pid))
        """Those that are its own."""

    def run(
        self, command: str, timeout_s: float = 60.0, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run a command line in a login shell there; with `check`, raises `AssertionError` if it fails."""
        done = subprocess.run(
            self._entering(command),
            capture_output=True,
            text=True,
            timeout=timeout_s,
            stdin=subprocess.DEVNULL,
        )
        if check and done.returncode != 0:
            raise AssertionError(
                f"{self.name}: {command!r} exits {done.returncode}\n{done.stdout}\n{done.stderr}"
            )
        return done

    def start(self, command: str, **options: Any) -> subprocess.Popen[str]:
        """The same without waiting; the options are those of `Popen`."""
        return subprocess.Popen(self._entering(command), text=True, stdin=subprocess.DEVNULL, **options)

    def write(self, path: str, text: str, mode: int = 0o644) -> None:
        """A file there."""
        where = shlex.quote(path)
        line = f"mkdir -p $(dirname {where}) && umask 077 && cat > {where} && chmod {mode:o} {where}"
        subprocess.run(self._entering(line), input=text, text=True, check=True, timeout=20)

    def read(self, path: str) -> str:
        """The text of a file there."""
        return self.run(f"cat {shlex.quote(path)}").stdout

    def processes(self) -> list[str]:
        """Command lines of what runs there, without its first process, sshd and the one that looks."""
        lines = self.run("ps -ww -e -o pid=,args=").stdout.splitlines()
        own = ("pid_one.py", "sshd", "ps -ww", "bash -lc ps")
        return [line.strip() for line in lines if not any(word in line for word in own)]

    def _entering(self, command: str) -> list[str]:
        maker = f"/proc/{self._maker.pid}/ns"
        kinds = [f"--{kind}={maker}/{file}" for kind, file in _ENTRANCES.items()]
        return ["nsenter", *kinds, "env", "-C", "/root", "-i", *_ENVIRONMENT, "bash", "-lc", command]


_ENTRANCES = {"net": "net", "mount": "mnt", "uts": "uts", "ipc": "ipc", "pid": "pid_for_children"}
"""What nsenter calls a namespace, to its file at the process that made it, which is not in the process namespace."""


_ENVIRONMENT = ("HOME=/root", "TERM=dumb", "LANG=C.UTF-8", "RAY_USAGE_STATS_ENABLED=0")


class Site:
    """The machines and what joins them; `up` makes one and takes it down again."""

    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        self._folder = folder
        self._hosts = {name: f"{NETWORK}.{number}" for number, name in enumerate(names, start=1)}
        self._machines: dict[str, Machine] = {}
        self._switch: subprocess.Popen[str] | None = None
        self._left: list[int] = []

    @classmethod
    @contextmanager
    def up(cls, names: Sequence[str], shown: Sequence[str] = ()) -> Iterator[Self]:
        """Machines of these names, all reachable by SSH from the first, which alone has the checkout.

        When the block ends, however it does, every process, mount and device of theirs ends.
        Raises `RuntimeError` if a machine does not come up, or if something of it is left at the end.
        """
        with tempfile.TemporaryDirectory(prefix="edgebed-site-") as folder, ExitStack() as stack:
            site = cls(Path(folder), names)
            stack.callback(site._check_nothing_is_left)
            site._start(stack)
            yield site

    def __getitem__(self, name: str) -> Machine:
        return self._machines[name]

    @property
    def namespaces(self) -> frozenset[str]:
        """All namespaces that are the machines' own."""
        return frozenset().union(*(machine.namespaces for machine in self._machines.values()))

    def set_line(self, name: str, delay_ms: float = 0.0, loss: float = 0.0) -> None:
        """Hold, or lose, what that machine sends from now on."""
        assert self._switch is not None
        assert self._switch.stdin is not None
        assert self._switch.stdout is not None
        self._switch.stdin.write(json.dumps({"port": name, "delay_ms": delay_ms, "loss": loss}) + "\n")
        self._switch.stdin.flush()
        if (said := self._switch.stdout.readline().strip()) != "ok":
            raise RuntimeError(f"the switch says {said!r}")

    def set_delay(self, delay_ms: float) -> None:
        """Hold everything that any machine sends so long: a round trip takes twice that."""
        for name in self._hosts:
            self.set_line(name, delay_ms)

    # -- making

    def _start(self, stack: ExitStack) -> None:
        key = self._folder / "key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
        taps = {}
        for name in self._hosts:
            taps[name] = self._start_machine(stack, name, key.with_suffix(".pub").read_text())
        self._start_switch(stack, taps)
        operator = self._machines[next(iter(self._hosts))]
        operator.write("/root/.ssh/key", key.read_text(), 0o600)
        operator.write("/root/.ssh/config", SSH_CONFIG, 0o600)
        for name in self._hosts:
            eventually(
                lambda to=name: operator.run(f"ssh {to} true", check=False).returncode == 0, UP_LIMIT_S
            )

    def _start_machine(self, stack: ExitStack, name: str, authorized_key: str) -> int:
        """Start it and wait until it stands; the descriptor of its network device."""
        first = name == next(iter(self._hosts))
        plan = Plan(
            name=name,
            address=self._hosts[name],
            hosts=self._hosts,
            python=sys.prefix,
            runtime=sys.base_prefix,
            hidden=[str(CHECKOUT)],
            shown=[str(CHECKOUT)] if first else [],
            authorized_key=authorized_key,
        )
        ours, its = socket.socketpair()
        log = stack.enter_context((self._folder / f"{name}.log").open("w+"))
        program = [str(Path(sys.base_prefix) / "bin" / "python3"), "-I", str(HERE / "pid_one.py")]
        kinds = ["--net", "--mount", "--pid", "--uts", "--ipc", "--fork", "--kill-child"]
        words = ["unshare", *kinds, *program, json.dumps(dataclasses.asdict(plan)), str(its.fileno())]
        with its:
            maker = subprocess.Popen(
                words, pass_fds=[its.fileno()], stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
            )
        stack.callback(_end, maker, ours)
        ours.settimeout(UP_LIMIT_S)
        said, taps, _, _ = socket.recv_fds(ours, 16, 1)
        if said != b"up":
            raise RuntimeError(f"machine {name} does not come up:\n{Path(log.name).read_text()}")
        self._machines[name] = Machine(plan, maker)
        return taps[0]

    def _start_switch(self, stack: ExitStack, taps: dict[str, int]) -> None:
        ports = [f"{name}={fd}" for name, fd in taps.items()]
        self._switch = subprocess.Popen(
            [sys.executable, "-I", str(HERE / "switch.py"), *ports],
            pass_fds=list(taps.values()),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        stack.callback(_end_switch, self._switch)
        for fd in taps.values():
            os.close(fd)

    def _check_nothing_is_left(self) -> None:
        eventually(lambda: not users_of(self.namespaces), END_LIMIT_S, lambda: str(users_of(self.namespaces)))


def _end(maker: subprocess.Popen[bytes], ours: socket.socket) -> None:
    """Let go of a machine: its first process ends by itself, and the kernel ends the rest; kill it if it does not."""
    ours.close()
    try:
        maker.wait(END_LIMIT_S)
    except subprocess.TimeoutExpired:
        maker.kill()
        maker.wait(END_LIMIT_S)


def _end_switch(switch: subprocess.Popen[str]) -> None:
    assert switch.stdin is not None
    assert switch.stdout is not None
    switch.stdin.close()
    switch.wait(END_LIMIT_S)
    switch.stdout.close()


def _namespaces(maker: int) -> Iterator[str]:
    """The namespaces a process is in, or its children are, that are not ours."""
    for file in _ENTRANCES.values():
        found = str(Path(f"/proc/{maker}/ns/{file}").readlink())
        if found != str(Path(f"/proc/self/ns/{file.removesuffix('_for_children')}").readlink()):
            yield found


def users_of(namespaces: frozenset[str]) -> dict[int, list[str]]:
    """Processes of this machine that are in one of these namespaces, with which ones."""
    found: dict[int, list[str]] = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            its = {str((process / "ns" / kind).readlink()) for kind in KINDS}
        except OSError:  # it has ended
            continue
        if shared := sorted(its & namespaces):
            found[int(process.name)] = shared
    return found
