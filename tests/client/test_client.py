"""The client against a gate: what a program does with it, with and without an event loop."""

import io
import json
import os
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from goodsgate_client import (
    Batch,
    ConflictError,
    InvalidRequestError,
    IssueCode,
    NotFoundError,
    RefusalCode,
    WaitTimeoutError,
)
from goodsgate_client._async import session as async_session
from goodsgate_client._sync import session as sync_session
from goodsgate_client.sources import PIECE_BYTES, SourceError, file_source, record_source
from tests.cli.proxy import CuttingProxy
from tests.client.conftest import EitherClient
from tests.client.scripted_server import ScriptedServer, answer, events, reset
from tests.factories import product, products
from tests.http_gate import HttpGate

CSV = b"sku;title;price\nA-1;Cup;7.90 EUR\nA-2;;3.00 EUR\nA-3;Pot;on request\n"


def submit(client: EitherClient, content: bytes = CSV, **options: Any) -> Batch:
    """Submit a file and wait until its batch has ended."""
    return client.call("wait", client.call("submit_file", content, **options))


def test_a_file_is_submitted_and_followed(client: EitherClient, tmp_path: Path) -> None:
    """Progress arrives while it is sent and worked; issues, results and items are read as values."""
    file, sent, states = tmp_path / "spring.csv", [], []
    file.write_bytes(CSV)
    batch = client.call("submit_file", file, collection="spring", delimiter="semicolon", on_bytes=sent.append)
    assert (batch.label, batch.collection, sent) == ("spring.csv", "spring", [len(CSV)])
    batch = client.call("wait", batch, on_progress=states.append)
    assert states[-1] == batch
    assert (batch.state, batch.outcome, batch.has_ended, batch.is_clean) == ("finished", "partial", True, False)
    assert (batch.counts.total, batch.counts.created, batch.counts.rejected) == (3, 1, 2)
    assert IssueCode.PRICE_UNREADABLE in {group.code for group in batch.issues}
    issues = client.call("issues", batch.id, code="price_unreadable")
    assert [(issue.source_row, issue.key, issue.value) for issue in issues] == [(4, "A-3", "on request")]
    results = client.call("results", batch)
    assert [(row.key, row.result) for row in results] == [("A-1", "created"), ("A-2", "rejected"), ("A-3", "rejected")]
    assert [item.record["title"] for item in client.call("items", "spring")] == ["Cup"]
    assert client.call("item", "A-1", "spring").record["price"] == "7.90 EUR"
    assert batch.raw["policy"]["delimiter"] == ";"
    assert [each.id for each in client.call("batches", collection="spring")] == [batch.id]


@pytest.mark.parametrize("content", [CSV, io.BytesIO(b"skipped\n" + CSV)])
def test_a_file_is_content_or_an_open_file(client: EitherClient, content: Any) -> None:
    """An open file is sent from its current position, and stays open."""
    if isinstance(content, io.BytesIO):
        content.seek(8)
    assert submit(client, content, delimiter="semicolon").counts.created == 1
    assert isinstance(content, bytes) or not content.closed


def test_records_are_submitted_from_an_iterable(client: EitherClient) -> None:
    """Of an event loop, too; options of the submission apply."""

    async def later() -> AsyncIterator[dict[str, object]]:
        for record in products(1, 2, 3):
            yield record

    records = later() if client.is_async else iter(products(1, 2, 3))
    batch = client.call("wait", client.call("submit_records", records, label="from a program", replace=True))
    assert (batch.label, batch.is_clean, batch.counts.created) == ("from a program", True, 3)
    assert batch.raw["policy"]["replace"] is True


def test_lists_are_read_page_by_page(client: EitherClient) -> None:
    """All rows arrive, and pages say where the next one is."""
    client.call("wait", client.call("submit_records", products(*range(1, 6))))
    assert [item.key for item in client.call("items", page_rows=2)] == [f"SKU-000{n}" for n in range(1, 6)]
    if not client.is_async:
        pages = list(client.client.items(page_rows=2).pages())
        assert [len(page.rows) for page in pages] == [2, 2, 1]
        assert [page.next is None for page in pages] == [False, False, True]


