"""POST /v1/batches: formats, parameters, refusals, and bodies that break off."""

import gzip
import io
import time

import pytest
import xlsxwriter
import zstandard

from tests import factories
from tests.formats.hostile_workbooks import long_string, row, workbook
from tests.http_gate import read_response
from tests.shop import ndjson

CSV = b"id,title,price\nA-1,Cup,7.90 EUR\nA-2,Jug,9.90 EUR\n"


def _xlsx() -> bytes:
    file = io.BytesIO()
    with xlsxwriter.Workbook(file, {"in_memory": True}) as book:
        sheet = book.add_worksheet()
        for row, cells in enumerate(line.split(",") for line in CSV.decode().splitlines()):
            sheet.write_row(row, 0, cells)
    return file.getvalue()


BODIES = {
    "ndjson": ("application/x-ndjson", ndjson(factories.products(1, 2))),
    "json": ("application/json", b'[{"id": "A-1", "title": "Cup"}, {"id": "A-2", "title": "Jug"}]'),
    "csv": ("text/csv", CSV),
    "tsv": ("text/tab-separated-values", CSV.replace(b",", b"\t")),
    "xlsx": ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", _xlsx()),
}
PACKED = {"identity": bytes, "gzip": gzip.compress, "zstd": zstandard.compress}


@pytest.mark.parametrize("content_encoding", PACKED)
@pytest.mark.parametrize("format", BODIES)
def test_every_format_and_content_encoding_is_detected(client, gate, format, content_encoding):
    """Every record of the body is accounted for."""
    media_type, body = BODIES[format]
    headers = {"Content-Type": media_type, "Content-Encoding": content_encoding}
    answer = client.post("/v1/batches", content=PACKED[content_encoding](body), headers=headers)
    assert answer.status_code == 202, answer.text
    assert (answer.json()["format"], answer.json()["content_encoding"]) == (format, content_encoding)
    gate.shop.work()
    batch = client.get(answer.headers["location"]).json()
    assert batch["state"] == "finished"
    assert batch["counts"]["total"] == batch["counts"]["accounted"] == 2


def test_the_format_parameter_replaces_a_media_type(client):
    """curl sends application/x-www-form-urlencoded by default."""
    answer = client.post(
        "/v1/batches?format=csv", content=CSV, headers={"Content-Type": "application/x-www-form-urlencoded"}
    )
    assert answer.json()["format"] == "csv"


def test_a_submission_is_answered_with_the_batch_and_its_location(client):
    """The status is 202."""
    answer = client.post("/v1/batches?label=spring.csv&format=ndjson", content=ndjson(factories.products(1)))
    batch = answer.json()
    assert answer.status_code == 202
    assert answer.headers["location"] == f"/v1/batches/{batch['id']}" == batch["links"]["self"]
    assert (batch["state"], batch["label"], batch["issues"], batch["outcome"]) == ("queued", "spring.csv", [], None)
    assert batch["received_at"].endswith("Z")
    assert batch["counts"]["total"] is None


def test_all_parameters_are_stored_in_the_policy(client):
    """The batch shows them."""
    params = {
        "kind": "product", "verb": "upsert", "collection": "spring", "duplicates": "last", "references": "wait",
        "waiting_hours": "1.5", "hold_if": "rejected:10%, zero_prices:1", "hold": "pass", "hold_hours": "2",
        "replace": "true", "empty": "clear", "mode": "full", "delete_share_max": "0.5",
        "currency": "EUR", "decimal": "comma", "format": "csv",
        "delimiter": "semicolon", "records_at": "data.items", "profile": "generic",
        "sheet": "Goods", "header_row": "3", "empty_words": "n/a, none",
        "map": "Artikelnummer:sku, g:title:title,Notiz:",
    }
    batch = client.post("/v1/batches", content=CSV, params=params).json()
    assert batch["collection"] == "spring"
    assert batch["policy"] == {
        "verb": "upsert", "duplicates": "last", "replace": True, "empty": "clear",
        "references": "wait", "waiting_hours": 1.5, "mode": "full", "delete_share_max": 0.5,
        "currency": "EUR", "decimal": "comma", "format": "csv",
        "encoding": None, "sheet": "Goods", "header_row": 3, "delimiter": ";", "records_at": "data.items",
        "profile": "generic", "group": None, "key": None, "empty_words": ["n/a", "none"],
        "map": {"Artikelnummer": ["sku"], "g:title": ["title"], "Notiz": []}, "edit": None, "reverts": None,
        "dry_run": False, "hold_if": {"rejected": "10%", "zero_prices": "1"}, "hold": "pass", "hold_hours": 2.0,
    }


