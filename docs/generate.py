"""Writes the reference pages that follow from the code: `python docs/generate.py`; `--check` only compares.

Scenario and testbed files from the pydantic models, commands from the command line itself, schemes and
parameters from the registries. Comes from nowhere else, so these pages are not edited by hand.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import typer
import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from controller.schemes import SCHEMES
from edgebed.cluster import machines
from edgebed.commands.main import app
from edgebed.wiring.controllers import REGISTRIES
from emulation.domain import cluster, events, quantities, records, scenario, sharing
from emulation.domain.agent_llm import AgentLlm
from emulation.domain.quantities import Range, Words
from emulation.files import list_scenarios, load_scenario
from serve_apps.gateway.server.settings import HttpSettings
from serve_apps.observe.metrics import GROUPS, METRICS
from serve_apps.records.batch import MOST_WAITING_MB, PERIOD_S
from serve_apps.records.segments import LONGEST_H, MOST_MB
from serve_apps.testbed.closing import PATIENCE_S

REFERENCE = Path(__file__).parent / "reference"
NOTE = "<!-- Written by docs/generate.py from the code; do not edit. -->\n"
SOURCES = get_args(get_args(scenario.WorkloadSource)[0])
EVENTS = get_args(get_args(events.Event)[0])
SCENARIO = (scenario.Scenario, *SOURCES, scenario.TokenLengths, *EVENTS, scenario.LiveConfig)
TESTBED = (
    cluster.TestbedConfig,
    cluster.ModelSpec,
    cluster.NodeSpec,
    sharing.GpuSpec,
    cluster.ProfileEntry,
    sharing.Batching,
    sharing.CpuLaw,
    cluster.LinkSpec,
    cluster.BackendEntry,
    AgentLlm,
)
LINES = (
    records.RunHeader,
    records.RequestRecord,
    records.DecisionRecord,
    records.EventRecord,
    records.ExecutorRecord,
    records.LinkRecord,
    records.RunFooter,
)
PORTS = {"fast path": "Fast path", "meta-controller": "Meta-controller"}
"""Titles of ports that are not the plural of their name."""

METRICS_INTRODUCTION = """# Metrics

`GET /metrics` of the gateway, as Prometheus' text or OpenMetrics, whichever the scraper asks for. `/metrics/gateway` is
what this gateway process counts, `/metrics/testbed` what all other processes say, asked for at the moment of the scrape
(each has a second; one that does not answer has `edgebed_up` 0). `/metrics` is both: with several gateways scrape the
first of each, and the second of one. With Prometheus and Grafana: [watch a testbed](../how-to/watch-a-testbed.md).

Times are virtual seconds unless it says wall; every latency is defined as in [metrics](../explanation/metrics.md). A
name that begins with `vllm:` means what it means in vLLM, with its label `model_name`. No label holds anything that a
client said; a model that is not of the testbed counts as `other`. Counts of requests start again with each run and with
each process; Prometheus' `rate` and `increase` take that into account.
"""

WORDS: dict[str, dict[str, str]] = yaml.safe_load((Path(__file__).parent / "words.yaml").read_text())
"""What keys and fields without a string of their own are."""


# -- what the code says ---------------------------------------------------------------------------------------


def field_docs(cls: type) -> dict[str, str]:
    """The string under each field of a class and of its bases, by field name."""
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        try:
            tree = ast.parse(inspect.cleandoc("\n" + inspect.getsource(base)))
        except (OSError, TypeError):
            continue
        body = next((n.body for n in tree.body if isinstance(n, ast.ClassDef)), [])
        for field, text in zip(body, body[1:], strict=False):
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and _is_text(text):
                found[field.target.id] = " ".join(text.value.value.split())  # type: ignore[attr-defined]
    return found


def _is_text(node: ast.stmt) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def source_annotations(cls: type) -> dict[str, str]:
    """Each field's annotation as it is written in the code."""
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        found.update({k: str(v) for k, v in base.__dict__.get("__annotations__", {}).items()})
    return found


def first_paragraph(cls: type) -> str:
    """The first paragraph of a docstring, on one line; empty if the class has none of its own."""
    return " ".join((inspect.getdoc(cls) or "").partition("\n\n")[0].split())


# -- as Markdown ----------------------------------------------------------------------------------------------


