"""On whose behalf requests are sent: drawn, read from a trace, sent as a header, kept in the record."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from edgebed.runs.virtual import simulate
from emulation.domain.records import RECORD_VERSION, WITHOUT_TENANTS
from emulation.domain.scenario import Scenario
from emulation.files import load_scenario
from emulation.recording import RECORD_FILE, JsonlSink, decode, encode, read_run
from tests.build.records import request
from tests.build.workloads import PERIODIC, POISSON, SOURCES, scenario
from workloads.client import build_call
from workloads.generate import generate
from workloads.trace_files import TraceError

SHARES = {"lab": 3.0, "shop": 1.0}


@pytest.mark.parametrize("kind", SOURCES)
def test_every_source_draws_tenants_by_share_and_changes_nothing_else(kind: str) -> None:
    plain, shared = (
        generate(scenario(s), 3).items for s in (SOURCES[kind], {**SOURCES[kind], "tenants": SHARES})
    )
    assert all(r.tenant is None for r, _ in plain)
    lab = sum(r.tenant == "lab" for r, _ in shared) / len(shared)
    assert lab == pytest.approx(0.75, abs=0.1)
    assert {r.tenant for r, _ in shared} == {"lab", "shop"}
    assert [(r.id, r.arrival_s, r.model, r.prompt_tokens, t) for r, t in plain] == [
        (r.id, r.arrival_s, r.model, r.prompt_tokens, t) for r, t in shared
    ]


def test_a_session_has_one_tenant() -> None:
    source = {
        "kind": "sessions",
        "sessions_per_s": 0.001,
        "mix": {"gpt2": 1},
        "turns": [5],
        "tenants": SHARES,
    }
    world = scenario({**source, "think": "fixed", "think_s": 1})
    drawn = [generate(world, seed).items for seed in range(60)]
    alone = [{r.tenant for r, _ in items} for items in drawn if len(items) == 5]
    assert len(alone) > 10
    assert all(len(own) == 1 for own in alone)
    assert set.union(*alone) == {"lab", "shop"}


def replayed(tmp_path: Path, cells: list[str], **more: Any) -> Any:
    path = tmp_path / "t.csv"
    path.write_text("t,in,out,who\n" + "".join(f"{i},5,5,{cell}\n" for i, cell in enumerate(cells)))
    columns = {"time": "t", "time_unit": "s", "prompt_tokens": "in", "output_tokens": "out", "tenant": "who"}
    source = {"kind": "trace", "trace": str(path), "format": "csv", "columns": columns, "mix": {"gpt2": 1}}
    return generate(scenario({**source, **more}), 1)


def test_a_column_of_a_trace_says_whose_a_row_is(tmp_path: Path) -> None:
    found = replayed(tmp_path, ["lab", "", "shop", "two words", "x" * 65, "-dash", "lab"])
    assert [r.tenant for r, _ in found.items] == ["lab", None, "shop", "lab"]
    assert found.accounting[0].dropped == {"bad_tenant": 3}
    assert found.accounting[0].adds_up
    with pytest.raises(TraceError, match="line 5: who 'two words': no name of a tenant"):
        replayed(tmp_path, ["lab", "", "shop", "two words"], bad_rows="refuse")
    with pytest.raises(ValueError, match=r"tenants and columns\.tenant both say"):
        replayed(tmp_path, ["lab"], tenants=SHARES)


@pytest.mark.parametrize("tenants", [{}, {"": 1}, {"two words": 1}, {"lab": 0}, {"lab": -1}, {"x" * 65: 1}])
def test_tenants_that_cannot_be_are_refused(tenants: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="tenants"):
        scenario({**POISSON, "tenants": tenants})


def test_a_client_says_on_whose_behalf_it_asks() -> None:
    world = scenario({**PERIODIC, "tenants": {"lab": 1}})
    asked = generate(world, 1).items[0][0]
    spec = world.testbed.model(asked.model)
    assert build_call(asked, spec, 5).headers["X-Edge-Tenant"] == "lab"
    assert "X-Edge-Tenant" not in build_call(generate(scenario(PERIODIC), 1).items[0][0], spec, 5).headers


# -- the record


def recorded(world: Scenario, folder: Path) -> bytes:
    sink = JsonlSink(folder)
    simulate(world, "sect", 0, sink)
    sink.close()
    return (folder / RECORD_FILE).read_bytes()


def test_a_record_without_tenants_says_nothing_of_them(tmp_path: Path) -> None:
    world = load_scenario("demo")
    data = recorded(Scenario.model_validate({**world.model_dump(), "slots": 8}), tmp_path)
    assert b"tenant" not in data
    assert read_run(tmp_path).header.version == WITHOUT_TENANTS


def test_a_record_with_tenants_names_them_and_is_otherwise_the_same(tmp_path: Path) -> None:
    world = load_scenario("demo").model_dump()
    world["slots"] = 8
    plain = recorded(Scenario.model_validate(world), tmp_path / "plain")
    world["workload"] = [{**world["workload"][0], "tenants": SHARES}]
    named = recorded(Scenario.model_validate(world), tmp_path / "named")
    run = read_run(tmp_path / "named")
    assert run.header.version == RECORD_VERSION
    assert {r.tenant for r in run.requests} == {"lab", "shop"}
    bare = named.replace(b',"tenant":"lab"', b"").replace(b',"tenant":"shop"', b"")
    assert sha256(bare.partition(b"\n")[2]).digest() == sha256(plain.partition(b"\n")[2]).digest()


@pytest.mark.parametrize("reason", ["", ',"tenant":null,"kind":"request"}\n', 'x","tenant":null'])
def test_a_line_reads_back_whatever_its_text(reason: str) -> None:
    for record in (request(0, 1, reason=reason), request(0, 1, reason=reason, tenant="lab")):
        line = encode(record)
        assert (b'"tenant":"lab"' in line) == (record.tenant == "lab")
        assert line.endswith(b',"kind":"request"}\n')
        assert decode(line) == record
