"""The text of a launcher file or manifest for a testbed: what `edgebed cluster render` writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml
from pydantic import ValidationError

from edgebed.cluster.clouds import aws_file, gcp_file
from edgebed.cluster.kuberay import CLIENT_PORT, gateway_names, kuberay_files
from edgebed.cluster.local import local_file
from edgebed.cluster.machines import AwsMachines, GcpMachines, KubeMachines, LocalMachines
from emulation.domain.cluster import TestbedConfig
from emulation.domain.complaints import complaint
from emulation.domain.mistakes import ConfigError
from emulation.files import load_settings
from serve_apps.testbed.launcher_file import check_launcher_file

Provider = Literal["aws", "gcp", "local", "kuberay"]
_Machines = TypeVar("_Machines", AwsMachines, GcpMachines, KubeMachines)

HEADS = {
    "aws": """\
# Ray's launcher file for machines of Amazon, written by `{command}`.
#
#   1. ray get-auth-token --generate
#      Once; writes ~/.ray/auth_token, the shared secret of the cluster.
#   2. ray up {file}
#      From the checkout's root.
#   3. ray attach {file} -p 8000
#      A shell on the head; the gateway's port comes along through SSH.
#   4. ray down {file}
#
# What exists (cores, memory, links, models) stands in the testbed file, which both worlds read. This file says only
# which machine plays which node: it advertises the Ray resource `edge:<node-id>`. Ray makes its own key pair, and a
# security group that lets in SSH only. No ImageId: Ray picks its default for the region (one that is named must have
# Docker on it, and NVIDIA's runtime for nodes with GPUs). The token travels over SSH to the head, and from there to
# the workers; without it `ray up` stops at once, and so does `ray start` on any node.
""",
    "gcp": """\
# Ray's launcher file for machines of Google, written by `{command}`.
#
#   1. ray get-auth-token --generate
#      Once; writes ~/.ray/auth_token, the shared secret of the cluster.
#   2. ray up {file}
#      From the checkout's root.
#   3. ray attach {file} -p 8000
#      A shell on the head; the gateway's port comes along through SSH.
#   4. ray down {file}
#
# This file says only which machine plays which edge node: it advertises the Ray resource `edge:<node-id>`.
""",
    "local": """\
# Ray's launcher file for machines of one's own, written by `{command}`.
#
#   1. ray get-auth-token --generate
#      Once; writes ~/.ray/auth_token, the shared secret of the cluster.
#   2. ray up {file}
#      From the checkout's root; SSH and rsync must be on all machines.
#   3. ray attach {file} -p 8000
#      A shell on the head; the gateway's port comes along through SSH.
#   4. ray down {file}
#
# `ray up` and `ray down` end every Ray that runs on these machines.
""",
    "kuberay": """\
# Manifest for KubeRay's operator from version 1.5, written by `{command}`.
#
#   1. kubectl apply -f {file}
#      The operator makes the secret token and starts one pod per edge node.
#   2. kubectl exec -it <the head's pod> -- edgebed up <scenario> --address auto --host node --port {port} \\
#        {allowed}
#      The gateway answers to these names of its Service; where clients call it by another, add that.
#   3. http://{door}:{client_port}/v1
#      Where clients in Kubernetes find the testbed, until `kubectl exec ... -- edgebed down`.
#   4. kubectl delete -f {file}
""",
}


def render(
    testbed: TestbedConfig,
    provider: Provider,
    machines: Path | None,
    head: str | None,
    spot: bool,
    file: str,
    command: str,
) -> str:
    """The text, checked by Ray as it will read it. `file` and `command`: for the comment at its top.

    `machines`: what the user says of the machines; `head`: address of the head of `local`, in the place of the one that
    stands there; `spot`: rent edge nodes that may be taken back. Raises `ConfigError`.
    """
    top = {"file": file, "command": command}
    if provider == "kuberay":
        pods = _loaded(KubeMachines, machines, provider)
        names = gateway_names(testbed, pods)
        allowed = " \\\n#        ".join(f"--allow-host {name}" for name in names)
        ports = {"port": pods.gateway_port, "client_port": CLIENT_PORT}
        text = HEADS[provider].format(**top, **ports, door=names[1], allowed=allowed)
        return text + "---\n".join(as_yaml(document) for document in kuberay_files(testbed, pods))
    if provider == "aws":
        config = aws_file(testbed, _loaded(AwsMachines, machines, provider), spot)
    elif provider == "gcp":
        config = gcp_file(testbed, _loaded(GcpMachines, machines, provider), spot)
    else:
        if machines is None:
            raise ConfigError("--provider local: needs --machines, a file with the address of each edge node")
        own = load_settings(LocalMachines, machines)
        config = local_file(testbed, own if head is None else _with_head(own, head))
    check_launcher_file(config)
    return HEADS[provider].format(**top) + as_yaml(config)


def _loaded(schema: type[_Machines], path: Path | None, provider: str) -> _Machines:
    """The machines file, or what holds without one. Raises `ConfigError`."""
    if path is not None:
        return load_settings(schema, path)
    try:
        return schema.model_validate({})
    except ValidationError as error:
        raise ConfigError(f"--provider {provider}: needs --machines; {complaint(schema, error)}") from None


def _with_head(machines: LocalMachines, head: str) -> LocalMachines:
    """The same machines with another head. Raises `ConfigError`."""
    changed = {**machines.model_dump(exclude_unset=True), "head": {"ip": head}}
    try:
        return LocalMachines.model_validate(changed)
    except ValidationError as error:
        raise ConfigError(f"--head {head!r}: {complaint(LocalMachines, error)}") from None


class _Dumper(yaml.SafeDumper):
    """Text of several lines as a block, no anchors."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = "|" if "\n" in value else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)


def as_yaml(config: Any) -> str:
    """A mapping as YAML, in its own order."""
    return yaml.dump(config, Dumper=_Dumper, sort_keys=False, width=110, allow_unicode=True)
