"""Ray's control service (GCS) of a Ray of our own: it keeps its tables on disk, and is started again if it dies.

Without it actors go on, but nothing that dies comes back, and after a while Ray ends every process. Started again on
the same port from its tables, it is found by all of them, and nothing is lost.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from serve_apps.testbed.guardian import guard, tables_of
from serve_apps.testbed.processes import Process, process_of
from serve_apps.testbed.ray_access import private_folder


class ControlService:
    """Its tables, and how it is started again."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix=tables_of(guard()), dir=private_folder().parent))
        self._head: Any = None

    def settings(self) -> dict[str, str]:
        """Ray's `_system_config` for a head that keeps its tables in a folder of its own."""
        return {"gcs_storage": "rocksdb", "gcs_storage_path": str(self._folder)}

    def of(self, head: Any) -> None:
        """Ray's head node of this process, once it is up."""
        self._head = head

    def start_again(self) -> Process | None:
        """Start it in the place of one that died; None if it is gone at once.

        Whatever Ray raises is raised. The new one does not end with the thread that started it, as Ray's own do: the
        guardian ends it with this process.
        """
        head = self._head
        port = int(str(head.gcs_address).rpartition(":")[2])
        head.kill_gcs_server(check_alive=False)
        head._ray_params.gcs_server_port = port
        bound, head.kernel_fate_share = head.kernel_fate_share, False
        try:
            head.start_gcs_server()
        finally:
            head.kernel_fate_share = bound
        return process_of(pid_of(head, "gcs_server"))

    @contextmanager
    def cleared_on_error(self) -> Iterator[None]:
        """No tables stay where Ray does not start."""
        try:
            yield
        except BaseException:
            self.clear()
            raise

    def clear(self) -> None:
        """Remove its tables, and let go of Ray's head node: its connection's thread ends with its last user."""
        self._head = None
        shutil.rmtree(self._folder, ignore_errors=True)


def pid_of(node: Any, kind: str) -> int:
    """Number of the process that a node of Ray started as its `raylet` or `gcs_server`."""
    (started,) = node.all_processes[kind]
    return int(started.process.pid)