def cell(text: str) -> str:
    """Text that may stand in a table cell; code in it is as it was."""
    parts = text.replace("|", "\\|").split("`")
    return "`".join(part if i % 2 else part.replace("<", "&lt;") for i, part in enumerate(parts))


def table(heads: list[str], rows: Iterator[list[str]] | list[list[str]]) -> str:
    """A Markdown table."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(row) + " |" for row in lines) + "\n"


def model_section(cls: type[BaseModel], title: str = "", level: int = 2) -> str:
    """Heading, first paragraph and fields of a pydantic model."""
    docs, written = field_docs(cls), source_annotations(cls)
    rows = [
        [
            f"`{name}`",
            f"`{cell(plain(written.get(name, '')))}`",
            default(info),
            cell(described(name, info, docs.get(name, said(name)))),
        ]
        for name, info in cls.model_fields.items()
    ]
    heading = f"{'#' * level} {title or cls.__name__}\n\n{first_paragraph(cls)}\n\n"
    return heading + (table(["key", "type", "default", "what"], rows) if rows else "No keys.\n")


def said(name: str) -> str:
    """Words for a key that has none in the code."""
    return "Chooses this section." if name == "kind" else WORDS["keys"].get(name, "")


def default(info: FieldInfo) -> str:
    """The default as a file would have it, or that there is none."""
    if info.is_required():
        return "required"
    value = info.get_default(call_default_factory=True)
    if isinstance(value, BaseModel):
        return f"see {type(value).__qualname__}"
    return f"`{cell(str(list(value) if isinstance(value, tuple) else value))}`"


def described(name: str, info: FieldInfo, text: str) -> str:
    """The field's own words, and what may stand there: range and unit of its numbers, the shape of a new name."""
    said = list(dict.fromkeys(_limits(info.annotation, tuple(info.metadata))))
    if name in ("id", "name"):
        said += [f"{m.what}, at most {m.longest} characters" for m in info.metadata if isinstance(m, Words)]
    return " ".join([text, f"({'; '.join(said)})" if said else ""]).strip()


def _limits(annotation: Any, metadata: tuple[Any, ...] = ()) -> Iterator[str]:
    for m in metadata:
        if isinstance(m, Range):
            yield m.said
        elif isinstance(m, FieldInfo):
            yield from _limits(None, tuple(m.metadata))
        elif (least := getattr(m, "min_length", None)) is not None:
            yield f"at least {least}"
        elif (most := getattr(m, "max_length", None)) is not None:
            yield f"at most {most}"
    if get_origin(annotation) is Annotated:
        inner, *more = get_args(annotation)
        yield from _limits(inner, tuple(more))
    elif not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
        for part in get_args(annotation):
            if not isinstance(part, str):
                yield from _limits(part)


_PLAIN = {
    name: {float: "float", int: "int", str: "str"}.get(get_args(kind)[0], "")
    for name, kind in vars(quantities).items()
    if get_origin(kind) is Annotated
}
"""Our names for numbers and words, and what they are in Python's terms."""


def plain(annotation: str) -> str:
    """An annotation as it is written in the code, in Python's terms; bounds stand in the words beside it."""
    annotation = re.sub(r"Annotated\[(\w+), Range\([^()]*\)\]", r"\1", annotation)
    annotation = re.sub(
        r"Annotated\[(tuple\[\w+, \.\.\.\]), Field\([^()]*\), AfterValidator\(\w+\)\]", r"\1", annotation
    )
    return re.sub(
        r"\b[A-Z]\w+\b", lambda m: _PLAIN.get(m.group()) or LOCAL.get(m.group(), m.group()), annotation
    )


LOCAL = {
    "Switching": "float", "Hint": "str", "Mix": "dict[str, float]", "Origins": "tuple[str, ...]",
    "Models": "tuple[str, ...]", "Overhead": "float", "Exponent": "float",
    "Width": "int", "Floor": "float", "Setting": "bool | int | float | str",
    **dict.fromkeys(("CloudName", "ImageName", "KubeName", "LabelName"), "str"),
    **dict.fromkeys(("Address", "NodeIp", "Interface", "User", "LocalPath", "RemotePath", "Program"), "str"),
    "RayPort": "int", "DiskGb": "int",
}  # fmt: skip
"""The same, of names that stand where they are used."""


