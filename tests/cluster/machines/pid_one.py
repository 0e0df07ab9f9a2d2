"""The first process of a machine: makes the machine out of the namespaces it was started in, then waits.

`site.py` starts it by `unshare` in network, mount, process, host-name and IPC namespaces of its own, with a JSON text
that says what machine it shall be (`Plan`) and a socket. It builds a root of its own, an overlay over the host's
which only writes to memory, takes the host's view away, opens its network device, hands that to the switch through the
socket, starts sshd, and reaps whatever ends. It ends when nobody holds the other end of the socket any more, and the
kernel ends with it every process of the machine, its mounts and its devices. Only the standard library is used here.
"""

from __future__ import annotations

import fcntl
import json
import os
import selectors
import signal
import socket
import struct
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

DEVICE = "lan0"
MTU = 9000
_STAGE = Path("/mnt")
_IFF_TAP, _IFF_NO_PI, _TUNSETIFF = 0x0002, 0x1000, 0x400454CA
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
SSHD = "/usr/sbin/sshd"
SSHD_SETTINGS = """\
Port 22
HostKey /etc/ssh/machine_key
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
StrictModes no
PidFile none
MaxStartups 100
MaxSessions 100
Subsystem sftp internal-sftp
"""


@dataclass(frozen=True)
class Plan:
    """What a machine is to be."""

    name: str
    address: str
    """Its IPv4 address, of a /24 network."""
    hosts: dict[str, str]
    """Names of all machines to their addresses."""
    python: str
    """Folder of the environment with the pinned packages: there under the same path, writable, its writes its own."""
    runtime: str
    """Folder of the Python that the environment was made from; read-only."""
    hidden: list[str]
    """Folders of the host that this machine does not have."""
    shown: list[str]
    """Folders of the host that it has although their surroundings are hidden; read-only."""
    authorized_key: str
    """Public key of who may come in by SSH."""


def main(plan: Plan, outside: socket.socket) -> None:
    """Become that machine; returns when it is to end."""
    tap = open_tap()
    make_root(plan)
    set_up_network(plan, tap)
    set_up_login(plan)
    sshd = subprocess.Popen([SSHD, "-D", "-e", "-f", "/etc/ssh/machine_config"], stdin=subprocess.DEVNULL)
    socket.send_fds(outside, [b"up"], [tap])
    os.close(tap)
    wait_for_the_end(outside, sshd.pid)


def open_tap() -> int:
    """A TAP device in this network namespace; whoever holds the descriptor is the cable's other end."""
    tap = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(tap, _TUNSETIFF, struct.pack("16sH22x", DEVICE.encode(), _IFF_TAP | _IFF_NO_PI))
    return tap


def make_root(plan: Plan) -> None:
    """A root of its own: the host's files below, everything written kept in memory, nothing of the host's homes."""
    run("mount", "--make-rprivate", "/")
    mount_tmpfs(_STAGE)
    root = _STAGE / "root"
    overlay(Path("/"), root, "root")
    for name in ("tmp", "root", "run", "var/tmp"):
        mount_tmpfs(root / name, "1777" if name.endswith("tmp") else "755")
    for folder in plan.hidden:
        if Path(folder).is_dir():
            beneath(root, folder).mkdir(parents=True, exist_ok=True)
            mount_tmpfs(beneath(root, folder))
    for folder in (plan.runtime, *plan.shown):
        bind_read_only(folder, beneath(root, folder))
    overlay(Path(plan.python), beneath(root, plan.python), "python")
    make_dev(root / "dev")
    run("mount", "-t", "proc", "proc", str(root / "proc"))
    run("mount", "-t", "sysfs", "-o", "ro", "sysfs", str(root / "sys"))
    os.chdir(root)
    run("pivot_root", ".", "mnt")
    os.chroot(".")
    os.chdir("/")
    run("umount", "-l", "/mnt")