def test_rejected_records_are_corrected_and_sent_back(client: EitherClient) -> None:
    """A record that is left out stays rejected; a number that the correction does not touch keeps its digits."""
    records = [product(1, price="?", shelf_number=Decimal("12345678901234567.10")), product(2, price="!"), product(3)]
    batch = client.call("wait", client.call("submit_records", records))
    assert batch.counts.rejected == 2

    def correct(record: dict[str, Any]) -> dict[str, Any] | None:
        assert IssueCode.PRICE_UNREADABLE in record["_codes"]
        return {**record, "price": "5.00 EUR"} if record["id"] == "SKU-0001" else None

    batch = client.call("wait", client.call("correct", batch, correct))
    assert (batch.rounds, batch.counts.created, batch.counts.rejected) == (2, 2, 1)
    text = client.call("send", "GET", "/v1/collections/products/items/SKU-0001").text
    assert '"shelf_number":12345678901234567.10' in text.replace(" ", "")


def test_a_report_is_corrected_as_a_file(client: EitherClient, tmp_path: Path) -> None:
    """It has the submitter's columns; a preview says what it will replace."""
    batch = submit(client, delimiter="semicolon")
    report = client.call("save_report", batch, tmp_path / "report.csv")
    assert report == tmp_path / "report.csv"
    report.write_text(report.read_text("utf-8").replace("on request", "9.00 EUR").replace(";;", ";Jug;"), "utf-8")
    match = client.call("preview_fix", batch, report)
    assert (match.records, match.replacing, match.without_row) == (2, 2, 0)
    assert client.call("wait", client.call("fix_file", batch, report)).is_clean


def test_suggestions_are_listed_and_accepted(client: EitherClient) -> None:
    """By issue code and field."""
    batch = client.call("wait", client.call("submit_records", [product(1, gtin="4006381333932")]))
    listing = client.call("suggestions", batch)
    (group,) = listing.suggestions
    assert (group.code, group.records, group.examples[0].suggestion) == (IssueCode.GTIN_CHECK_DIGIT, 1, "4006381333931")
    batch = client.call("apply_suggestions", batch, code=group.code, field=group.field)
    assert client.call("wait", batch).is_clean


def test_withheld_deletions_are_confirmed(client: EitherClient, tmp_path: Path) -> None:
    """A full feed without most of the items deletes them only then; the export shows what is left."""
    client.call("wait", client.call("submit_records", products(1, 2, 3)))
    batch = client.call("wait", client.call("submit_records", products(1), mode="full"))
    assert batch.withheld is not None
    assert (batch.withheld.deletions, batch.is_clean) == (2, False)
    batch = client.call("wait", client.call("confirm", batch, deletions=2))
    assert batch.counts.deleted == 2
    exported = client.call("save_export", tmp_path / "all.ndjson")
    assert [json.loads(line)["id"] for line in exported.file.read_text("utf-8").splitlines()] == ["SKU-0001"]


def test_reference_data_is_loaded_and_rejected_records_are_retried(client: EitherClient) -> None:
    """A record whose brand was unknown is accepted afterwards."""
    client.call("load_reference", "brand", b"code,name\nother,Other\n")
    batch = client.call("submit_records", [product(1, brand="Acme")], references="refuse")
    assert client.call("wait", batch).counts.rejected == 1
    client.call("load_reference", "brand", b"code,name\nacme,Acme\n")
    assert client.call("wait", client.call("retry", batch)).is_clean


def test_an_item_is_edited_found_and_unlocked(client: EitherClient) -> None:
    """What a person has written is locked."""
    client.call("wait", client.call("submit_records", products(1, 2)))
    assert client.call("wait", client.call("edit_item", "SKU-0001", {"title": "Silk shirt"})).counts.updated == 1
    (item,) = client.call("items", search="silk")
    assert (item.key, item.locked["title"]["supplied"]) == ("SKU-0001", "Linen shirt 1")
    assert client.call("wait", client.call("unlock_item", "SKU-0001", field="title")).counts.updated == 1
    assert client.call("item", "SKU-0001").record["title"] == "Linen shirt 1"