# -- pages ----------------------------------------------------------------------------------------------------


def scenario_page() -> str:
    """Scenario files."""
    text = (
        "# Scenario file\n\nYAML. Unknown and doubled keys are errors; each error names file, field, value and "
        "fix. `testbed` is a\npackaged name, a path relative to the file, or an inline mapping "
        "([testbed file](testbed.md)). A relative `trace` path is\nlooked for beside the file too. Times are "
        "virtual seconds. What can be put under `controllers`:\n[parameters](parameters.md).\n\n"
    )
    kinds = {cls: f"{cls.model_fields['kind'].default}" for cls in (*SOURCES, *EVENTS)}
    names = {cls: f"Source `{kinds[cls]}`" for cls in SOURCES} | {
        cls: f"Event `{kinds[cls]}`" for cls in EVENTS
    }
    titles = {scenario.TokenLengths: "`lengths` of a source", scenario.LiveConfig: "`live`"}
    text += "\n".join(model_section(cls, names.get(cls) or titles.get(cls, "")) for cls in SCENARIO)
    found = [load_scenario(name) for name in list_scenarios()]
    rows = [
        [f"`{name}`", f"`{s.testbed.name}`", str(s.slots), cell(s.note.strip())]
        for name, s in zip(list_scenarios(), found, strict=True)
    ]
    return text + "\n## Packaged scenarios\n\n" + table(["name", "testbed", "slots", "what it is"], rows)


def testbed_page() -> str:
    """Testbed files."""
    return (
        "# Testbed file\n\nWhat exists, as both worlds and every controller may know it. YAML; unknown keys are "
        "errors.\nThe numbers of the packaged ones: [testbeds](../explanation/testbeds.md).\n\n"
    ) + "\n".join(model_section(cls) for cls in TESTBED)


def http_settings_page() -> str:
    """Limits of the gateway's HTTP server."""
    return (
        "# Settings of the gateway's HTTP server\n\nYAML for `edgebed up --http FILE`; unknown keys are errors. "
        "Without a file the defaults hold.\nWhat is refused, and how it is answered: [HTTP API](http.md).\n\n"
    ) + model_section(HttpSettings, "Keys")


def machines_page() -> str:
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


def record_page() -> str:
    """Lines of a run record."""
    text = (
        "# Run record\n\n`record.jsonl`, one JSON object per line, format version "
        f"{records.RECORD_VERSION}, in virtual seconds, ordered by (time, priority, order of writing);\npriorities: "
        "event, executor, request, decision. The header is first, the footer last; a record without a footer\nwas "
        "cut. In virtual time the same scenario, scheme and seed give the same bytes. What is not canonical (wall\n"
        "clock, pid, host, the client's view) is in `side.jsonl`, each row with the `line` it belongs to (the "
        "header\nis line 0). What was not measured is null, never 0.\n\n"
        "Of a live request its side row has `heard_s`, when the gateway had the answer, and `answered_s`, when the "
        "client had it\n(before its log is joined: the gateway's time). Records of versions 1 and 2 still open; "
        "they carry no provenance, and\ndo not name what was in the system when they closed. In those of version 1, "
        "where "
        "their `ended_s` was a gateway's time,\nit is read as the node's, which their side rows have.\n"
        "Version 4 has the fields of version 3; schemes that route at random (RR, RF, RL) draw anew, so that the same "
        "seed gives\nother requests to other nodes.\n\n"
    )
    text += kept_section()
    for cls in LINES:
        docs, written = field_docs(cls), source_annotations(cls)
        rows = [
            [f"`{n}`", f"`{cell(t)}`", cell(docs.get(n, WORDS["fields of record lines"].get(n, "")))]
            for n, t in written.items()
        ]
        kind = cls.__dataclass_fields__["kind"].default  # type: ignore[attr-defined]
        text += f"## `{kind}`\n\n{first_paragraph(cls)}\n\n" + table(["field", "type", "what"], rows) + "\n"
    return text