REFUSED = [
    ("kind=banana", "kind"), ("verb=", "verb"), ("collection=a/b", "collection"),
    ("collection=" + "a" * 65, "collection"), ("format=yaml", "format"), ("delimiter=ab", "delimiter"),
    ("delimiter=a", "delimiter"), ("duplicates=yes", "duplicates"),
    ("mode=half", "mode"), ("references=maybe", "references"), ("waiting_hours=0", "waiting_hours"),
    ("waiting_hours=8761", "waiting_hours"), ("hold_if=rejekted:1", "hold_if"), ("hold_if=rejected", "hold_if"),
    ("hold=yes", "hold"), ("hold_hours=0", "hold_hours"), ("mode=full&verb=update", "mode"),
    ("delete_share_max=1.01", "delete_share_max"), ("delete_share_max=-0.1", "delete_share_max"),
    ("delete_share_max=nan", "delete_share_max"), ("currency=eur", "currency"), ("currency=EUR%0A", "currency"),
    ("decimal=dot", "decimal"), ("map=a:b,,", "map"), ("map=two%20words", "map"),
    ("map=Preis:pirce", "map"), ("label=" + "a" * 201, "label"),
    ("label=a%00", "label"), ("kind=product&kind=price", "kind"), ("colection=a", "colection"),
]


@pytest.mark.parametrize(("query", "parameter"), REFUSED)
def test_an_invalid_parameter_is_named(client, query, parameter):
    """A parameter that is unknown, repeated or out of bounds is refused."""
    answer = client.post(f"/v1/batches?{query}", content=CSV, headers={"Content-Type": "text/csv"})
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (400, "parameter_invalid"), problem
    assert problem["parameter"] == parameter
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["instance"] == answer.headers["x-request-id"]
    assert problem["type"] == "/docs/problems#parameter_invalid"


def test_a_query_that_is_not_utf8_is_refused(client):
    """The label would differ from the intended one."""
    assert client.post("/v1/batches?label=%FF", content=CSV).json()["code"] == "parameter_invalid"


