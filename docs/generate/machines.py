"""What the machines of a cluster are."""

from __future__ import annotations

from docs.generate.fields import model_section
from edgebed.cluster import machines


def page() -> str:
    """What the machines of a cluster are."""
    return (
        "# Machines file\n\nYAML for `edgebed cluster render --machines FILE`; unknown keys are errors. How it is "
        "used:\n[machines of a cluster](../how-to/run-on-a-cluster.md).\n\n"
    ) + "\n".join(
        [
            model_section(machines.LocalMachines, "Provider `local`"),
            model_section(machines.Machine),
            model_section(machines.AwsMachines, "Provider `aws`"),
            model_section(machines.GcpMachines, "Provider `gcp`"),
            model_section(machines.KubeMachines, "Provider `kuberay`"),
        ]
    )