def test_changes_are_followed_from_an_export_on(client: EitherClient, tmp_path: Path) -> None:
    """A program that begins late misses nothing and sees nothing twice."""
    client.call("wait", client.call("submit_records", products(1, 2)))
    cursor = client.call("save_export", tmp_path / "all.ndjson").cursor
    assert client.call("changes", cursor) == []
    client.call("wait", client.call("submit_records", [product(1, title="Silk"), product(3)]))
    changes = client.call("changes", cursor, fields=["before", "after"])
    assert [(change.key, change.operation) for change in changes] == [("SKU-0001", "updated"), ("SKU-0003", "created")]
    assert (changes[0].before["title"], changes[0].after["title"]) == ("Linen shirt 1", "Silk")
    page = client.call("change_page", changes[0].cursor, fields=(), wait_seconds=30)
    assert [(change.key, change.after) for change in page.changes] == [("SKU-0003", None)]
    assert page.cursor == changes[1].cursor
    assert [change.number for change in client.call("changes")][-2:] == [change.number for change in changes]
    with pytest.raises(InvalidRequestError):
        client.call("changes", "nonsense")


def test_a_batch_is_reverted(client: EitherClient) -> None:
    """The items are as before it."""
    client.call("wait", client.call("submit_records", products(1)))
    batch = client.call("wait", client.call("submit_records", [product(1, title="Silk"), product(2)]))
    preview = client.call("preview_revert", batch)
    assert (preview["restored"], preview["removed"], preview["kept"]) == (1, 1, 0)
    assert client.call("wait", client.call("revert", batch)).is_clean
    assert [item.record["title"] for item in client.call("items")] == ["Linen shirt 1"]


def test_a_file_is_inspected(client: EitherClient) -> None:
    """Nothing is stored."""
    inspection = client.call("inspect_file", CSV, delimiter="semicolon")
    assert [column["fields"] for column in inspection["columns"]] == [["id"], ["title"], ["price"]]
    assert client.call("batches") == []


def test_a_refusal_is_an_exception_with_its_code(client: EitherClient) -> None:
    """The problem document is in it."""
    with pytest.raises(NotFoundError, match="Batch not found") as unknown:
        client.call("batch", "0" * 32)
    assert unknown.value.code == RefusalCode.BATCH_UNKNOWN
    assert (unknown.value.status, unknown.value.members["title"]) == (404, "Batch not found.")
    with pytest.raises(InvalidRequestError) as invalid:
        client.call("submit_records", products(1), currency="euro")
    assert (invalid.value.code, invalid.value.members["parameter"]) == (RefusalCode.PARAMETER_INVALID, "currency")
    batch = submit(client)
    with pytest.raises(ConflictError) as conflict:
        client.call("confirm", batch, deletions=1)
    assert conflict.value.code == RefusalCode.NOTHING_WITHHELD
    assert client.call("cancel", batch).state == "finished"


# -- what is sent twice -----------------------------------------------------------------------------------------------


def test_an_iterable_that_fails_submits_nothing(client: EitherClient) -> None:
    """Its exception is raised, even if it looks like a lost connection, which would be tried again."""
    def failing() -> Iterator[dict[str, object]]:
        yield product(1)
        raise httpx.ReadError("the database is away")

    with pytest.raises(httpx.ReadError, match="database"):
        client.call("submit_records", failing())
    assert client.call("batches") == []


def test_a_lost_connection_submits_records_once(gate: HttpGate, kind: str) -> None:
    """The iterable is read once; what was sent before is sent again."""
    proxy = CuttingProxy(gate.address[1], after_bytes=300_000, cuts=2)
    client = EitherClient(kind, proxy.url, gate.secret(gate.merchant()))
    reasons: list[str] = []
    records = (product(number, description="x" * 1000) for number in range(1, 601))
    batch = client.call("wait", client.call("submit_records", records, on_retry=reasons.append))
    assert (batch.counts.created, batch.counts.total, len(reasons)) == (600, 600, 2)
    assert len(client.call("batches")) == 1
    client.close()
    proxy.close()


def test_records_are_encoded_while_they_are_sent() -> None:
    """A piece is short, whatever the length of the iterable; a second attempt begins with the first byte."""
    taken = 0

    def endless() -> Iterator[dict[str, str]]:
        nonlocal taken
        while True:
            taken += 1
            yield {"sku": f"S-{taken}", "title": "x" * 1000}

    source = record_source(endless())
    pieces = source.pieces()
    first, second = next(pieces), next(pieces)
    assert taken < 3 * PIECE_BYTES / 1000
    again = source.pieces()
    assert b"".join(next(again) for _ in range(3)).startswith(first + second)
    source.close()


