"""Run on the head before Ray starts there: writes down for the provider `local` that the head itself is up.

    python -m serve_apps.testbed.launcher_head ~/ray_bootstrap_config.yaml

Ray 2.60's launcher writes this where `ray up` was called only. On the head, autoscaler v2 then takes the head for gone,
five seconds after the workers were started, and starts no machine any more: a worker that died would never come back.
(Autoscaler v1 does write it, as the head's node type it knows no other than the workers'.)
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import yaml
from ray.autoscaler._private.local.node_provider import LocalNodeProvider
from ray.autoscaler.tags import (
    NODE_KIND_HEAD,
    STATUS_UP_TO_DATE,
    TAG_RAY_NODE_KIND,
    TAG_RAY_NODE_STATUS,
    TAG_RAY_USER_NODE_TYPE,
)


def record_head(config: dict[str, Any]) -> None:
    """Write into the provider's state on this machine that the head of this launcher file runs."""
    make: Any = LocalNodeProvider
    provider = make(config["provider"], config["cluster_name"])
    if config["provider"]["head_ip"] in provider.non_terminated_nodes({}):
        return
    tags = {
        TAG_RAY_NODE_KIND: NODE_KIND_HEAD,
        TAG_RAY_USER_NODE_TYPE: config["head_node_type"],
        TAG_RAY_NODE_STATUS: STATUS_UP_TO_DATE,
    }
    provider.create_node({}, tags, 1)


if __name__ == "__main__":
    record_head(yaml.safe_load(Path(sys.argv[1]).expanduser().read_text()))
