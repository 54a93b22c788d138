"""Batches: listed, read, waited for, followed, reported, corrected, cancelled."""

import csv
import gzip
import io
import json
import threading
import time

import pytest

from tests import factories
from tests.http_gate import read_response
from tests.shop import ndjson

UNKNOWN = "0" * 32


def _dirty():
    """Three records: the second is rejected."""
    return ndjson([factories.product(1), factories.product(2, price="cheap"), factories.product(3)])


def test_a_finished_batch_accounts_for_every_record(client):
    """It has state, outcome, counts, progress and grouped issues."""
    batch = client.submit(_dirty(), label="spring")
    assert (batch["state"], batch["outcome"], batch["position"]) == ("finished", "partial", None)
    counts = batch["counts"]
    assert (counts["total"], counts["accounted"], counts["created"], counts["rejected"]) == (3, 3, 2, 1)
    assert batch["progress"]["share"] == 1.0
    (group,) = [group for group in batch["issues"] if group["severity"] == "error"]
    assert group["count"] == 1
    assert group["top"] == [{"value": "cheap", "count": 1}]
    assert group["docs"] == f"/docs/issues#{group['code']}"
    assert "{" not in group["message"]


def test_a_batch_tells_how_it_was_read(client):
    """What was inferred of a table, what the submission named, and nothing of plain NDJSON."""
    table = "sku;title\nA1;Café\n".encode("cp1252")
    detected = client.submit(gzip.compress(table), format=None, label="spring.csv")
    assert [[*decision.values()] for decision in detected["reading"]] == [
        ["content_encoding", "gzip", "detected", 1.0], ["format", "csv", "detected", None],
        ["encoding", "Windows-1252", "detected", 1.0], ["delimiter", "semicolon", "detected", 1.0],
    ]
    named = client.submit(table, format="csv", encoding="windows-1252")
    assert [decision["how"] for decision in named["reading"] if decision["what"] in ("format", "encoding")] == [
        "given", "given"
    ]
    assert named["policy"]["format"] == "csv"
    assert client.submit(_dirty())["reading"] == []
    assert client.submit(b"\n;;\n", format="csv")["reading"][0]["what"] == "format"


def test_issues_name_the_record_and_the_value(client):
    """They are listed in pages, and filtered by code and severity."""
    batch = client.submit(ndjson([factories.product(number, price="cheap") for number in range(1, 8)]))
    first = client.get(batch["links"]["issues"], params={"limit": 3}).json()
    assert [issue["record"] for issue in first["issues"]] == [1, 2, 3]
    issue = first["issues"][0]
    assert (issue["source_row"], issue["key"], issue["value"], issue["result"]) == (1, "SKU-0001", "cheap", "rejected")
    rest = client.get(client.get(first["next"]).json()["next"]).json()
    assert ([issue["record"] for issue in rest["issues"]], rest["next"]) == ([7], None)
    codes = client.get(batch["links"]["issues"], params={"code": issue["code"], "severity": "error"}).json()["issues"]
    assert {issue["code"] for issue in codes} == {issue["code"]}
    assert client.get(batch["links"]["issues"], params={"code": "no_such_code"}).json() == {"issues": [], "next": None}


def test_results_list_the_result_of_each_record(client):
    """They are ordered by number, and filtered by result."""
    batch = client.submit(_dirty())
    rows = client.get(batch["links"]["results"]).json()["results"]
    assert [(row["record"], row["key"], row["result"]) for row in rows] == [
        (1, "SKU-0001", "created"), (2, "SKU-0002", "rejected"), (3, "SKU-0003", "created"),
    ]
    page = client.get(batch["links"]["results"], params={"result": "created", "limit": 1})
    assert page.links["next"]["url"] == page.json()["next"]
    assert [row["record"] for row in client.get(page.json()["next"]).json()["results"]] == [3]


