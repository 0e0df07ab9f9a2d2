"""One raylet per edge node on this machine, by Ray's own `Cluster`, which is made for tests: kept in our folder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from serve_apps.testbed.ray_access import LOOPBACK, private_address_file, private_folder


class Raylets:
    """A head, and a raylet for each edge node. Nothing of it stays if it cannot be started as a whole."""

    def __init__(self, head: Mapping[str, Any], nodes: Mapping[str, Mapping[str, Any]]) -> None:
        """What Ray is to be told of the head and of every edge node, by its id; started one after the other."""
        from ray.cluster_utils import Cluster

        # No handlers of Ray's at exit: they would hold its connections until then, and the guardian ends what is left.
        self._cluster: Any = Cluster(initialize_head=False, shutdown_at_exit=False)
        self.by_node: dict[str, Any] = {}
        here: dict[str, Any] = {"node_ip_address": LOOPBACK}
        try:
            with private_address_file():
                self._cluster.add_node(temp_dir=str(private_folder()), **head, **here)
            for node_id, node in nodes.items():
                self.by_node[node_id] = self._cluster.add_node(**node, **here)
        except BaseException:
            self.shut_down()
            raise

    @property
    def head(self) -> Any:
        """Ray's own object of the head's processes."""
        return self._cluster.head_node

    @property
    def address(self) -> str:
        """HOST:PORT of its control service."""
        return str(self._cluster.address)

    def kill(self, node_id: str) -> None:
        """Kill the raylet of an edge node."""
        self._cluster.remove_node(self.by_node[node_id], allow_graceful=False)

    def shut_down(self) -> None:
        """End all of it."""
        with private_address_file():
            self._cluster.shutdown()