@pytest.mark.parametrize(("headers", "body", "status", "code"), [
    ({"Content-Type": "text/csv"}, b"", 400, "payload_empty"),
    ({}, b"", 400, "payload_empty"),
    ({"Content-Type": "image/png"}, b"\x89PNG\r\n\x1a\n" + bytes(100), 415, "format_unknown"),
    ({"Content-Type": "text/csv", "Content-Encoding": "br"}, CSV, 415, "content_encoding_unknown"),
])
def test_a_body_of_an_unsupported_format_is_refused(client, headers, body, status, code):
    """Nothing is stored."""
    answer = client.post("/v1/batches", content=body, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert client.get("/v1/batches").json()["batches"] == []


def test_nothing_remains_of_a_body_that_is_cut_off(client, gate):
    """There is no batch, and the idempotency key is free again."""
    head = (
        f"POST /v1/batches?format=csv HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {client.secret}\r\n"
        f'Idempotency-Key: "hung-up"\r\nContent-Length: 3000000\r\n\r\n'
    )
    with gate.connect() as connection:
        connection.sendall(head.encode() + CSV + b"B-1,Pot,1 EUR\n" * 150_000)
    until = time.monotonic() + 60
    while True:
        again = client.post("/v1/batches?format=csv", content=CSV, headers={"Idempotency-Key": '"hung-up"'})
        if again.status_code != 409 or time.monotonic() > until:
            break
        time.sleep(0.02)
    assert again.status_code == 202, again.text
    assert [batch["id"] for batch in client.get("/v1/batches").json()["batches"]] == [again.json()["id"]]


def test_a_stalled_body_is_refused(client, gate):
    """The response is 408 after the idle time of the settings; nothing remains."""
    head = (
        f"POST /v1/batches?format=csv HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {client.secret}\r\n"
        "Content-Length: 1000\r\n\r\n"
    )
    answer = gate.ask(head.encode() + CSV)
    assert answer.startswith(b"HTTP/1.1 408")
    assert b"upload_stalled" in answer
    assert client.get("/v1/batches").json()["batches"] == []


def test_a_chunked_body_needs_no_content_length(client, gate):
    """It may have any length."""
    lines = ndjson(factories.products(*range(3000)))
    pieces = [lines[start : start + 10_000] for start in range(0, len(lines), 10_000)]
    answer = client.post("/v1/batches?format=ndjson", content=iter(pieces))
    assert answer.status_code == 202
    gate.shop.work()
    assert client.get(answer.headers["location"]).json()["counts"]["created"] == 3000


@pytest.mark.parametrize(("media_type", "query", "title"), [
    ("text/csv; charset=windows-1250", {}, "Čaša"), ('text/csv; header=present; charset="Windows-1250"', {}, "Čaša"),
    ("text/csv", {"encoding": "cp1250"}, "Čaša"), ("text/csv; charset=cp1251", {"encoding": "cp1250"}, "Čaša"),
])
def test_a_named_charset_is_obeyed(client, gate, media_type, query, title):
    """The query beats the media type; the policy of the batch has it."""
    body = f"sku,title\nA,{title}\n".encode("cp1250")
    answer = client.post("/v1/batches", content=body, params=query, headers={"content-type": media_type})
    assert answer.json()["policy"]["encoding"] == "cp1250"
    gate.shop.work()
    assert gate.shop.items(merchant=client.merchant)["A"]["title"] == title


@pytest.mark.parametrize("name", ["nonsense", "base64"])
def test_an_unknown_charset_is_refused(client, name):
    """The answer names the parameter."""
    answer = client.post("/v1/batches", content=b"sku\nA\n", params={"format": "csv", "encoding": name})
    assert (answer.status_code, answer.json()["parameter"]) == (400, "encoding")


def test_a_request_with_expect_100_continue_is_refused_before_its_body(gate):
    """A wrong key causes no upload."""
    head = b"POST /v1/batches HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 100000000\r\n\r\n"
    with gate.connect() as connection:
        connection.sendall(head)
        assert read_response(connection).startswith(b"HTTP/1.1 401")


def test_a_hostile_workbook_breaks_its_batch_and_its_reference_data_alone(client):
    """Its first rows are rejected, and nothing of it is applied; the next batch and the next reference data are."""
    hostile = long_string()
    broken = client.submit(hostile, format="xlsx")
    assert broken["state"] == "broken"
    assert broken["counts"]["total"] == broken["counts"]["rejected"] < 100
    issues = client.get(f"/v1/batches/{broken['id']}/issues").text
    assert "payload_inflates" in issues
    refused = client.put("/v1/reference/brand", params={"format": "xlsx"}, content=hostile)
    assert (refused.status_code, refused.json()["code"]) == (422, "reference_invalid")
    assert client.get("/v1/reference/brand").json()["entries"] == []
    assert client.submit(workbook(), format="xlsx")["counts"]["total"] == 2
    brands = workbook(row(1, "code", "name") + row(2, "acme", "Acme"))
    assert client.put("/v1/reference/brand", params={"format": "xlsx"}, content=brands).json()["entries"] == 1


def test_a_saved_profile_is_the_options_of_a_submission(client):
    """Under a name of the merchant's own; what the submission says itself counts more."""
    saved = {"map": {"Kennung": ["id"], "Betrag": ["price"]}, "delimiter": "semicolon", "decimal": "comma",
             "currency": "EUR"}
    assert client.put("/v1/profiles/werk", json=saved).json() == saved
    assert client.get("/v1/profiles/werk").json() == saved
    assert client.get("/v1/profiles").json()["profiles"] == {"werk": saved}
    assert "shopify" in client.get("/v1/profiles").json()["shipped"]
    body = b"Kennung;Name;Betrag\nW1;Cup;7,90\n"
    for given, price in (({}, "7.90 EUR"), ({"currency": "CHF"}, "7.90 CHF")):
        client.submit(body, format="csv", profile="werk", **given)
        assert client.get("/v1/collections/products/items/W1").json()["record"]["price"] == price
    assert client.delete("/v1/profiles/werk").status_code == 204
    answers = [
        client.get("/v1/profiles/werk"), client.delete("/v1/profiles/werk"),
        client.post("/v1/batches", content=body, params={"format": "csv", "profile": "werk"}),
    ]
    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(404, "profile_unknown")] * 3


