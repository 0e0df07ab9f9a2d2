"""The documentation is true where a machine can tell: examples run, links lead somewhere, nothing is left out.

Blocks marked `runnable` are run: Python blocks of a page one after the other in one namespace, console blocks command
by command in an empty folder (`fails` where an error is what they show). Only virtual time; no Ray.
"""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import typer
from typer.testing import CliRunner

from controller.schemes import SCHEMES
from docs.generate.pages import stale
from edgebed.commands.main import app
from edgebed.report.figures import FIGURES
from edgebed.wiring.controllers import REGISTRIES
from emulation.domain.request import FATES
from emulation.domain.scenario import Scenario
from emulation.files import ConfigError, list_scenarios
from emulation.jsonl import RecordError
from serve_apps.gateway.openapi import describe

ROOT = Path(__file__).parents[2]
PAGES = sorted(p for p in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")] if p.is_file())
REFERENCE = {p.stem: p.read_text(encoding="utf-8") for p in (ROOT / "docs" / "reference").glob("*.md")}
FENCE = re.compile(r"^```(\S*)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PACKAGES = ("emulation", "controller", "workloads", "serve_apps", "edgebed", "benchmarks", "tests", "docs")
SOURCE_FILE = re.compile(r"[\w./-]+\.py")
SOURCE_FOLDER = re.compile(rf"(?:{'|'.join(PACKAGES)})/[\w./-]*")
LINK = re.compile(r"\]\(([^)\s]+)\)")


class Block(NamedTuple):
    """A fenced block of a page."""

    language: str
    marks: str
    text: str


def blocks(page: Path) -> list[Block]:
    return [Block(lang, marks, text) for lang, marks, text in FENCE.findall(page.read_text(encoding="utf-8"))]


def with_marked(language: str) -> list[Path]:
    return [p for p in PAGES if any(b.language == language and "runnable" in b.marks for b in blocks(p))]


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def without_code(text: str) -> str:
    return re.sub(r"`[^`\n]*`", "", FENCE.sub("", text))


@pytest.mark.parametrize("page", with_marked("python"), ids=name)
def test_python_examples_of_a_page_run(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    namespace: dict[str, object] = {"__name__": page.stem}
    for block in blocks(page):
        if block.language == "python" and "runnable" in block.marks:
            exec(compile(block.text, name(page), "exec", dont_inherit=True), namespace)


def test_every_python_example_is_at_least_valid_python() -> None:
    for page in PAGES:
        for block in blocks(page):
            if block.language == "python":
                compile(block.text, name(page), "exec")


@pytest.mark.slow
@pytest.mark.usefixtures("undrawn", "one_elsewhere")
@pytest.mark.parametrize("page", with_marked("console"), ids=name)
def test_console_examples_of_a_page_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])  # commands look in their folder too
    for module in [m for m in sys.modules if f"{m}/".replace(".", "/").startswith(OF_READERS)]:
        monkeypatch.delitem(sys.modules, module)  # of another page
    for block in blocks(page):
        if block.marks.strip().startswith("file="):
            Path(block.marks.strip().removeprefix("file=")).write_text(block.text, encoding="utf-8")
        if block.language == "console" and "runnable" in block.marks:
            for command in commands(block):
                run(command, fails="fails" in block.marks)


def commands(block: Block) -> Iterator[list[str]]:
    for line in block.text.splitlines():
        if line.startswith("$ "):
            yield shlex.split(line.removeprefix("$ "))


OF_READERS = "mylab/"
"""The package of somebody's own in the examples, which their commands make."""


def run(command: list[str], fails: bool) -> None:
    program, *arguments = command
    if program == "cmp":
        first, second = arguments
        assert Path(first).read_bytes() == Path(second).read_bytes()
        return
    assert program == "edgebed", f"only edgebed and cmp are run, not {program}"
    result = CliRunner().invoke(app, arguments)
    if fails:
        assert isinstance(result.exception, ConfigError | RecordError)
        return
    assert result.exit_code == 0, f"{shlex.join(command)}: {result.output} {result.exception!r}"


def test_links_of_pages_lead_somewhere() -> None:
    for page in PAGES:
        for target in LINK.findall(without_code(page.read_text(encoding="utf-8"))):
            if "://" not in target and not target.startswith("#"):
                assert (page.parent / target.partition("#")[0]).exists(), f"{name(page)}: no {target}"


def test_source_files_named_on_pages_exist() -> None:
    """As `gateway/front.py` within a package, from the root, beside the page, or by a bare name wherever it is."""
    bare = {file.name for package in PACKAGES for file in (ROOT / package).rglob("*.py")}
    for page in PAGES:
        code = re.findall(r"`([^`\n]+)`", FENCE.sub("", page.read_text(encoding="utf-8")))
        named = {text for text in code if SOURCE_FILE.fullmatch(text) or SOURCE_FOLDER.fullmatch(text)}
        places = [ROOT, page.parent, *(ROOT / package for package in PACKAGES)]
        lost = {text for text in named - bare if not any((place / text).exists() for place in places)}
        assert {text for text in lost if not text.startswith(OF_READERS)} == set(), name(page)


def test_the_reference_is_what_the_code_says() -> None:
    assert not list(stale()), "run python -m docs.generate"


def test_every_page_is_reached_from_the_index() -> None:
    index = ROOT / "docs" / "index.md"
    reached = {(index.parent / t).resolve() for t in LINK.findall(index.read_text(encoding="utf-8"))}
    assert {p for p in PAGES if "docs" in p.parts} - {index} <= reached


@pytest.mark.parametrize(
    ("page", "names"),
    [
        ("schemes", sorted(SCHEMES)),
        ("scenario", list_scenarios()),
        ("scenario", sorted(Scenario.model_fields)),
        ("parameters", sorted({n for r in REGISTRIES.values() for n in r})),
        ("http", sorted(describe()["paths"])),
        ("http", ["/control/inject", "/control/block", "/control/progress"]),
    ],
)
def test_reference_leaves_nothing_out(page: str, names: list[str]) -> None:
    missing = [n for n in names if f"`{n}`" not in REFERENCE[page] and f" {n}`" not in REFERENCE[page]]
    assert not missing, f"docs/reference/{page}.md; python -m docs.generate writes most of it"


def test_reference_has_every_command_and_option() -> None:
    for command_name, command in leaves("", typer.main.get_command(app)):
        assert f"## `edgebed{command_name}" in REFERENCE["cli"], "run python -m docs.generate"
        for param in command.params:
            options = [o for o in param.opts if o.startswith("--") and o != "--help"]
            assert all(f"`{o}`" in REFERENCE["cli"] for o in options), "run python -m docs.generate"


def leaves(path: str, command: Any) -> Iterator[tuple[str, Any]]:
    """Every command that does something, with its words."""
    inner = getattr(command, "commands", None)
    if inner is None:
        yield path, command
        return
    for word, found in inner.items():
        yield from leaves(f"{path} {word}", found)


def test_keys_promised_by_json_are_stated() -> None:
    promised = ("mean_latency_s", "fairness_norm", "success_ratio", "goodput", "per_model")
    assert all(key in REFERENCE["json"] for key in promised)


def test_the_readme_begins_with_what_it_is_and_then_says_how_to_see_it() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    title, first, *_ = [part for part in readme.split("\n\n") if part.strip()]
    assert title == "# edgebed"
    assert not first.startswith(("`", "-", "!"))
    assert readme.index("make demo") < readme.index("make test") < readme.index("## ")


def test_words_of_the_tables_are_in_the_glossary() -> None:
    glossary = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8").lower()
    missing = [fate for fate in FATES if fate not in glossary]
    missing += [f.label for f in FIGURES if not any(word in glossary for word in telling(f.label))]
    assert not missing, "docs/glossary.md"


def telling(label: str) -> list[str]:
    """The two longest words of a label."""
    return sorted(re.findall(r"[a-z_0-9]{2,}", label.lower()), key=len, reverse=True)[:2]