def test_a_corrected_report_makes_the_batch_clean(client, gate):
    """The report has the submitter's own columns; `_row` identifies each record."""
    body = b"Nummer,id,title,price,availability,condition,link,description\n"
    body += b"x1,A-1,Cup,7.90 EUR,in_stock,new,https://shop.example/1,A cup\n"
    body += b"x2,A-2,Jug,cheap,in_stock,new,https://shop.example/2,A jug\n"
    batch = client.submit(body, format="csv")
    assert batch["counts"]["rejected"] == 1, batch
    report = client.get(batch["links"]["report"])
    assert report.headers["content-type"].startswith("text/csv")
    assert report.headers["content-disposition"] == f'attachment; filename="{batch["id"]}-rejected.csv"'
    (row,) = csv.DictReader(io.StringIO(report.text))
    assert (row["Nummer"], row["price"], row["_row"]) == ("x2", "cheap", "2")
    preview = client.post(f"/v1/batches/{batch['id']}/fix/preview?format=csv", content=report.text)
    expected = {"records": 1, "replacing": 1, "unmatched": 0, "without_row": 0}
    assert preview.json() == expected
    stray = client.post(f"/v1/batches/{batch['id']}/fix?format=csv", content="Nummer,price\nx2,9.90 EUR\n")
    assert (stray.status_code, stray.json()["code"], stray.json()["without_row"]) == (422, "fix_rows_missing", 1)
    fixed = client.post(
        f"/v1/batches/{batch['id']}/fix", content=report.text.replace("cheap", "9.90 EUR"),
        headers={"Content-Type": "text/csv"},
    )
    assert (fixed.status_code, fixed.headers["location"]) == (202, batch["links"]["self"])
    assert (fixed.json()["rounds"], fixed.json()["fix"]) == (2, expected)
    gate.shop.work()
    after = client.get(batch["links"]["self"]).json()
    assert (after["outcome"], after["counts"]["created"], after["counts"]["rejected"]) == ("clean", 2, 0)


@pytest.mark.parametrize("format", ["ndjson", "json", "csv", "tsv", "xlsx"])
@pytest.mark.parametrize("only", ["rejected", "all"])
def test_a_report_is_available_in_every_format(client, only, format):
    """HEAD returns its headers."""
    batch = client.submit(_dirty())
    report = client.get(batch["links"]["report"], params={"only": only, "format": format})
    assert report.status_code == 200
    assert report.content
    head = client.head(batch["links"]["report"], params={"only": only, "format": format})
    assert (head.status_code, head.content) == (200, b"")


def test_batches_are_listed_newest_first_in_pages(client):
    """The link leads to the next page until it is null."""
    ids = [client.post("/v1/batches?format=ndjson", content=_dirty()).json()["id"] for _ in range(5)]
    seen, path = [], "/v1/batches?limit=2"
    while path:
        page = client.get(path).json()
        seen += [batch["id"] for batch in page["batches"]]
        path = page["next"]
    assert seen == ids[::-1]
    assert "issues" not in page["batches"][0]


def test_batches_are_filtered(client):
    """Filters are kind, state, outcome, collection, time and text."""
    clean = client.submit(ndjson(factories.products(1)), label="Spring clean", collection="a")
    partial = client.submit(_dirty(), label="autumn", collection="b")
    stock = client.post("/v1/batches?format=ndjson&kind=stock", content=b'{"id": "A", "quantity": 1}').json()

    def found(**filters):
        return {batch["id"] for batch in client.get("/v1/batches", params=filters).json()["batches"]}

    assert found(kind="stock") == {stock["id"]}
    assert found(state="finished") == {clean["id"], partial["id"]}
    assert found(outcome="partial") == {partial["id"]}
    assert found(collection="a") == {clean["id"]}
    assert found(q="spring") == found(q=clean["id"][:30]) - {partial["id"], stock["id"]} == {clean["id"]}
    assert found(since=partial["received_at"]) == {partial["id"], stock["id"]}
    assert found(until=partial["received_at"]) == {clean["id"]}
    assert found(state="broken") == set()


@pytest.mark.parametrize("after", ["x", "é", "9" * 500, "-1"])
def test_an_invalid_cursor_is_refused_or_gives_an_empty_page(client, after):
    """It never causes an internal error."""
    for path in ("/v1/batches", "/v1/collections/products/items", "/v1/reference/brand"):
        assert client.get(path, params={"after": after}).status_code in (200, 400)


