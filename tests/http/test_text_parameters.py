"""Texts that a database cannot hold, NUL and half a surrogate pair, in every text that a request may carry."""

import asyncio
import itertools
import re
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest

from tests import stores
from tests.http_gate import HttpGate
from tests.protocols.konnect import client as konnect
from tests.shop import Shop

TEXTS = ["a%00b", "%ED%A0%80"]
"""NUL, and half a surrogate pair, percent-encoded."""
JSON = {"content-type": "application/json"}


@pytest.fixture(scope="module")
def gates(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[HttpGate]]:
    """One gate for each kind of store."""
    with ExitStack() as stack:
        opened = []
        for kind in stores.KINDS:
            folder = tmp_path_factory.mktemp("texts")
            shop = Shop(folder, kind=kind, rate_limits="off", wait_seconds_max=0.0, public_url="")
            opened.append(HttpGate(stack.enter_context(shop)))
            stack.callback(opened[-1].close)
        yield opened


async def _statuses(gate: HttpGate) -> dict[tuple[str, ...], int]:
    """Send every operation with each text in each of its parameters, and return status by request."""
    merchant = gate.merchant()
    secret = gate.secret(merchant, ["admin"])
    seller = konnect.Konnect(gate, merchant)
    gate.keep(seller)
    keys = {
        "konnect": {"x-access-token": seller.headers["x-access-token"]}, "mircate": {"x-api-key": secret},
    }
    found: dict[tuple[str, ...], int] = {}
    transport = httpx.ASGITransport(gate.application, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://gate") as client:
        for protocol in gate.application.protocols:
            headers = {**JSON, **keys.get(protocol.name, {"authorization": f"Bearer {secret}"})}
            for path in protocol.openapi.paths:
                if path.template.endswith("/events"):
                    continue
                for method, operation in path.operations.items():
                    for url in _urls(path.template, merchant, operation.parameters):
                        body = b"{}" if method != "GET" else b""
                        answer = await client.request(method, url, headers=headers, content=body)
                        found[protocol.name, method, url.replace(merchant, "M")] = answer.status_code
    return found


def _urls(template: str, merchant: str, parameters: dict[str, Any]) -> Iterator[str]:
    fixed = template.replace("{project}", "5p1hp1d2t")
    names = re.findall(r"\{(\w+)\}", fixed)
    plain = re.sub(r"\{\w+\}", "1", fixed.replace("{instance}", merchant))
    for text in TEXTS:
        for name in names:
            yield re.sub(r"\{\w+\}", "1", fixed.replace(f"{{{name}}}", text))
        for name in parameters:
            yield f"{plain}?{name}={text}"


def test_no_text_of_a_path_or_a_query_is_a_fault(gates):
    """It is refused, or unknown, and by both stores alike."""
    sqlite, postgres = [asyncio.run(_statuses(gate)) for gate in gates]
    faults = {request: status for request, status in [*sqlite.items(), *postgres.items()] if status >= 500}
    assert not faults, faults
    assert sqlite == postgres, {request: (sqlite[request], postgres[request]) for request in sqlite
                                if sqlite[request] != postgres[request]}


BODIES = [
    ("POST", "/v1/merchants", '{"id":"m-TEXT","name":"n"}'), ("POST", "/v1/merchants", '{"id":"m1x","name":"TEXT"}'),
    ("POST", "/v1/merchants/MERCHANT/keys", '{"scopes":["read"],"label":"TEXT"}'),
    ("POST", "/v1/merchants/MERCHANT/keys", '{"scopes":["read"],"settings":{"TEXT":"TEXT"}}'),
    ("PATCH", "/v1/merchants/MERCHANT/settings", '{"TEXT":"TEXT"}'), ("PUT", "/v1/profiles/x", '{"header":["TEXT"]}'),
    ("PUT", "/v1/profiles/x", '{"map":{"a":["TEXT"]}}'), ("PUT", "/v1/profiles/x", '{"map":{"TEXT":["id"]}}'),
    ("PUT", "/v1/reference/brand?format=json", '[{"code":"TEXT"}]'),
    ("PUT", "/v1/reference/attribute?format=json", '[{"code":"*/a","TEXT":1,"allowed":["TEXT"],"unit":"TEXT"}]'),
    ("PUT", "/v1/reference/brand?format=csv", "code,TEXT\nA,TEXT\n"),
    ("POST", "/streams", '{"data":{"type":"stream","attributes":{"name":"TEXT","type":"chunked"}}}'),
    ("POST", "/platform/v2/sites", '{"title":"TEXT","import_schedule":"TEXT"}'),
    ("POST", "/P/MerchantAPI/receiveStock/MERCHANT", '{"bulkOperationId":"TEXT","products":[{"sku":"a","stock":1}]}'),
    ("POST", "/P/MerchantAPI/getStockPriceHistory/MERCHANT", '{"sku":"TEXT","channel":"TEXT"}'),
    ("POST", "/P/MerchantAPI/getCurrentStock/MERCHANT", '{"channel":"TEXT","products":[{"sku":"TEXT"}]}'),
    ("POST", "/P/MerchantAPI/reserveStock/MERCHANT", '{"orderId":"TEXT","products":[{"sku":"a","quantity":1}]}'),
    ("POST", "/P/MerchantAPI/removeMyProducts/MERCHANT", '{"products":["TEXT"]}'),
    ("POST", "/P/MerchantAPI/exportStockPrice/MERCHANT", '{"channel":"TEXT"}'),
    ("POST", "/P/MerchantImportJob/checkBatchStatus/TEXT", "{}"),
    ("POST", "/P/PIMAPI/getProducts/MERCHANT", '{"searchText":"TEXT","filters":{"idList":["TEXT"]}}'),
    ("POST", "/P/PIMAPI/deleteProduct/MERCHANT", '{"id":"TEXT"}'),
    ("POST", "/P/PIMAPI/upsertProduct/MERCHANT", '{"dataType":"VARIANT","data":{"sku":"TEXT"}}'),
    ("POST", "/oms/admin/orders", '{"orders":[{"location":"TEXT","lines":[{"sku":"TEXT","quantity":1}]}]}'),
    ("POST", "/oms/admin/webhooks", '{"url":"https://TEXT"}'),
    ("POST", "/oms/v3/shipment/confirm", '[{"orderId":"TEXT","shipmentId":"TEXT"}]'),
    ("POST", "/oms/v3/shipment/track", '{"orderId":"TEXT","shipmentId":"TEXT"}'),
]
RECORDS = [
    (kind, format, record) for kind, format, records in (
        ("product", "json", (
            '{"sku":"A","title":"TEXT"}', '{"sku":"TEXT","title":"T"}', '{"sku":"B","TEXT":1,"title":"T"}',
            '{"sku":"C","title":"T","attributes":{"TEXT":"x"}}', '{"sku":"D","title":"T","attributes":{"TEXT":{}}}',
            '{"sku":"E","title":"T","variants":[{"id":"V","TEXT":"TEXT","attributes":{"TEXT":[[]]}}]}',
        )),
        ("product", "csv", ("sku,title,TEXT\nA,T,x\n", "sku,title\nA,TEXT\n", "sku,title,TEXT\nA,T, x \n")),
        ("stock", "json", ('{"sku":"A","quantity":1,"location":"TEXT"}', '{"sku":"A","quantity":"TEXT"}')),
    ) for record in records
]
ESCAPED = {"json": ("a\\u0000b", "\\ud800"), "csv": ("a\0b", "a\x1fb")}


def _send(gate: HttpGate) -> list[tuple[object, ...]]:
    """Send every body and record with each text; return statuses, counts and what is read afterwards."""
    merchant = gate.merchant()
    client = gate.client(merchant, "admin")
    seller = konnect.Konnect(gate, merchant)
    gate.keep(seller)
    keys = {"x-api-key": client.secret, "x-access-token": seller.headers["x-access-token"]}
    found: list[tuple[object, ...]] = []
    for (method, path, body), text in itertools.product(BODIES, ESCAPED["json"]):
        url = path.replace("/P/", "/5p1hp1d2t/CALL/").replace("MERCHANT", merchant)
        sent = body.replace("TEXT", text if "csv" not in path else "a\0b").encode()
        answer = client.request(method, url.replace("TEXT", "a%00b"), content=sent, headers={**JSON, **keys})
        found.append((path, text, answer.status_code))
    for (kind, format, record), number in itertools.product(RECORDS, range(2)):
        sent = record.replace("TEXT", ESCAPED[format][number]).encode()
        batch = client.submit(sent, format=format, kind=kind)
        path = f"/v1/batches/{batch['id']}"
        pages = [client.get(f"{path}/{page}") for page in ("issues", "results", "report?format=csv")]
        codes = gate.shop.codes(str(batch["id"]), merchant=merchant)
        found.append((record, number, batch["counts"], codes, [page.status_code for page in pages]))
    found.append((client.get("/v1/collections/products/items?kind=product").status_code,))
    return found


def test_no_text_of_a_body_or_a_record_is_a_fault(gates):
    """A body is refused, a record is rejected alone, and both stores say the same."""
    sqlite, postgres = map(_send, gates)
    assert sqlite == postgres, [pair for pair in zip(sqlite, postgres, strict=True) if pair[0] != pair[1]]
    assert not [row for row in sqlite if re.search(r"\b50[0-9]\b|internal_fault", str(row[2:]))]