def kept_section() -> str:
    """How a live record is kept, with the figures the code has."""
    return f"""## How a live record is kept

The recorder acknowledges a batch when it is written; whoever sent it keeps it until then. A gateway answers a
request when its end lies in a file of the gateway's machine, and sends its records every {PERIOD_S:g} s: no
process that is killed, gateway, recorder or both, takes a request that was answered out of the record. Where
that file cannot be written, `/health` says so, and killing the gateway may lose the ends of its last
{PERIOD_S:g} s. Written means handed to the operating system; a loss of power may cost what that had not put on
the disk.

A recorder that is killed is restarted and goes on from the files of its run: while a run is open, its folder
holds `.open/`, for its owner only, with a journal of every batch. When the disk is full, nothing is
acknowledged: senders keep up to {MOST_WAITING_MB} MB of records each, `/health` says `degraded`, and beyond
that a gateway refuses requests (503 `records_full`). Once there is room, all of it is written. At the end of a
run that is waited for, {PATIENCE_S:g} s at most; then the run has failed, and its folder is left for `edgebed
recover`.

`edgebed recover` closes the record of a run that was cut: it keeps what was acknowledged, adds a line
`unfinished` for each request in the system and a footer that says `interrupted`, and joins the client's log.

The record of `edgebed up` is kept in segments, each of at most {MOST_MB} MB (or an eighth of `--keep-records`)
and {LONGEST_H:g} hours. Those that are over are below `segments/`, each a folder that `edgebed report` reads,
times counted from the begin of the testbed; the oldest go once all are larger than `--keep-records` says. A
request has its line in the segment in which it ended, so in each of them arrived = ends; the side row of its
footer has `carried`, how many were in the system then, that of its header `segment` and `begin_s`. An event is
in the fault ledger of the segment in which it began and ended.

The side row of the footer has `client`, what the client's log said of the record before they were joined:
`asked`, `answered`, `unrecorded` (answered, and no such end in the record: a run in which it is not 0 has not
passed), `undelivered` (done by the record, no answer at the client), `twice`, and the first of their names. Its
`recorder` says how often the recorder was restarted and found no room, where it did.

"""


def cli_page() -> str:
    """Commands."""
    text = (
        "# Command line\n\n`edgebed <command> --help` says the same; `edgebed --version` which version it is and "
        "whether it runs [compiled](../explanation/compiled.md), "
        "`edgebed --install-completion` lets the shell complete\ncommands, options, scenarios and schemes. "
        "`python -m edgebed` is the same program.\n\n## Exit codes\n\n"
        + table(
            ["code", "what"],
            [
                ["0", "done"],
                [
                    "1",
                    "it was tried and failed: a check, a run, every request of a `load`, a server that is not there",
                ],
                ["2", "wrong input, with one message; nothing was started or written"],
                ["130", "interrupted by Ctrl-C; what was finished is reported"],
            ],
        )
        + "\n## Where files go\n\nResults: a new folder under `runs/` in the current folder, or under EDGEBED_RUNS "
        "where that is set; `--out` names\nanother. What outlives a command: `~/.edgebed`, or EDGEBED_HOME: "
        "`testbed.json` while a testbed stands, and "
        "`tiny-...`,\nthe models of `--backend real-tiny`. Nothing else is written anywhere.\n\n"
        "Results are on standard output, how far it is on standard error: a bar on a terminal, plain lines elsewhere, "
        "nothing\nwith `--json` or `--quiet`. An option that would have no effect is an error.\n\n"
    )
    for name, found in commands():
        arguments = [p for p in found.params if p.param_type_name == "argument"]
        usage = " ".join(p.name if p.required else f"[{p.name}]" for p in arguments)
        text += f"## `edgebed {name}{' ' if usage else ''}{usage}`\n\n{found.help}\n\n"
        rows = [
            [f"`{'`, `'.join(p.opts) if p.param_type_name == 'option' else p.name}`", _cli_default(p),
             cell(getattr(p, "help", "") or "")]
            for p in found.params if p.name != "help"
        ]  # fmt: skip
        text += table(["", "default", "what"], rows) + "\n" if rows else ""
    return text


def commands() -> Iterator[tuple[str, Any]]:
    """Every command with its name, those of groups as `group command`."""
    top: Any = typer.main.get_command(app)
    for name, found in top.commands.items():
        inner = getattr(found, "commands", None)
        yield from ((f"{name} {n}", c) for n, c in inner.items()) if inner else [(name, found)]


def _cli_default(param: Any) -> str:
    if param.required:
        return "required"
    return "" if param.default is None or param.default is False else f"`{param.default}`"


