"""Every command, walked from the command line itself: its help can be read, what is wrong is refused in one line."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from edgebed.commands.main import app
from edgebed.commands.needs import NEEDS
from tests.build.command_line import COMMANDS, edgebed, nothing_runs, small

ROOT = Path(__file__).parents[2]
PARAMETERS = {
    words: [p for p in command.params if p.name not in ("help", "install_completion", "show_completion")]
    for words, command in COMMANDS.items()
}
"""Of every command, by its words."""
JARGON = re.compile(r"\b(raylet|raylets|footer|theta|ledger|fast path|shim|pydantic|kwarg)\b", re.IGNORECASE)
"""Words of the inside that a reader of the help need not know."""


def test_there_are_commands() -> None:
    assert {"compare", "simulate", "up", "load", "calibrate check", "reproduce ma"} <= set(COMMANDS)


@pytest.mark.parametrize("words", PARAMETERS)
def test_the_help_of_every_option_is_a_sentence_that_states_its_default(words: str) -> None:
    for param in PARAMETERS[words]:
        help_text = param.help or ""
        assert len(help_text) >= 20, f"{param.name}: says what it does"
        assert help_text[0].isupper() or help_text.split(":")[0] in ("warm", "recorded")
        assert help_text.endswith((".", ")."))
        assert not JARGON.search(help_text), help_text
        is_option, is_flag = param.param_type_name == "option", getattr(param, "is_flag", False)
        if is_option and not is_flag and param.default is None and not param.required:
            assert "y default" in help_text or "repeatable" in help_text, (
                f"{param.name}: what happens without it"
            )


@pytest.mark.parametrize("words", COMMANDS)
def test_the_help_of_every_command_is_a_sentence(words: str) -> None:
    first = (COMMANDS[words].help or "").strip().split("\n")[0]
    assert len(first) >= 20
    assert first[0].isupper()
    assert first.endswith(".")
    assert not JARGON.search(first)


def test_every_option_that_needs_another_is_an_option_of_its_command() -> None:
    for need in NEEDS:
        assert need.option in {p.name for p in COMMANDS[need.command].params}, need
        assert need.when
        assert need.fix


def test_what_is_said_to_belong_to_live_runs_is_refused_in_virtual_time() -> None:
    """An option of `compare` whose help speaks of live things, and that is not in the table, would have no effect.

    Gateways are modelled in virtual time too.
    """
    held = {need.option for need in NEEDS if need.command == "compare"}
    words = re.compile(r"\b(real time|Ray|gateway|processes|--live)\b")
    params = [p for p in COMMANDS["compare"].params if p.name not in ("live", "gateways")]
    speaking = {p.name for p in params if words.search(p.help or "")}
    assert speaking <= held


WITHOUT_EFFECT: tuple[tuple[str, ...], ...] = (
    ("compare", "demo", "--backend", "nonsense"),
    ("compare", "demo", "--backend", "emulated"),
    ("compare", "demo", "--speedup", "20"),
    ("compare", "demo", "--port", "8000"),
    ("compare", "demo", "--port", "0"),
    ("compare", "demo", "--lifecycle", "warm"),
    ("compare", "demo", "--raylets"),
    ("compare", "demo", "--address", "auto"),
    ("compare", "demo", "--host", "node"),
    ("compare", "demo", "--check-parity"),
    ("compare", "demo", "--ui"),
    ("compare", "demo", "--live", "--ui-port", "0"),
    ("compare", "demo", "--live", "--workers", "2"),
    ("up", "demo", "--ui-port", "0"),
    ("compare", "demo", "--live", "--raylets", "--address", "auto"),
    ("compare", "demo", "--schemes", "sect,AL", "--reasoner", "rules"),
    ("simulate", "demo", "--reasoner", "openai"),
    ("up", "demo", "--scheme", "sect", "--reasoner", "random"),
    ("up", "demo", "--approve"),
    ("compare", "demo", "--schemes", "MA", "--approve"),
    ("compare", "demo", "--schemes", "sect,e3", "--reasoner", "random", "--approve"),
    ("simulate", "demo", "--resume"),
    ("compare", "demo", "--resume"),
    ("up", "demo", "--foreground", "--json"),
    ("load", "demo", "--detach", "--speedup", "2"),
    ("load", "demo", "--detach", "--log", "made"),
    ("load", "demo", "--detach", "--fail-above", "0.5"),
    ("up", "demo", "--raylets", "--address", "auto"),
    ("compare", "demo", "--live", "--unprotected"),
    ("up", "demo", "--unprotected"),
    ("cluster", "render", "demo", "--provider", "aws", "--out", "made", "--head", "10.0.0.1"),
    ("cluster", "render", "demo", "--provider", "kuberay", "--out", "made", "--spot"),
    ("profile", "m", "f.yaml", "--model", "m", "--modality", "image", "--inputs", "1"),
    ("profile", "m", "f.yaml", "--model", "m", "--modality", "image", "--outputs", "1"),
    ("profile", "m", "f.yaml", "--model", "m", "--prompts", "1"),
    ("profile", "m", "f.yaml", "--model", "m", "--size", "64x64"),
    ("profile", "m", "f.yaml", "--model", "m", "--steps", "2"),
    ("profile", "m", "f.yaml", "--model", "m", "--fraction", "0.5"),
    ("profile", "m", "f.yaml", "--model", "m", "--fraction", "0.5", "--colocate", "1,2"),
    ("profile", "m", "f.yaml", "--model", "m", "--batch", "1,2"),
    ("calibrate", "lyapunov", "demo", "--tune", "p1", "--flip-target", "0.2"),
    ("calibrate", "lyapunov", "demo", "--tune", "v", "--window", "5"),
    ("reproduce", "ma", "--only", "fig5", "--what-if"),
    ("reproduce", "ma", "--only", "inconsistency", "--seeds", "2"),
    ("reproduce", "ma", "--only", "fig5", "--quick", "--seeds", "2"),
)


@pytest.mark.parametrize("arguments", WITHOUT_EFFECT, ids=" ".join)
def test_an_option_without_effect_is_refused(arguments: tuple[str, ...], tmp_path: Path) -> None:
    with nothing_runs(tmp_path):
        said = edgebed(*arguments, code=2).stderr
    assert "has no effect" in said
    assert len(said.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_every_line_of_the_table_of_needs_is_tried() -> None:
    options = {
        p.name: p.opts[0] for c in COMMANDS.values() for p in c.params if p.param_type_name == "option"
    }
    tried = {(word, a) for a in WITHOUT_EFFECT for word in a}
    for need in NEEDS:
        first = need.command.split()[0]
        assert any(w == options[need.option] and a[0] == first for w, a in tried), need


def wrong_values(words: str, param: Any, folder: Path) -> Iterator[str]:
    """What no sensible value of this option is, by its kind."""
    yield ""
    yield "   "
    kind = param.type_descriptor
    annotations = getattr(kind.annotation, "__args__", None) or (kind.annotation,)
    if kind.choices:
        yield from ("nonsense", "-1", "nan")
    elif int in annotations or float in annotations:
        yield from ("nonsense", "nan", "-1", "-inf")
        if param.max is not None:
            yield from ("1e30", str(10**30))
    elif kind.is_path:
        yield str(folder / "a-file" / "below")
        info = kind.parameter_info
        if not info.file_okay:
            yield str(folder / "a-file")
        if not info.dir_okay:
            yield str(folder / "a-folder")
        if info.exists:
            yield str(folder / "nosuch")
            yield str(folder / "a-folder")
    elif param.name in NAMES and (words, param.name) not in OF_RECORDS:
        yield from ("nonsense", "-1", "nan", str(folder / "nosuch.yaml"), str(folder / "a-folder"))


NAMES = {
    "scenario", "scheme", "schemes", "seeds", "tune", "only", "reasoner", "backend", "inputs", "outputs", "prompts",
    "size", "together", "batches", "url", "address", "host", "kind", "settings", "profile", "name",
    "baseline", "allow_origin",
}  # fmt: skip
"""Options whose values are words of ours, or of a form of ours: nonsense is refused at once."""

OF_RECORDS = {
    ("report", "baseline"), ("runs compare", "baseline"), ("runs find", "scheme"), ("runs find", "scenario"),
}  # fmt: skip
"""Options whose values are names that records hold, whatever those are: what is in none of them is found by looking."""
OUT = ["--out", "made"]
LIVE = {"speedup", "lifecycle", "port", "address", "backend", "host"}


def call(words: str, param: Any, value: str) -> list[str]:
    """A call that is right but for this value."""
    run = Path(__file__).parent  # any folder: that it holds no run is found later
    base = {
        "profile": ["m", "f.yaml"],
        "calibrate lyapunov": ["demo"],
        "calibrate check": [str(run)],
        "models make-tiny": ["made"],
        "models make-random": ["gpt2", "made"],
        "models from-gguf": [str(run / "test_commands.py")],
        "compare": ["demo"],
        "simulate": ["demo"],
        "inject": ["slowdown"],
        "undo": ["0"],
        "approve": ["1"],
        "reject": ["1"],
        "rate": ["1"],
        "switch": ["MA"],
        "report": [str(run)],
        "runs compare": [str(run)],
        "runs export": [str(run)],
        "replay": [str(run)],
        "cluster render": ["demo"],
        "new": ["router", "newlab/mine.py"],
        "schema": ["scenario"],
        "matrix": ["standard"],
        "workload": ["demo"],
        "metrics spans": [str(run)],
    }.get(words, [])
    options = {
        "profile": ["--model", "m"],
        "simulate": ["--scheme", "MA"],
        "models from-gguf": OUT,
        "metrics spans": OUT,
        "metrics export": OUT,
    }.get(words, [])
    if words == "cluster render":
        options = ["--provider", "aws"]
    options = [] if param.name in ("model", "scheme", "out") else options
    if words == "compare" and param.name in LIVE:
        options = ["--live"]
    if words == "profile":
        options += {
            "prompts": ["--modality", "caption"],
            "size": ["--modality", "image"],
            "steps": ["--modality", "image"],
            "fraction": ["--colocate", "1,2", "--device", "cuda"],
            "batches": ["--backend", "vllm"],
        }.get(param.name, [])
    if words in ("inject", "undo", "events", "rate", "switch", "proposals", "approve", "reject"):
        options += ["--url", "http://127.0.0.1:9"] if param.name != "url" else []
    if param.param_type_name == "option":
        return [*words.split(), *base, *options, param.opts[0], value]
    names = [p.name for p in COMMANDS[words].params if p.param_type_name == "argument"]
    base = [*base, *[""] * (len(names) - len(base))]
    base[names.index(param.name)] = value
    return [
        *words.split(),
        *options,
        "--",
        *base[: names.index(param.name) + 1],
        *base[names.index(param.name) + 1 :],
    ]


@pytest.mark.slow
@pytest.mark.parametrize("words", PARAMETERS)
def test_a_wrong_value_is_one_line_that_names_option_and_value_and_nothing_is_written(
    words: str, tmp_path: Path
) -> None:
    (tmp_path / "a-file").write_text("text\n")
    (tmp_path / "a-folder").mkdir()
    before = sorted(tmp_path.rglob("*"))
    tried = (
        (param, value)
        for param in PARAMETERS[words]
        if not getattr(param, "is_flag", False)
        for value in dict.fromkeys(wrong_values(words, param, tmp_path))
    )
    for param, value in tried:
        with nothing_runs(tmp_path):
            said = edgebed(*call(words, param, value), code=2)
        lines = said.stderr.strip().splitlines()
        assert len(lines) == 1, (value, said)
        assert lines[0].startswith("error: "), (value, said)
        assert len(lines[0]) > len("error: ") + 15
        if value.strip() and param.name not in ("settings",):
            assert value.lstrip("-")[:40] in lines[0], (value, said)
        assert said.stdout == ""
        assert sorted(tmp_path.rglob("*")) == before, value


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["comapre", "demo"], "compare"),
        (["compare"], "SCENARIO"),
        (["compare", "demo", "--speedupp", "1"], "--speedup"),
        (["compare", "demo", "extra"], "extra"),
        (["compare", "demo", "--seeds"], "--seeds"),
        (["reproduce", "m"], "m"),
    ],
)
def test_a_command_line_that_cannot_be_read_is_one_line(arguments: list[str], said: str) -> None:
    done = edgebed(*arguments, code=2)
    assert len(done.stderr.strip().splitlines()) == 1
    assert said in done.stderr
    assert "--help" in done.stderr


@pytest.mark.parametrize("words", ["", *COMMANDS])
def test_help_fits_a_terminal_and_has_two_names(words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    done = edgebed(*words.split(), "-h")
    assert "Usage" in done.stdout
    assert re.search(r"--help +-h\b", done.stdout)
    assert all(len(line) <= 80 for line in done.stdout.splitlines())


def test_commands_stand_in_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    panels = {getattr(c, "rich_help_panel", None) for c in typer.main.get_command(app).commands.values()}  # type: ignore[attr-defined]
    assert None not in panels
    assert 3 <= len(panels) <= 7


def test_the_version_is_that_of_the_package() -> None:
    assert re.fullmatch(r"edgebed \d+\.\d+\.\d+\S*, (compiled|uncompiled: .+)\n", edgebed("--version").stdout)


HEAVY = {
    "ray", "matplotlib", "scipy", "numpy", "torch", "transformers", "openai", "locust", "gevent", "starlette",
    "uvicorn", "jinja2", "yaml", "httpx2",
}  # fmt: skip


@pytest.mark.slow
def test_a_comparison_does_not_load_all_of_statistics() -> None:
    """`scipy.stats` takes a second; what a comparison needs of it is one function."""
    script = "import sys, edgebed.runs.comparison, edgebed.runs.parity; print('scipy.stats' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("commands", "allowed"),
    [
        (["--help", "--version", "compare --help", "down"], set()),
        (["inject slowdown --node n --factor 2", "undo 0"], {"httpx2"}),
    ],
)
def test_a_command_loads_only_what_it_needs(commands: list[str], allowed: set[str], tmp_path: Path) -> None:
    """`--help`, `inject` and `down` are typed in anger: they start at once. One process runs several."""
    script = (
        "import sys\nfrom edgebed.commands.main import main\n"
        "for words in sys.argv[1:]:\n    sys.argv[1:] = words.split()\n"
        "    try:\n        main()\n    except SystemExit:\n        pass\n"
        "sys.stderr.write('loaded: ' + ' '.join(sorted(m for m in sys.modules if '.' not in m)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *commands],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={"PATH": "", "EDGEBED_HOME": str(tmp_path), "PYTHONPATH": str(ROOT)},
    )
    loaded = set(done.stderr.rpartition("loaded: ")[2].split())
    assert "typer" in loaded, done.stderr
    assert not (loaded & HEAVY) - allowed


@pytest.mark.slow
def test_small_scenarios_run(tmp_path: Path) -> None:
    """The calls above are refused for their one wrong value: without it, one of them runs."""
    done = edgebed("simulate", str(small(tmp_path)), "--out", str(tmp_path / "out"), "--quiet")
    assert done.stderr == ""
    assert (tmp_path / "out" / "report.html").exists()
