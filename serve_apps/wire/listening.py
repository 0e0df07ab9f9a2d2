"""Where the server that Serve opens in every replica listens."""

from __future__ import annotations

from typing import Any

import ray
from ray._common.tls_utils import add_port_to_grpc_server
from ray.serve._private import replica


def listen_where_the_node_is() -> None:
    """Have Serve's server of this replica listen at the address of its Ray node, not on all interfaces.

    By it other replicas and the driver call this one; they look for it there and nowhere else. To be called as the
    replica is made, before Serve opens it.
    """
    address_of_node: Any = ray.util.get_node_ip_address
    add_port: Any = add_port_to_grpc_server
    address = address_of_node()
    host = f"[{address}]" if ":" in address else address

    def add_port_there(server: Any, _everywhere: str) -> int:
        return int(add_port(server, f"{host}:0"))

    replica.__dict__["add_port_to_grpc_server"] = add_port_there