def metrics_page() -> str:
    """What a scraper reads."""
    text = METRICS_INTRODUCTION
    for group in GROUPS:
        rows = [
            [f"`{name}`", m.kind, ", ".join(f"`{label}`" for label in m.labels), cell(m.what)]
            for name, m in METRICS.items()
            if m.group == group
        ]
        text += f"\n## {group}\n\n" + table(["metric", "kind", "labels", "what"], rows)
    bounds = {m.bounds: name for name, m in reversed(METRICS.items()) if m.bounds}
    rows = [
        [", ".join(f"{b:g}" for b in m), ", ".join(f"`{n}`" for n, k in METRICS.items() if k.bounds == m)]
        for m in reversed(bounds)
    ]
    return text + "\n## Buckets\n\n" + table(["upper bounds", "of"], rows)


def scheme_page() -> str:
    """Schemes."""
    rows = [
        [
            f"`{s.name}`",
            s.paper,
            *(f"`{part}`" if part else "–" for part in parts),
            s.reasoner,
            cell(s.summary),
        ]
        for s in SCHEMES.values()
        for parts in [(s.router, s.perf, s.scheduler, s.deployer, s.planner, s.meta)]
    ]
    heads = [
        "scheme",
        "paper",
        "router",
        "predictions",
        "scheduler",
        "deployer",
        "planner",
        "meta",
        "reasoner",
        "what it does",
    ]
    return (
        "# Schemes\n\nA scheme is a row of `SCHEMES` in `controller/schemes.py`: names in the registries of "
        "[parameters](parameters.md).\nIn tables a scheme run by rules is written `MA (rules)`. Where a "
        "scenario gives a `plan`, schemes with a planner\nfollow it (planner `given`), but for "
        f"{', '.join(f'`{s.name}`' for s in SCHEMES.values() if s.plans_itself)}. Deployers act on nodes "
        "with `hosting: pods` only; a device is always on.\n\n"
    ) + table(heads, rows)


def parameter_page() -> str:
    """Parameters of every controller."""
    text = (
        "# Parameters of controllers\n\nA scenario sets them under `controllers`, by registry name: "
        "`controllers: {lyapunov: {v: 2.0}}`. They hold for every\nscheme that uses that controller. An "
        "unknown name or parameter is an error.\n"
    )
    for port in REGISTRIES:
        text += f"\n## {PORTS.get(port, f'{port.capitalize()}s')}\n"
        for name, kind in sorted(REGISTRIES[port].items()):
            config = getattr(kind, "Config", kind)
            about = "" if config is kind else first_paragraph(kind) + "\n\n"
            body = model_section(config, f"`{name}`", 3).split("\n\n", 2)
            keys = body[2] if len(config.model_fields) else "No parameters.\n"
            text += f"\n### `{name}`\n\n{about}{keys}"
    inner = {t for r in REGISTRIES.values() for k in r.values() for t in nested(getattr(k, "Config", k))}
    text += "\n## Groups of parameters\n\n"
    return text + "\n".join(model_section(t, f"`{t.__qualname__}`", 3) for t in sorted(inner, key=str))


def nested(config: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """The models inside a model's fields."""
    for info in config.model_fields.values():
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
            yield info.annotation
            yield from nested(info.annotation)


PAGES: dict[str, Callable[[], str]] = {
    "scenario.md": scenario_page,
    "testbed.md": testbed_page,
    "records.md": record_page,
    "cli.md": cli_page,
    "machines.md": machines_page,
    "http-settings.md": http_settings_page,
    "metrics.md": metrics_page,
    "schemes.md": scheme_page,
    "parameters.md": parameter_page,
}


def stale() -> list[str]:
    """Names of the pages that are not what the code says."""
    return [
        name
        for name, page in PAGES.items()
        if not (REFERENCE / name).is_file() or (REFERENCE / name).read_text() != NOTE + page().rstrip() + "\n"
    ]


def main() -> int:
    """Write the pages that changed, or with `--check` only name them; the exit code."""
    found = stale()
    if "--check" in sys.argv[1:]:
        print("\n".join(found) or "up to date")
        return int(bool(found))
    for name in found:
        (REFERENCE / name).write_text(NOTE + PAGES[name]().rstrip() + "\n")
        print(f"wrote docs/reference/{name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
