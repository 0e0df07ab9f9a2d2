"""What a user says of the machines that play the edge nodes: the file of `edgebed cluster render --machines`."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from edgebed.cluster.launcher import RAY_VERSION
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
CloudName = Annotated[str, Words("a name of a cloud's", 100, r"[A-Za-z0-9][A-Za-z0-9._-]*")]
ImageName = Annotated[str, Words("the name of an image", 500, r"[A-Za-z0-9][A-Za-z0-9._/:@-]*")]
KubeName = Annotated[
    str, Words("a name of Kubernetes: small letters, digits and '-'", 63, r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
]
LabelName = Annotated[str, Words("a label of Kubernetes", 253, r"[A-Za-z0-9]([A-Za-z0-9._/-]*[A-Za-z0-9])?")]
DiskGb = Annotated[int, Range(50, 65_536, "GB")]
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


DOCKER = f"rayproject/ray:{RAY_VERSION}-py311"


class Rented(Strict):
    """What is the same wherever machines are rented."""

    nodes: dict[NodeName, CloudName] = Field(default={}, max_length=1_024)
    """Edge node to the machine type that plays it; for others the smallest that has what the node has."""
    docker: ImageName = DOCKER
    """Image of the container everything runs in; for edge nodes with GPUs, its name with `-gpu` behind it."""
    user: User = "ubuntu"
    """Name to log in by SSH."""
    project: LocalPath = "."
    """The project's checkout here."""
    token: LocalPath = "~/.ray/auth_token"
    """File here that holds the secret of the cluster."""


class AwsMachines(Rented):
    """Machines rented from Amazon."""

    region: CloudName = "us-west-2"
    zones: tuple[CloudName, ...] = Field(default=("us-west-2a", "us-west-2b"), min_length=1, max_length=16)
    """Availability zones, tried in this order."""
    head: CloudName = "c6i.2xlarge"
    """Machine type of the head."""
    disk_gb: DiskGb = 256
    """Disk of each machine; Ray's default image alone takes 140."""


class GcpMachines(Rented):
    """Machines rented from Google."""

    project_id: CloudName
    """Project that pays."""
    region: CloudName = "us-west1"
    zone: CloudName = "us-west1-a"
    head: CloudName = "n2-standard-8"
    """Machine type of the head."""
    disk_gb: DiskGb = 200
    """Disk of each machine."""
    cpu_image: ImageName = "projects/deeplearning-platform-release/global/images/family/common-cpu"
    """Disk image of machines without GPU."""
    gpu_image: ImageName = "projects/deeplearning-platform-release/global/images/family/common-cu121"
    """Disk image of machines with GPUs; NVIDIA's driver is installed as they start."""


class KubeMachines(Strict):
    """Pods of a Kubernetes cluster that has GPUs as `nvidia.com/gpu`, and KubeRay's operator from version 1.5."""

    image: ImageName
    """Container image with Ray and this project in it."""
    namespace: KubeName = "default"
    gateway_port: RayPort = 8_100
    """Of the gateway in the head's pod; 8000 is that of Serve's own proxy."""
    node_selectors: dict[NodeName, dict[LabelName, LabelName]] = Field(default={}, max_length=1_024)
    """Edge node to the labels of the Kubernetes nodes that its pod may run on."""
    head_memory_gb: Annotated[int, Range(2, 10_000, "GB")] = 8
