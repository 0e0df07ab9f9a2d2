"""Which token a cluster is joined with, and which clusters are not joined; against a stand-in of Ray's head."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
from ray._common.utils import reset_ray_address
from ray._private.utils import write_ray_address

from emulation.files import ConfigError
from serve_apps.testbed.ray_access import guard_joined, guard_own, private_address_file, private_folder
from serve_apps.testbed.token_file import own_token

Head = Callable[[str | None], str]
"""Starts one that takes this token only (None: everybody); its HOST:PORT."""


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Homes of its own, and of Ray's variables those that a test sets; all is as before after it."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("EDGEBED_HOME", str(tmp_path / "home"))
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "RAY_ADDRESS"):
        monkeypatch.setenv(name, "")  # so that it is put back even if it was not set
        monkeypatch.delenv(name)


@pytest.fixture
def head() -> Iterator[Head]:
    servers: list[grpc.Server] = []
    pool = ThreadPoolExecutor(2)

    def start(token: str | None) -> str:
        def answer(_request: bytes, context: Any) -> bytes:
            sent = dict(context.invocation_metadata()).get("authorization")
            if token is not None and sent != f"Bearer {token}":
                context.abort(grpc.StatusCode.UNAUTHENTICATED, "Authentication token is missing or incorrect")
            return b""

        server = grpc.server(pool)
        methods = {"GetClusterId": grpc.unary_unary_rpc_method_handler(answer)}
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler("ray.rpc.NodeInfoGcsService", methods),)
        )
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        servers.append(server)
        return f"127.0.0.1:{port}"

    yield start
    for server in servers:
        server.stop(None).wait()
    pool.shutdown()


def _token(path: Path, token: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(token)
    path.chmod(0o600)
    return path


def test_a_ray_of_our_own_asks_for_our_token() -> None:
    os.environ["RAY_AUTH_TOKEN"] = "one of somebody's environment, which would come first"
    guard_own()
    assert os.environ["RAY_AUTH_MODE"] == "token"
    assert os.environ["RAY_AUTH_TOKEN_PATH"] == str(own_token())
    assert "RAY_AUTH_TOKEN" not in os.environ


@pytest.mark.parametrize("mode", ["disabled", "DISABLED", "k8s"])
def test_the_environment_cannot_turn_the_token_off(mode: str) -> None:
    os.environ["RAY_AUTH_MODE"] = mode
    with pytest.raises(ConfigError, match=rf"RAY_AUTH_MODE={mode}: a Ray without a token .* unset it"):
        guard_own()


def test_a_cluster_is_joined_with_the_first_token_that_it_takes(head: Head, tmp_path: Path) -> None:
    ours, usual = own_token(), _token(tmp_path / ".ray" / "auth_token", "usual")
    for token, path in (("usual", usual), (ours.read_text(), ours)):
        guard_joined(head(token), unprotected=False)
        assert (os.environ["RAY_AUTH_MODE"], os.environ.pop("RAY_AUTH_TOKEN_PATH")) == ("token", str(path))


def test_only_the_token_that_fits_must_be_kept_from_others(head: Head, tmp_path: Path) -> None:
    usual = _token(tmp_path / ".ray" / "auth_token", "usual")
    usual.chmod(0o644)  # as Ray writes it
    guard_joined(head(own_token().read_text()), unprotected=False)
    del os.environ["RAY_AUTH_TOKEN_PATH"]
    with pytest.raises(ConfigError, match=r"auth_token: others can read it .*`chmod 600` it"):
        guard_joined(head("usual"), unprotected=False)


def test_a_file_that_is_named_is_the_only_one_that_is_tried(head: Head, tmp_path: Path) -> None:
    ours = own_token()
    os.environ["RAY_AUTH_TOKEN_PATH"] = str(_token(tmp_path / "theirs", "theirs"))
    guard_joined(head("theirs"), unprotected=False)
    with pytest.raises(ConfigError, match=r"asks for a token that is not here.*tried .*/theirs$"):
        guard_joined(head(ours.read_text()), unprotected=False)


def test_a_token_in_the_environment_is_tried_and_never_shown(head: Head) -> None:
    os.environ["RAY_AUTH_TOKEN"] = "given"
    guard_joined(head("given"), unprotected=False)
    os.environ["RAY_AUTH_TOKEN"] = "wrong-one"
    with pytest.raises(ConfigError, match="does not take the token in RAY_AUTH_TOKEN") as error:
        guard_joined(head("given"), unprotected=False)
    assert "wrong-one" not in str(error.value)


def test_a_cluster_that_asks_for_no_token_is_joined_only_if_that_is_said(head: Head) -> None:
    address = head(None)
    with pytest.raises(ConfigError, match=r"asks for no token: everybody .* --unprotected"):
        guard_joined(address, unprotected=False)
    guard_joined(address, unprotected=True)
    assert os.environ["RAY_AUTH_MODE"] == "disabled"


def test_a_cluster_that_asks_for_a_token_is_joined_with_it_even_if_it_need_not_ask(head: Head) -> None:
    guard_joined(head(own_token().read_text()), unprotected=True)
    assert os.environ["RAY_AUTH_MODE"] == "token"
    os.environ["RAY_AUTH_MODE"] = "disabled"
    with pytest.raises(ConfigError, match=r"RAY_AUTH_MODE=disabled: .* asks for a token; unset it"):
        guard_joined(head("x"), unprotected=True)


def test_an_address_where_nothing_answers_is_told() -> None:
    with pytest.raises(ConfigError, match=r"no Ray cluster answers at '127.0.0.1:9'"):
        guard_joined("127.0.0.1:9", unprotected=False)


def test_ray_keeps_its_files_in_a_folder_that_is_ours_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    folder = private_folder().parent
    assert private_folder().parent == folder
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    folder.chmod(0o755)
    with pytest.raises(ConfigError, match=r"is not a folder of yours alone; .*RAY_TMPDIR"):
        private_folder()
    folder.rmdir()
    folder.symlink_to(tmp_path)
    with pytest.raises(ConfigError, match=r"is not a folder of yours alone"):
        private_folder()


def test_ray_s_cluster_tells_its_address_in_our_folder_and_leaves_another_ray_s_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path / "there"))
    theirs = tmp_path / "there" / "ray" / "ray_current_cluster"
    theirs.parent.mkdir(parents=True)
    theirs.write_text("10.0.0.1:6379")
    folder = private_folder()
    folder.mkdir()  # as Ray's first node does
    with private_address_file():
        write_ray_address("127.0.0.1:1")
    assert (folder / "ray_current_cluster").read_text() == "127.0.0.1:1"
    with private_address_file():
        reset_ray_address()
    assert not (folder / "ray_current_cluster").exists()
    assert theirs.read_text() == "10.0.0.1:6379"
    assert os.environ["RAY_TMPDIR"] == str(tmp_path / "there")


def test_where_no_place_for_files_of_ray_was_named_none_is_named_afterwards(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    with pytest.raises(ZeroDivisionError), private_address_file():
        raise ZeroDivisionError
    assert "RAY_TMPDIR" not in os.environ
