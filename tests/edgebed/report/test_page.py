"""The page: what stands where, for every reader, whatever it is about is called."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

import pytest

from edgebed.report import compare_runs
from edgebed.report.html import render
from tests.build import accessible
from tests.build.comparisons import page_of_all, synthetic_comparison, synthetic_run
from tests.build.records import decision, event, request, run, state


@pytest.fixture(scope="module")
def page() -> str:
    return page_of_all()


def figures(page: str) -> Iterator[str]:
    yield from re.findall(r'<svg [^>]*role="img".*?</svg>', page, flags=re.DOTALL)


@pytest.mark.slow
def test_plots_take_the_inks_of_the_page(page: str) -> None:
    drawn = list(figures(page))
    assert len(drawn) == 6 + 3
    assert all("var(--muted)" in svg for svg in drawn)
    assert not re.search(r"#(?!ffffff\b)[0-9a-f]{6}\b", "".join(drawn))


def test_the_page_begins_with_who_is_better_by_how_much(page: str) -> None:
    top = page[: page.index('<nav class="contents"')]
    for said in (
        "sect, AL and MA (rules), in virtual time, on the same requests and events; 3 seeds.",
        ">baseline<",
        "sect against AL: mean",
        "MA (rules) against AL: mean",
        "only 3 seeds",
        "every request accounted for in 9 of 9 runs",
        "faults landed on their target",
        "two worlds",
        "none, rules",
    ):
        assert said in top, said
    assert top.index("two worlds") < top.index("sect against AL"), "what failed comes first"


def test_differences_carry_their_percentage_and_a_word(page: str) -> None:
    table = page[page.index('id="differences"') : page.index('id="time"')]
    assert re.search(r"\u2212\d+% better", table)


def test_contents_lead_to_every_section(page: str) -> None:
    root = accessible.parsed(page)
    (nav,) = (e for e in root.all("nav"))
    linked = [a.attributes["href"].removeprefix("#") for a in nav.all("a")]
    assert linked == [h.attributes["id"] for h in root.all("h2")]
    assert {"figures", "differences", "time", "latency", "models", "faults", "parity", "executors"} < set(
        linked
    )


def test_a_reader_from_outside_finds_the_words_explained(page: str) -> None:
    root = accessible.parsed(page)
    (words,) = (e for e in root.all("dl") if "words" in e.classes())
    explained = " ".join(e.text() for e in words.all("dt"))
    for word in (
        "Scheme",
        "Executor",
        "deployer",
        "epoch",
        "Horizon",
        "Seed",
        "goodput",
        "Tw",
        "Jain",
        "Stutter",
        "95%",
    ):
        assert word in explained


@pytest.mark.slow
def test_the_page_has_no_finding_of_accessibility(page: str) -> None:
    assert accessible.problems(page) == []


@pytest.mark.usefixtures("undrawn")
def test_a_page_of_one_seed_has_no_finding_either() -> None:
    assert accessible.problems(render(synthetic_comparison(1))) == []


@pytest.mark.slow
def test_a_page_of_one_run_has_no_finding_either() -> None:
    assert accessible.problems(render(compare_runs([synthetic_run("sect", 1)]))) == []
    assert accessible.problems(render(compare_runs([run()]))) == []


HOSTILE = (
    "<script>alert(1)</script>",
    '"onload="x',
    "a--><b>",
    "$x_{",
    "{{ 7 * 7 }}",
    "_hidden",
    "模型",
    "x" * 90,
)


def hostile_page(name: str, models: tuple[str, ...]) -> accessible.Element:
    """The page of two runs in which everything that has a name is called so, its models as said; looked at already."""
    requests = [request(0, 5, m, request_id=m, executor=f"{m}/{m}") for m in models]
    decisions = [
        decision(5, f"deployer:{name}", choice=name, reason=name, cause=name, violations=(name,)),
        decision(
            5, "router", request_id=name, choice=name, reason=name, candidates=((name, 1.0), ("b", 2.0))
        ),
    ]
    events = [event(10, "onset", type=name, target=name)]
    states = [state(0, f"{m}/{m}", "ready") for m in models]
    made = [
        run(
            [*requests, request(9, 5, "b")],
            decisions,
            events,
            states,
            scheme=scheme,
            scenario=name,
            models=(*models, "b"),
            reasoner="none",
        )
        for scheme in (name, "AL")
    ]
    page = render(compare_runs(made, note=name))
    assert accessible.problems(page) == []
    root = accessible.parsed(page)
    assert not list(root.all("script"))
    assert any("default-src 'none'" in str(meta.attributes) for meta in root.all("meta"))
    assert not any(a.startswith("on") for e in root.all() for a in e.attributes)
    return root


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("name", HOSTILE)
def test_names_from_outside_are_text_and_nothing_else(name: str) -> None:
    assert " ".join(name.split()) in next(hostile_page(name, (name,)).all("h1")).text()


@pytest.mark.slow
def test_names_from_outside_are_no_more_than_that_in_pictures() -> None:
    """All of them in one page: drawing is most of what a page costs."""
    assert len(list(hostile_page(HOSTILE[0], HOSTILE).all("svg"))) > 5


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("schemes", [4, 10])
def test_tables_do_not_grow_in_width_with_the_number_of_schemes(schemes: int) -> None:
    of = [synthetic_run("sect", seed) for seed in (0, 1)]
    runs = [replace(r, header=replace(r.header, scheme=f"scheme-{i}")) for i in range(schemes) for r in of]
    root = accessible.parsed(render(compare_runs(runs)))
    for table in root.all("table"):
        first = next(table.all("tr"))
        assert sum(1 for c in first.children if isinstance(c, accessible.Element)) <= 9