def test_an_unchanged_document_is_answered_with_304(client):
    """Both cached and rendered documents have entity tags."""
    batch = client.submit(_dirty())
    first = client.get(batch["links"]["self"])
    tag = first.headers["etag"]
    for held in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        again = client.get(batch["links"]["self"], headers={"If-None-Match": held})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert client.get(batch["links"]["self"], headers={"If-None-Match": '"other"'}).content == first.content


def _later(work, seconds=0.15):
    thread = threading.Timer(seconds, work)
    thread.start()
    return thread


def test_a_long_poll_ends_when_the_batch_ends(client, gate):
    """It does not end before."""
    batch = client.post("/v1/batches?format=ndjson", content=_dirty()).json()
    worker = _later(gate.shop.work)
    answer = client.get(batch["links"]["self"], params={"wait": 55})
    worker.join()
    assert answer.json()["state"] == "finished"
    assert answer.elapsed.total_seconds() < 50


def test_a_long_poll_ends_when_the_time_is_up(client, gate):
    """The response is the current document, or 304 if the client has it."""
    batch = client.post("/v1/batches?format=ndjson", content=_dirty()).json()
    waited = client.get(batch["links"]["self"], params={"wait": 0.1})
    assert waited.json()["state"] == "queued"
    tag = {"If-None-Match": waited.headers["etag"]}
    assert client.get(batch["links"]["self"], params={"wait": 0.1}, headers=tag).status_code == 304
    canceller = _later(lambda: client.post(f"/v1/batches/{batch['id']}/cancel"))
    changed = client.get(batch["links"]["self"], params={"wait": 20}, headers=tag)
    canceller.join()
    assert changed.json()["cancelling"] or changed.json()["state"] == "cancelled"
    gate.shop.work()


def _events(client, batch, **headers):
    with client.stream("GET", batch["links"]["events"], headers=headers) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        for event in answer.read().decode().strip().split("\n\n"):
            yield dict(line.partition(": ")[::2] for line in event.split("\n"))


def test_an_event_stream_follows_a_batch_to_its_end(client, gate):
    """Events have the same documents as polls; the stream ends with the batch."""
    batch = client.post("/v1/batches?format=ndjson", content=_dirty()).json()
    worker = _later(gate.shop.work)
    events = list(_events(client, batch))
    worker.join()
    assert {event["event"] for event in events} == {"batch"}
    assert json.loads(events[0]["data"])["state"] == "queued"
    last = client.get(batch["links"]["self"])
    assert json.loads(events[-1]["data"]) == last.json()
    assert f'"{events[-1]["id"]}"' == last.headers["etag"]


def test_a_finished_event_stream_is_not_repeated(client):
    """204 stops a browser from reconnecting; another Last-Event-ID restarts the stream."""
    batch = client.submit(_dirty())
    (event,) = _events(client, batch, **{"Last-Event-ID": "something-else"})
    again = client.get(batch["links"]["events"], headers={"Last-Event-ID": event["id"]})
    assert (again.status_code, again.content) == (204, b"")


def test_the_number_of_waiting_requests_is_limited(client, gate):
    """A stream above the limit is refused; one that disconnects makes room."""
    batch = client.post("/v1/batches?format=ndjson", content=_dirty()).json()
    request = f"GET {batch['links']['events']} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {client.secret}\r\n\r\n"
    open_streams = [gate.connect() for _ in range(gate.shop.config.sessions_max)]
    for stream in open_streams:
        stream.sendall(request.encode())
        assert read_response(stream).startswith(b"HTTP/1.1 200")
    refused = client.get(batch["links"]["self"], params={"wait": 5})
    assert (refused.status_code, refused.json()["code"]) == (503, "sessions_full")
    assert refused.headers["retry-after"] == "5"
    for stream in open_streams:
        stream.close()
    until = time.monotonic() + 60
    while client.get(batch["links"]["self"], params={"wait": 0.01}).status_code != 200:
        assert time.monotonic() < until
    gate.shop.work()