PRICE_LIST = "Kennung;Text;Betrag\nW1;Tass\u00e1k;7,90\nW2;k.A.;8,90\n".encode("windows-1250")


@pytest.mark.parametrize("format", ["csv", "xlsx"])
def test_a_saved_profile_is_recognized_by_its_header(client, format):
    """The batch says so; a profile that the submission names counts more, and so does any other option."""
    saved = {"header": ["Betrag", "kennung"], "map": {"Kennung": ["id"], "Text": ["title"], "Betrag": ["price"]},
             "currency": "EUR", "empty_words": ["k.A."], "encoding": "Windows-1250", "decimal": "comma"}
    wider = {"header": ["Betrag", "Kennung", "Extra"], "map": {"Kennung": ["mpn"]}}
    for name, document in (("werk", saved), ("wider", wider), ("named-only", {"map": {"Text": ["brand"]}})):
        assert client.put(f"/v1/profiles/{name}", json=document).status_code == 200
    cells = [line.split(";") for line in PRICE_LIST.decode("windows-1250").splitlines()]
    body = PRICE_LIST if format == "csv" else workbook("".join(row(at, *each) for at, each in enumerate(cells, 1)))
    batch = client.submit(body, format=format)
    item = client.get("/v1/collections/products/items/W1").json()["record"]
    assert (item["title"], item["price"]) == ("Tass\u00e1k", "7.90 EUR")
    assert (batch["counts"]["created"], batch["counts"]["rejected"]) == (1, 1), "k.A. is no title"
    decisions = {decision["what"]: (decision["value"], decision["how"]) for decision in batch["reading"]}
    assert decisions["profile"] == ("werk", "saved")
    assert batch["contents"]["summary"] == "werk"
    if format == "csv":
        assert decisions["encoding"] == ("Windows-1250", "saved")
    assert client.submit(body, format=format, currency="CHF")["policy"]["currency"] == "CHF"
    assert client.submit(body, format=format, profile="generic")["policy"]["map"] == {}
    inspected = client.post("/v1/inspect", content=body, params={"format": format}).json()
    assert ("profile", "werk", "saved") in [(each["what"], each["value"], each["how"]) for each in inspected["reading"]]


@pytest.mark.parametrize(("name", "document"), [
    ("shopify", {}), ("werk", {"profile": "shopfy"}), ("werk", {"colour": "red"}), ("werk", {"decimal": "dot"}),
    ("werk", {"header": [""]}), ("werk", {"group": "x" * 201}), ("werk", {"empty_words": ["x" * 101]}),
])
def test_a_profile_that_means_nothing_is_not_saved(client, name, document):
    """Nor one with the name of a profile that comes with Goodsgate."""
    assert client.put(f"/v1/profiles/{name}", json=document).status_code == 400
