"""What a scraper reads of GPUs that real models are on."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from serve_apps.gateway.exposition import exposition
from serve_apps.gateway.server.books import Books
from serve_apps.gateway.server.settings import HttpSettings
from serve_apps.vram.ledger import CONTEXT_MB, Gpu, VramLedger

MIB = 2**20


def samples(text: bytes) -> dict[tuple[str, ...], float]:
    """(name, values of its labels by their names' order) to value."""
    families = text_string_to_metric_families(text.decode())
    return {(s.name, *(v for _, v in sorted(s.labels.items()))): s.value for f in families for s in f.samples}


def test_a_scraper_sees_who_holds_what_of_which_gpu() -> None:
    ledger = VramLedger()
    gpu = Gpu("GPU-7", "Card", "laptop", 24_000, 24_000)
    ledger.claim("n--a", [gpu], 8000)
    ledger.report("n--a", [9000])
    ledger.claim("n--b", [gpu], 2000)
    assert samples(exposition(None, ledger.accounts())) == {
        ("edgebed_vram_total_bytes", "GPU-7", "laptop"): 24_000 * MIB,
        ("edgebed_vram_claimed_bytes", "n--a", "GPU-7"): 9000 * MIB,
        ("edgebed_vram_claimed_bytes", "n--b", "GPU-7"): (2000 + CONTEXT_MB) * MIB,
        ("edgebed_vram_used_bytes", "n--a", "GPU-7"): 9000 * MIB,
    }


def test_a_scraper_sees_what_the_server_answers_holds_and_how_late_it_is() -> None:
    books = Books(HttpSettings())
    books.answers.update([200, 200, 431])
    books.hold(70_000)
    for lag_s in (0.0, 0.002, 0.02, 9.0):
        books.late(lag_s)
    found = samples(exposition(None, books=books))
    assert found["edgebed_http_answers_total", "200"] == 2
    assert found["edgebed_http_answers_total", "431"] == 1
    assert found["edgebed_http_body_bytes",] == 70_000
    assert found["edgebed_loop_lag_seconds_bucket", "0.001"] == 1
    assert found["edgebed_loop_lag_seconds_bucket", "0.05"] == 3
    assert found["edgebed_loop_lag_seconds_count",] == 4
    assert found["edgebed_loop_lag_seconds_sum",] == 9.022


def test_without_a_run_or_a_gpu_there_is_nothing_to_read() -> None:
    assert samples(exposition(None)) == {}