def make_dev(dev: Path) -> None:
    """The few devices a program needs, and terminals and shared memory of the machine's own."""
    mount_tmpfs(dev)
    for name in _DEVICES:
        (dev / name).touch()
        run("mount", "--bind", f"/dev/{name}", str(dev / name))
    (dev / "pts").mkdir()
    run("mount", "-t", "devpts", "-o", "newinstance,ptmxmode=0666", "devpts", str(dev / "pts"))
    (dev / "ptmx").symlink_to("pts/ptmx")
    (dev / "fd").symlink_to("/proc/self/fd")
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        (dev / name).symlink_to(f"/proc/self/fd/{number}")
    (dev / "shm").mkdir()
    mount_tmpfs(dev / "shm", "1777")


def overlay(lower: Path, at: Path, name: str) -> None:
    """The folder `lower` of the host at that place, what is written there kept in the stage's memory."""
    upper, work = _STAGE / f"{name}.upper", _STAGE / f"{name}.work"
    for folder in (upper, work, at):
        folder.mkdir(parents=True, exist_ok=True)
    layers = f"lowerdir={lower},upperdir={upper},workdir={work}"
    run("mount", "-t", "overlay", "-o", layers, "overlay", str(at))


def bind_read_only(folder: str, at: Path) -> None:
    """The host's folder at that place, not to be written to."""
    at.mkdir(parents=True, exist_ok=True)
    run("mount", "--bind", folder, str(at))
    run("mount", "-o", "remount,bind,ro", str(at))


def mount_tmpfs(at: Path, mode: str = "755") -> None:
    run("mount", "-t", "tmpfs", "-o", f"mode={mode}", "tmpfs", str(at))


def beneath(root: Path, folder: str) -> Path:
    """Where an absolute path lies below another root."""
    return root / folder.lstrip("/")


def set_up_network(plan: Plan, tap: int) -> None:
    """Name, address, and a default route, by which programs find out which address is theirs. There is no DNS."""
    socket.sethostname(plan.name)
    hosts = {"localhost": "127.0.0.1", **plan.hosts}
    Path("/etc/hosts").write_text("".join(f"{at} {name}\n" for name, at in hosts.items()))
    Path("/etc/resolv.conf").write_text("")
    for words in (
        "link set lo up",
        f"link set {DEVICE} mtu {MTU} up",
        f"addr add {plan.address}/24 dev {DEVICE}",
        f"route add default dev {DEVICE}",
    ):
        run("ip", *words.split())


def set_up_login(plan: Plan) -> None:
    """Keys only, and for everybody who logs in the environment's programs first on the path, as an image would have."""
    ssh = Path("/root/.ssh")
    ssh.mkdir(mode=0o700)
    (ssh / "authorized_keys").write_text(plan.authorized_key)
    Path("/root/.bashrc").touch()  # Ray's launcher sources it
    shadow = Path("/etc/shadow")
    lines = [line for line in shadow.read_text().splitlines() if not line.startswith("root:")]
    shadow.write_text("\n".join(["root:*:19000:0:99999:7:::", *lines, ""]))
    Path("/etc/profile.d/edgebed-machine.sh").write_text(f'export PATH="{plan.python}/bin:$PATH"\n')
    Path("/etc/pip.conf").write_text("[global]\nno-index = true\n[install]\nno-build-isolation = false\n")
    Path("/etc/ssh/machine_config").write_text(SSHD_SETTINGS)
    Path("/run/sshd").mkdir(exist_ok=True)
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "/etc/ssh/machine_key")


def wait_for_the_end(outside: socket.socket, sshd: int) -> None:
    """Reap what ends until the outside lets go of the socket. Raises `RuntimeError` if sshd ends before."""
    wake, wakened = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wakened)
    selector = selectors.DefaultSelector()
    selector.register(outside, selectors.EVENT_READ)
    selector.register(wake, selectors.EVENT_READ)
    while all(key.fd == wake for key, _ in selector.select()):
        os.read(wake, 4096)
        if sshd in reaped():
            raise RuntimeError("sshd ended")


def reaped() -> list[int]:
    """Wait for every child that has ended; as PID 1 this includes what others left behind."""
    found = []
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return found
        if pid == 0:
            return found
        found.append(pid)


def run(*words: str) -> None:
    subprocess.run(words, check=True, stdin=subprocess.DEVNULL)


if __name__ == "__main__":
    main(Plan(**json.loads(sys.argv[1])), socket.socket(fileno=int(sys.argv[2])))