def test_cancel_stops_a_queued_batch(client, gate):
    """Its records are cancelled; cancelling an ended batch changes nothing."""
    batch = client.post("/v1/batches?format=ndjson", content=_dirty()).json()
    assert client.post(f"/v1/batches/{batch['id']}/cancel").status_code == 202
    gate.shop.work()
    ended = client.get(batch["links"]["self"]).json()
    assert (ended["state"], ended["outcome"], ended["counts"]["cancelled"]) == ("cancelled", None, 3)
    again = client.post(f"/v1/batches/{batch['id']}/cancel")
    assert (again.status_code, again.json()["state"]) == (202, "cancelled")


def test_retry_processes_rejected_records_again(client, gate):
    """The reference data was corrected in between."""
    assert client.put("/v1/reference/brand", json=[{"code": "Hearth"}]).json() == {"kind": "brand", "entries": 1}
    batch = client.submit(ndjson([factories.product(1, brand="Brightware")]), references="refuse")
    assert batch["outcome"] == "rejected", batch["issues"]
    client.put("/v1/reference/brand", json=[{"code": "Brightware"}])
    assert client.post(f"/v1/batches/{batch['id']}/retry").status_code == 202
    gate.shop.work()
    assert client.get(batch["links"]["self"]).json()["outcome"] == "clean"


def test_withheld_deletions_are_confirmed_with_their_number(client, gate):
    """A full feed with too many absent items deletes nothing before that."""
    client.submit(ndjson(factories.products(1, 2, 3, 4)))
    batch = client.submit(ndjson(factories.products(1)), mode="full")
    assert batch["withheld"] == {"items": 4, "deletions": 3, "share": 0.75, "reason": "share"}
    path = f"/v1/batches/{batch['id']}/confirm"
    wrong = client.post(path, json={"deletions": 2})
    assert (wrong.status_code, wrong.json()["code"], wrong.json()["deletions"]) == (409, "confirmation_mismatch", 3)
    assert client.post(path, json={"deletions": 3}).status_code == 202
    gate.shop.work()
    assert client.get(batch["links"]["self"]).json()["counts"]["deleted"] == 3
    assert [item["key"] for item in client.get("/v1/collections/products/items").json()["items"]] == ["SKU-0001"]


def test_changes_in_the_wrong_state_are_refused(client):
    """Each refusal has its own code."""
    queued = client.post("/v1/batches?format=ndjson", content=_dirty()).json()
    assert client.post(f"/v1/batches/{queued['id']}/retry").json()["code"] == "batch_open"
    assert client.post(f"/v1/batches/{queued['id']}/fix?format=ndjson", content=b"{}").json()["code"] == "batch_open"
    assert client.get(f"/v1/batches/{queued['id']}/report?only=all").json()["code"] == "batch_open"
    clean = client.submit(ndjson(factories.products(9)))
    assert client.post(f"/v1/batches/{clean['id']}/retry").json()["code"] == "nothing_rejected"
    nothing = client.post(f"/v1/batches/{clean['id']}/confirm", json={"deletions": 1})
    assert (nothing.status_code, nothing.json()["code"]) == (409, "nothing_withheld")


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'{"deletions": "3"}', b'{"deletions": 3, "sure": true}', b"\xff"])
def test_an_invalid_confirmation_is_refused(client, body):
    """The body is checked before the batch is looked up."""
    answer = client.post(f"/v1/batches/{UNKNOWN}/confirm", content=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "body_invalid")


@pytest.mark.parametrize("batch", [UNKNOWN, "x", "0" * 31, "A" * 32])
@pytest.mark.parametrize(("method", "end"), [
    ("GET", ""), ("GET", "?wait=5"), ("GET", "/events"), ("GET", "/issues"), ("GET", "/results"), ("GET", "/report"),
    ("POST", "/fix"), ("POST", "/retry"), ("POST", "/cancel"),
])
def test_an_unknown_batch_is_not_found_by_any_operation(client, batch, method, end):
    """The response is 404, without waiting."""
    answer = client.request(method, f"/v1/batches/{batch}{end}", content=b"{}" if end == "/fix" else None)
    assert (answer.status_code, answer.json()["code"]) == (404, "batch_unknown")
