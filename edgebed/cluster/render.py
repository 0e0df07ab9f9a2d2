"""The text of a launcher file or manifest for a testbed: what `edgebed cluster render` writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import yaml

from edgebed.cluster.local import local_file
from edgebed.cluster.machines import LocalMachines
from emulation.domain.cluster import TestbedConfig
from emulation.domain.mistakes import ConfigError
from emulation.files import load_settings
from serve_apps.testbed.launcher_file import check_launcher_file

Provider = Literal["local"]

HEADS = {
    "local": """\
# Ray's launcher file for machines of one's own, written by `edgebed cluster render {testbed} --provider local`.
#
#   1. ray get-auth-token --generate     once; writes ~/.ray/auth_token, the shared secret of the cluster
#   2. ray up {file}                     from the checkout's root; SSH and rsync must be on all machines
#   3. ray attach {file} -p 8000         a shell on the head; the gateway's port comes along through SSH
#   4. ray down {file}
#
# `ray up` and `ray down` end every Ray that runs on these machines.
""",
}


def render(
    testbed: TestbedConfig, provider: Provider, machines: Path | None, head: str | None, file: str
) -> str:
    """The text, checked by Ray as it will read it. `file`: its name, for the comment at its top.

    `machines`: what the user says of the machines; `head`: address of the head, in the place of the one that stands
    there. Raises `ConfigError`.
    """
    if machines is None:
        raise ConfigError("--provider local: needs --machines, a file with the address of each edge node")
    found = load_settings(LocalMachines, machines)
    if head is not None:
        found = _with_head(found, head)
    config = local_file(testbed, found)
    check_launcher_file(config)
    return HEADS[provider].format(testbed=testbed.name, file=file) + as_yaml(config)


def _with_head(machines: LocalMachines, head: str) -> LocalMachines:
    """The same machines with another head. Raises `ConfigError`."""
    from pydantic import ValidationError

    from emulation.domain.complaints import complaint

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
