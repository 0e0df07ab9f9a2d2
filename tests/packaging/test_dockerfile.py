"""What can be said of the Dockerfile without Docker: what it copies is there and sent, and nobody runs as root."""

from __future__ import annotations

import re
from fnmatch import fnmatch
from pathlib import Path

ROOT = Path(__file__).parents[2]
LINES = re.sub(r"\\\n\s*", " ", (ROOT / "Dockerfile").read_text()).splitlines()
STEPS = [line.split(maxsplit=1) for line in LINES if line.strip() and not line.startswith("#")]
SENT = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]


def told(word: str) -> list[str]:
    return [rest for first, rest in STEPS if first == word]


def test_the_last_stage_runs_as_a_user_without_rights() -> None:
    last = max(i for i, (word, _) in enumerate(STEPS) if word == "FROM")
    users = [rest for word, rest in STEPS[last:] if word == "USER"]
    assert users
    assert users[-1] not in ("root", "0")
    assert any(f"useradd --create-home --uid 1000 {users[-1]}" in rest for rest in told("RUN"))


def test_the_base_has_a_version_and_packages_leave_no_lists() -> None:
    assert all(re.search(r"PYTHON=3\.11-", rest) for rest in told("ARG"))
    assert told("ADD") == []
    for rest in told("RUN"):
        if "apt-get install" in rest:
            assert "--no-install-recommends" in rest
            assert rest.rstrip().endswith("rm -rf /var/lib/apt/lists/*")


def test_what_runs_is_installed_from_what_was_built_and_from_nowhere_else() -> None:
    last = max(i for i, (word, _) in enumerate(STEPS) if word == "FROM")
    installs = [rest for word, rest in STEPS[last:] if word == "RUN" and "pip install" in rest]
    assert installs
    assert all("--no-index --find-links /wheels" in rest for rest in installs)


def test_what_a_wheel_is_built_of_is_sent_and_nothing_else() -> None:
    assert SENT[0] == "*"
    sent = {line.removeprefix("!") for line in SENT if line.startswith("!")}
    assert all((ROOT / name).exists() for name in sent)
    needed = ("pyproject.toml", "setup.py", "README.md", "LICENSE", "NOTICE", "constraints.txt")
    assert {*needed, "emulation", "controller", "workloads", "serve_apps", "edgebed"} == sent
    assert not [name for name in (".git", ".venv", "runs", ".env") if any(fnmatch(name, s) for s in sent)]
    for rest in told("COPY"):
        for name in rest.split()[:-1]:
            assert name == "." or name in sent


def test_nothing_listens_beyond_loopback_unless_the_user_says_so() -> None:
    assert told("ENTRYPOINT") == ['["edgebed"]']
    assert told("CMD") == ['["--help"]']
    assert not [rest for word, rest in STEPS if word != "FROM" and "0.0.0.0" in rest]