def test_a_source_that_failed_is_not_sent_again_without_its_rest() -> None:
    """Every attempt fails, so that half of the records are never taken for all of them."""
    source = record_source(json.loads(text) for text in ["{}", "{"])
    for _ in range(2):
        with pytest.raises(SourceError):
            list(source.pieces())
    source.close()


def test_a_pipe_is_read_once() -> None:
    """It has no length, and can be sent again all the same."""
    reading, writing = os.pipe()
    os.write(writing, CSV)
    os.close(writing)
    with open(reading, "rb") as pipe:
        source = file_source(pipe)
        assert source.bytes_total is None
        assert [b"".join(source.pieces()) for _ in range(2)] == [CSV, CSV]
        source.close()


@pytest.mark.parametrize("mapping", [{"Name": "title", "Nr": ["sku", "id"], "Intern": []},
                                     {"Name": ["title"], "Nr": ["sku", "id"], "Intern": ""}])
def test_a_mapping_is_written_in_the_query(kind: str, mapping: Any) -> None:
    """Several fields of a column, and a column without a field; a name with a comma is refused before it is sent."""
    with ScriptedServer(answer(400, {"code": "parameter_invalid", "title": "No"})) as server:
        client = EitherClient(kind, server.url)
        with pytest.raises(InvalidRequestError):
            client.call("submit_file", CSV, map=mapping, empty_words=["n/a", "-"], header_row=2)
        with pytest.raises(ValueError, match="'a,b', which has a comma"):
            client.call("submit_file", CSV, map={"a,b": "title"})
        client.close()
    (request,) = server.requests
    query = request.split()[1].decode()
    assert "map=Name%3Atitle%2CNr%3Asku%2CNr%3Aid%2CIntern%3A" in query
    assert "empty_words=n%2Fa%2C-" in query
    assert "header_row=2" in query


# -- waiting ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    for session in (sync_session, async_session):
        monkeypatch.setattr(session, "POLL_SECONDS_MIN", 0.001)
        monkeypatch.setattr(session, "POLL_SECONDS_MAX", 0.01)


def document(state: str, label: str = "") -> dict[str, object]:
    """Return the document of a batch."""
    progress = {"share": 0, "records": 0, "bytes_done": 0, "bytes_total": 0}
    return {
        "id": "b", "kind": "product", "collection": "products", "label": label, "state": state, "counts": {},
        "outcome": "clean" if state == "finished" else None, "progress": progress,
    }


@pytest.mark.usefixtures("_short_pauses")
def test_waiting_ends_with_its_time(kind: str) -> None:
    """The gate continues with the batch."""
    working = document("working")
    with ScriptedServer(events(working), answer(200, working)) as server:
        client = EitherClient(kind, server.url)
        with pytest.raises(WaitTimeoutError, match="within"):
            client.call("wait", "b", timeout_seconds=0.05)
        client.close()


@pytest.mark.usefixtures("_short_pauses")
def test_waiting_survives_lost_connections(kind: str) -> None:
    """Of the event stream and of a poll."""
    working, finished = document("working"), document("finished")
    steps = (events(working, length=9999), reset, answer(502), answer(200, working), events(finished))
    with ScriptedServer(*steps) as server:
        client = EitherClient(kind, server.url)
        reasons: list[str] = []
        assert client.call("wait", "b", on_retry=reasons.append).is_clean
        assert len(reasons) >= 2
        client.close()


def test_a_document_with_a_line_separator_is_one_event(kind: str) -> None:
    """A label may hold characters at which texts are split elsewhere."""
    label = "one\u2028two\x85three\x0bfour"
    content = b"data: " + json.dumps(document("finished", label), ensure_ascii=False).encode() + b"\n\n"
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: %d\r\n\r\n" % len(content)
    with ScriptedServer(head + content) as server:
        client = EitherClient(kind, server.url)
        assert client.call("wait", "b").label == label
        client.close()
