"""The change feed: pages, long polls, events, and exports that it goes on from."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from goodsgate.protocols.native import changes as feed
from goodsgate.store.contract import Retention
from tests.http_gate import Client, HttpGate
from tests.shop import Shop

CURSOR = "goodsgate-changes-cursor"
EVENTS = {"accept": "text/event-stream"}
MUG = b'{"id":"MUG","title":"Mug","price":"7.90 EUR"}\n'
CUP = b'{"id":"CUP","title":"Cup","price":"5 EUR"}\n'
STOCK = b'{"id":"MUG","location":"berlin","quantity":3}\n'


def changes(client: Client, **query: object) -> dict[str, Any]:
    """Return a page as JSON."""
    answer = client.get("/v1/changes", params={name: str(value) for name, value in query.items()})
    assert answer.status_code == 200, answer.text
    assert answer.headers[CURSOR] == answer.json()["cursor"]
    document: dict[str, Any] = answer.json()
    return document


def brief(page: dict[str, Any]) -> list[tuple[str, str]]:
    """Return operation and key of each change."""
    return [(change["operation"], change["key"]) for change in page["changes"]]


def test_changes_come_page_by_page_in_their_order(client: Client) -> None:
    """Each with where it is from; the cursor of a page, and of each change, is where the next one goes on."""
    batch = client.submit(MUG + CUP)
    client.submit(STOCK, kind="stock")
    client.submit(CUP.replace(b"5 EUR", b"6 EUR") + MUG)
    first = changes(client, limit=2)
    assert brief(first) == [("created", "CUP"), ("created", "MUG")]
    assert first["more"] is True
    second = client.get(first["next"]).json()
    assert brief(second) == [("created", "MUG@berlin"), ("updated", "CUP")]
    stock, update = second["changes"]
    assert (stock["sku"], stock["location"], stock["kind"]) == ("MUG", "berlin", "stock")
    assert (update["number"], update["record"], update["row"]) == (4, 1, 1)
    assert "after" not in update
    assert first["changes"][0]["batch"] == batch["id"]
    for at, change in enumerate([*first["changes"], *second["changes"]], 1):
        assert len(changes(client, after=change["cursor"])["changes"]) == 4 - at
    empty = client.get(second["next"]).json()
    assert (empty["changes"], empty["more"], empty["cursor"]) == ([], False, second["cursor"])


def test_filters_move_the_cursor_too(client: Client) -> None:
    """Behind changes that they leave out; `now` is behind all."""
    client.submit(MUG + CUP)
    client.submit(STOCK, kind="stock")
    page = changes(client, kind="stock", limit=10)
    assert brief(page) == [("created", "MUG@berlin")]
    nothing = changes(client, collection="spring")
    assert (nothing["changes"], nothing["cursor"], nothing["more"]) == ([], page["cursor"], False)
    assert changes(client, after="now")["cursor"] == page["cursor"]
    client.submit(CUP.replace(b"5", b"6"))
    assert brief(changes(client, after=page["cursor"])) == [("updated", "CUP")]


@pytest.mark.parametrize(("fields", "names"), [
    ("keys", set()), ("after", {"after"}), ("before,after", {"before", "after"}), ("before", {"before"}),
])
def test_fields_choose_the_records(client: Client, fields: str, names: set[str]) -> None:
    """Before and after, as they are stored; null where there is none."""
    for body, query in ((MUG, {}), (MUG.replace(b"7.90", b"8.90"), {}), (b'{"id":"MUG"}', {"verb": "delete"})):
        client.submit(body, **query)
    price = {"created": (None, "7.90 EUR"), "updated": ("7.90 EUR", "8.90 EUR"), "deleted": ("8.90 EUR", None)}
    page = changes(client, fields=fields)
    assert [change["operation"] for change in page["changes"]] == [*price]
    for change in page["changes"]:
        assert {"before", "after"} & change.keys() == names
        for name, expected in zip(("before", "after"), price[change["operation"]], strict=True):
            if name in names:
                assert (change[name] and change[name]["price"]) == expected


def test_ndjson_has_a_change_per_line(client: Client) -> None:
    """The same changes, and the cursor in a header, also without changes."""
    client.submit(MUG + CUP)
    answer = client.get("/v1/changes", headers={"accept": "text/x, application/x-ndjson;q=0.9"})
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert [json.loads(line) for line in answer.text.splitlines()] == changes(client)["changes"]
    behind = {"after": answer.headers[CURSOR]}
    empty = client.get("/v1/changes", params=behind, headers={"accept": "application/x-ndjson"})
    assert (empty.text, empty.headers[CURSOR]) == ("", answer.headers[CURSOR])


def test_a_long_poll_ends_with_the_next_commit(gate: HttpGate, client: Client) -> None:
    """Of the merchant and of the filter; others do not end it."""
    client.submit(MUG)
    after = changes(client, after="now")["cursor"]
    answers: list[dict[str, Any]] = []
    poll = threading.Thread(target=lambda: answers.append(changes(client, after=after, wait=60, kind="stock")))
    poll.start()
    gate.client().submit(STOCK, kind="stock")
    client.submit(CUP)
    client.submit(STOCK, kind="stock")
    poll.join()
    assert brief(answers[0]) == [("created", "MUG@berlin")]
    assert changes(client, after=answers[0]["cursor"], wait=0.01)["changes"] == []


def events(lines: Iterator[str]) -> Iterator[dict[str, str]]:
    """Yield the events of a stream, those without data as well."""
    event: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(": ")
        if name:
            event[name] = value
        elif line == "" and event:
            yield event
            event = {}


def test_events_go_on_where_the_last_one_was(client: Client) -> None:
    """Their ids are cursors; `Last-Event-ID` wins over the address, which a browser repeats."""
    client.submit(MUG + CUP)
    with client.stream("GET", "/v1/changes?fields=after", headers=EVENTS) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        read = events(answer.iter_lines())
        assert next(read) == {"retry": "3000"}
        first, second = next(read), next(read)
        assert first["event"] == "change"
        assert json.loads(first["data"])["after"]["id"] == "CUP"
        client.submit(CUP.replace(b"5", b"6"))
        third = json.loads(next(read)["data"])
        assert (third["operation"], third["key"]) == ("updated", "CUP")
    again = EVENTS | {"last-event-id": second["id"]}
    with client.stream("GET", "/v1/changes", params={"after": "now"}, headers=again) as answer:
        read = events(answer.iter_lines())
        next(read)
        assert json.loads(next(read)["data"])["number"] == third["number"]


def test_a_stream_ends_with_its_key(gate: HttpGate, monkeypatch: pytest.MonkeyPatch) -> None:
    """Soon after the key was revoked."""
    monkeypatch.setattr(feed, "HEARTBEAT_SECONDS", 0.02)
    client, admin = gate.client(), gate.client(None, "admin")
    acting = {"goodsgate-merchant": client.merchant}
    (key,) = admin.get(f"/v1/merchants/{client.merchant}/keys", headers=acting).json()["keys"]
    with client.stream("GET", "/v1/changes", headers=EVENTS) as answer:
        lines = answer.iter_lines()
        next(lines)
        admin.delete(f"/v1/merchants/{client.merchant}/keys/{key['id']}", headers=acting).raise_for_status()
        for _ in lines:
            pass


def test_a_cursor_that_does_not_lead_on_says_what_to_do(gate: HttpGate, client: Client) -> None:
    """Removed after retention, of another journal, or no cursor at all; for events, too."""
    client.submit(MUG)
    old = changes(client)["cursor"]
    gate.client().submit(MUG + CUP)
    client.submit(CUP)
    nothing_kept = Retention(**(dict.fromkeys(Retention.__struct_fields__, 10**9) | {"journal_seconds": 0}))
    gate.shop.store.sweep(nothing_kept, steps_max=100)
    for query, status, code in (
        ({"after": "1-1"}, 410, "cursor_expired"), ({"after": "9-1"}, 410, "cursor_unknown"),
        ({"after": old}, 410, "cursor_expired"), ({"after": "x"}, 400, "parameter_invalid"),
        ({"fields": "all"}, 400, "parameter_invalid"), ({"limit": "10001"}, 400, "parameter_invalid"),
    ):
        for headers in ({}, EVENTS):
            answer = client.get("/v1/changes", params=query, headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (status, code), query
            assert status != 410 or "Take an export" in answer.json()["detail"]
    assert changes(client)["changes"] == []
    client.submit(MUG.replace(b"7", b"9"))
    assert brief(changes(client)) == [("updated", "MUG")]


@pytest.mark.parametrize("format", ["ndjson", "csv", "google_rss"])
def test_an_export_says_where_changes_go_on(client: Client, format: str) -> None:
    """Unless it is the rest of another one."""
    client.submit(MUG + CUP)
    answer = client.get("/v1/collections/products/export", params={"kind": "product", "format": format})
    client.submit(CUP.replace(b"5", b"6"))
    assert brief(changes(client, after=answer.headers[CURSOR])) == [("updated", "CUP")]
    params = {"kind": "product", "format": format, "after": "CUP"}
    assert CURSOR not in client.get("/v1/collections/products/export", params=params).headers
    params = {"kind": "product", "format": format}
    assert CURSOR in client.get("/v1/collections/nothing/export", params=params).headers


def test_a_gate_without_a_journal_says_so(tmp_path: Path) -> None:
    """And its exports have no cursor."""
    served = HttpGate(Shop(tmp_path, journal_days=0))
    try:
        client = served.client()
        client.submit(MUG)
        for query in ({}, {"after": "now"}, {"wait": "1"}):
            answer = client.get("/v1/changes", params=query)
            assert (answer.status_code, answer.json()["code"]) == (409, "journal_off")
        assert CURSOR not in client.get("/v1/collections/products/export", params={"kind": "product"}).headers
    finally:
        served.close()
        served.shop.store.close()


def test_waiting_readers_are_counted(client: Client) -> None:
    """As other long polls and event streams are; a page that does not wait is not."""
    streams: list[httpx.Response] = []
    try:
        while len(streams) < 20:
            request = client.build_request("GET", "/v1/changes", headers=EVENTS)
            streams.append(client.send(request, stream=True))
            if streams[-1].status_code != 200:
                break
        assert streams[-1].status_code in (429, 503)
        assert len(streams) > 1
        changes(client)
    finally:
        for stream in streams:
            stream.close()
