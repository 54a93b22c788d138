"""The nastiest values in requests of the vendor protocols: each is answered, and so is every later read."""

import asyncio
import itertools
import re
from collections.abc import Iterator
from typing import TypeVar

import httpx
import orjson
import pytest

from tests import nasty, stores
from tests.http_gate import HttpGate
from tests.protocols.justwalkout import client as justwalkout
from tests.protocols.konnect import client as konnect
from tests.protocols.mircate import client as mircate
from tests.protocols.productsup import client as productsup
from tests.shop import Shop

ClientT = TypeVar("ClientT", bound=httpx.Client)
JSON = {"content-type": "application/json"}


@pytest.fixture(scope="module", params=stores.KINDS)
def gate(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[HttpGate]:
    """One gate for each kind of store."""
    with pytest.MonkeyPatch.context() as patch, \
            Shop(tmp_path_factory.mktemp("vendors"), kind=request.param, rate_limits="off") as shop:
        patch.setattr("goodsgate.protocols.justwalkout.unpublished.REQUESTS_PER_SECOND", 100_000)
        served = HttpGate(shop)
        yield served
        served.close()


def _open(gate: HttpGate, client: ClientT) -> ClientT:
    """Return a client that is closed with the gate."""
    gate.keep(client)
    return client


def _variants(record: dict[str, object], *members: str) -> Iterator[bytes]:
    """Yield a valid record with each of the values under each of the members, and the values themselves."""
    for value, member in itertools.product(nasty.VALUES.values(), members):
        rest = orjson.dumps({name: kept for name, kept in record.items() if name != member})
        yield rest[:-1] + b',"%s":%s}' % (member.encode(), value)
    yield from nasty.VALUES.values()


def _check(response, *expected: int) -> None:
    assert response.status_code < 500, (response.request.method, response.request.url, response.text[:1000])
    assert not expected or response.status_code in expected, response.text[:1000]


def test_konnect(gate):
    """Products with their status, prices and stock with their answers, and the lists of all of them."""
    client = _open(gate, konnect.Konnect(gate, gate.merchant()))
    konnect.load_starter(gate, client.merchant)
    accepted = []
    for product in _variants(konnect.product(), "slug", "item_code", "sizes", "attributes", "brand"):
        body = b'{"template":"footwear","products":[%s]}' % product
        response = client.post("/v3/catalog/product", content=body, headers=JSON)
        _check(response)
        if response.status_code == 200:
            accepted.append(response.json()["trace_id"])
    assert len(accepted) > len(nasty.VALUES)
    gate.shop.work()
    for trace in accepted:
        _check(client.get("/v3/catalog/status", params={"trace_id": trace}), 200)
    for path in ("/v3/catalog/product", "/ims/v3/listings", "/ims/v3/listings/count"):
        _check(client.get(path))


def test_just_walk_out(gate):
    """Uploads and archives with status and report."""
    client = _open(gate, justwalkout.JustWalkOut(gate, gate.merchant(), "STORE-1"))
    accepted = []
    members = ("item_sku", "item_name", "standard_price", "external_product_id", "other")
    for item in _variants(justwalkout.item(), *members):
        response = client.call("/v1/catalog/upload", b'{"catalogItems":[%s]}' % item)
        _check(response)
        if response.status_code == 201:
            accepted.append(response)
    for value in nasty.VALUES.values():
        _check(client.call("/v1/catalog/archive", b'{"itemSkus":[%s],"allApplicableStores":["STORE-1"]}' % value))
        _check(client.call("/v1/catalog/getCatalogUploadStatus", b'{"ingestionId":%s}' % value))
        _check(client.call("/v1/catalog/getCatalogUploadStatus", value))
    gate.shop.work()
    for response in accepted:
        client.report(response)


def test_mircate(gate):
    """Units of stock and prices, products, and every method with a body that is no object."""
    client = _open(gate, mircate.Mircate(gate, gate.merchant()))
    batches = []
    unit = {"sku": "A", "channel": "web", "quantity": 1}
    for body in _variants(unit, "sku", "channel", "quantity", "other"):
        response = client.post(
            client.path("MerchantAPI/receiveStock"), content=b'{"products":[%s]}' % body, headers=JSON)
        _check(response)
        if response.status_code == 200:
            batches += orjson.loads(response.content).get("batchIds", [])
    gate.shop.work()
    for batch in batches:
        _check(client.call("MerchantImportJob/checkBatchStatus", {}, instance=batch), 200)


def test_productsup(gate):
    """Uploads with their batches, and imports of them with their products and errors."""
    client = _open(gate, productsup.Productsup(gate, gate.merchant()))
    stream = client.create_stream()
    body = b"\n".join(_variants({"id": "1", "title": "T"}, "id", "title", "other"))
    where = productsup.upload(client, stream, body)
    site = productsup.Site(client)
    site.source(stream)
    gate.shop.work()
    _check(client.get(where), 200)
    for path in ("errors", "warnings", "validations"):
        _check(client.get(f"{where}/{path}"))
    process = site.start()
    gate.shop.work()
    site.status(process)
    for query in ({}, {"limit": 5}, {"limit": 5, "offset": 5}):
        _check(client.get(f"{site.path}/errors", params=query), 200)
        _check(client.get(f"/product/v2/site/{site.id}/stage/import/0", params=query), 200)


BODIES = [b"[1]", b"5", b"null", b"9" * 5_000, b"\xff", b"[" * 2_000, b'{"data":[]}', b'[{"a":1}]', b"{}"]


def test_no_body_of_any_operation_is_a_fault(tmp_path):
    """Every operation of every protocol with bodies that are no object, with a key of its protocol and without one."""
    with Shop(tmp_path, kind="sqlite", rate_limits="off") as shop:
        gate = HttpGate(shop)
        merchant = gate.merchant()
        secret = gate.secret(merchant, ["admin"])
        token = _open(gate, konnect.Konnect(gate, merchant)).headers["x-access-token"]
        keys = {
            "konnect": {"x-access-token": token}, "mircate": {"x-api-key": secret}, "justwalkout": {},
        }
        faults = asyncio.run(_faults(gate, merchant, keys, {"authorization": f"Bearer {secret}"}))
        gate.close()
    assert not faults, faults


async def _faults(
    gate: HttpGate, merchant: str, keys: dict[str, dict[str, str]], bearer: dict[str, str]
) -> list[object]:
    """Send every body to every operation, and return those that are answered by a fault."""
    faults: list[object] = []
    transport = httpx.ASGITransport(gate.application, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://gate") as client:
        for protocol in gate.application.protocols:
            key = keys.get(protocol.name, bearer)
            for path in protocol.openapi.paths:
                url = path.template.replace("{project}", "5p1hp1d2t").replace("{instance}", merchant)
                url = re.sub("[{}]", "", url)
                for method, body in itertools.product(path.operations.keys() - {"GET"}, BODIES):
                    if url.startswith("/ims/") and body.startswith((b"[1", b"[{")):
                        continue  # these are accepted, and wait for a worker
                    for headers in (key, {}):
                        response = await client.request(method, url, content=body, headers={**JSON, **headers})
                        if response.status_code >= 500:
                            faults.append((method, url, body[:30], response.text[:200]))
    return faults
