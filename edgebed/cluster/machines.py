"""What a user says of the machines that play the edge nodes: the file of `edgebed cluster render --machines`."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from emulation.domain.quantities import NodeName, Range, Words
from emulation.domain.strict import Strict, check_unique

NOT_IN_A_COMMAND = r"[^\s'\"`$&|;<>(){}\[\]*?!\\#]+"
"""Text that stays one word, as it is, in a command of a shell."""

Address = Annotated[str, Words("an IP address or host name", 253, r"[0-9A-Za-z][0-9A-Za-z.:-]*")]
RemotePath = Annotated[
    str, Words("an absolute path or one below ~, without spaces", 500, rf"(~/|/){NOT_IN_A_COMMAND}")
]
LocalPath = Annotated[str, Words("a path without spaces", 500, NOT_IN_A_COMMAND)]
User = Annotated[str, Words("a user's name", 64, r"[A-Za-z_][A-Za-z0-9_.-]*")]
Interface = Annotated[str, Words("the name of a network interface", 64, r"[A-Za-z0-9_.@-]+")]
Program = Annotated[str, Words("a program's name or path", 500, NOT_IN_A_COMMAND)]


def is_ip(text: str) -> bool:
    """Whether a text is an IP address, of either family."""
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _an_ip(value: str) -> str:
    if not is_ip(value):
        raise ValueError(f"must be an IP address, not {value!r}")
    return value


RayPort = Annotated[int, Range(1_024, 65_535)]
NodeIp = Annotated[str, AfterValidator(_an_ip)]


class Machine(Strict):
    """One machine that is there already and is reached by SSH."""

    ip: Address
    """Where SSH finds it, from the machine that runs `ray up` and from the head."""
    node_ip: NodeIp | None = None
    """Address by which the other machines reach its Ray, where that is not `ip`."""
    interface: Interface | None = None
    """Take the IPv4 address of this interface in the place of `node_ip`, looked up as Ray starts."""

    @model_validator(mode="after")
    def _one_address(self) -> Self:
        if self.node_ip is not None and self.interface is not None:
            raise ValueError(
                f"interface {self.interface!r} stands beside node_ip {self.node_ip!r}; keep one of them"
            )
        if not is_ip(self.ip) and self.node_ip is None and self.interface is None:
            raise ValueError(
                f"ip {self.ip!r} is a name; add node_ip or interface, of which Ray takes the address"
            )
        return self


class LocalMachines(Strict):
    """Machines of one's own: the head, and one for each edge node of the testbed."""

    head: Machine
    """It carries gateway, recorder, planner and scheduler, and plays no edge node."""
    nodes: dict[NodeName, Machine] = Field(min_length=1, max_length=1_024)
    """Edge node to the machine that plays it."""
    user: User
    """Name to log in by SSH."""
    key: LocalPath | None = None
    """Private key to log in with; None: SSH's own."""
    python: Program = "python3.11"
    """Interpreter on the machines that the virtual environment is made with."""
    venv: RemotePath = "~/edgebed-venv"
    """Virtual environment on the machines; made where there is none."""
    work_dir: RemotePath = "~/edgebed"
    """Folder on the machines that the project is copied to."""
    project: LocalPath = "."
    """The project's checkout here."""
    token: LocalPath = "~/.ray/auth_token"
    """File here that holds the secret of the cluster."""
    install: bool = True
    """Install the project into `venv`; false where an image already has it."""
    port: RayPort = 6379
    """Of the head's Ray."""

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        check_unique("head and nodes", [self.head.ip, *(m.ip for m in self.nodes.values())], "ip")
        return self
