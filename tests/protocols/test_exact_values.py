"""What any operation accepts, every read returns, exactly as it was written, and both stores answer alike.

The short form tries a few fixed examples; ``GOODSGATE_TEST_FUZZ=long`` tries many.
"""

import itertools
import re
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from typing import Any

import httpx
import orjson
import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from goodsgate.model.batch import Kind
from goodsgate.model.json_text import read_json
from goodsgate.protocols.productsup.stream_store import collection_of
from tests import effort, stores
from tests.http_gate import HttpGate
from tests.protocols.justwalkout import client as justwalkout
from tests.protocols.konnect import client as konnect
from tests.protocols.mircate.pim import client as pim
from tests.protocols.productsup import client as productsup
from tests.shop import Shop

EXAMPLES = 60 if effort.LONG else 1
PHASES = (Phase.explicit, Phase.generate)
"""Without shrinking: each example is dozens of requests."""
JSON = {"content-type": "application/json"}
NUMBERS = st.from_regex(r"-?(0|[1-9][0-9]{0,24})(\.[0-9]{1,22})?([eE][+-]?[0-9]{1,3})?", fullmatch=True)
HARD = [
    "1.10", "5.0", "1e2", "-0", "-0.0", "0.30000000000000004", "9007199254740993", "18446744073709551616",
    "18446744073709551617", "1" + "0" * 30, "9" * 400, "1e400", "-1e400", "1e-400", "0." + "1" * 400, "1E+5", "1e22",
]
"""What some decoder rounds, refuses, or writes otherwise."""
_serial = itertools.count(1)


class Site:
    """A gate with a worker, and a client of each protocol for one merchant."""

    def __init__(self, shop: Shop) -> None:
        self.gate = HttpGate(shop)
        self.merchant = self.gate.merchant()
        self.native = self.gate.client(self.merchant, "admin")
        konnect.load_starter(self.gate, self.merchant)
        self.konnect = konnect.Konnect(self.gate, self.merchant)
        self.productsup = productsup.Productsup(self.gate, self.merchant)
        self.stream = self.productsup.create_stream()
        self.platform = productsup.Site(self.productsup)
        self.platform.source(self.stream)
        self.justwalkout = justwalkout.JustWalkOut(self.gate, self.merchant, "BLR-01")
        self.mircate = pim.Manager(self.gate, self.merchant)
        for client in (self.konnect, self.productsup, self.justwalkout, self.mircate):
            self.gate.keep(client)
        self.console = self._sign_in()

    def _sign_in(self) -> httpx.Client:
        browser = httpx.Client(base_url=self.gate.url, timeout=30, trust_env=False, follow_redirects=True)
        self.gate.keep(browser)
        token = re.search(r'name="csrf" value="([0-9a-f]+)"', browser.get("/console/sign-in").text)
        assert token is not None
        key = self.gate.secret(self.merchant, ["admin"])
        assert browser.post("/console/sign-in", data={"key": key, "csrf": token[1], "next": ""}).status_code == 200
        return browser

    def read(self, client: httpx.Client, path: str, **query: Any) -> Any:
        """Return the decoded answer to a read, which must be a success."""
        response = client.get(path, params=query)
        assert response.status_code == 200, (path, response.text[:2000])
        return read_json(response.content)

    def submit(self, send: Any, path: str, body: str, **more: Any) -> httpx.Response:
        """Send a body, work until the queue is empty, and return the answer, which must be a success."""
        response: httpx.Response = send(path, content=body.encode(), **{"headers": JSON, **more})
        assert response.status_code in (200, 202), response.text[:2000]
        self.gate.shop.work()
        return response

    def check_item(self, kind: Kind, collection: str, key: str) -> dict[str, Any]:
        """Return a record as the gate's own API reads it, after a look at its page and the lists of the console."""
        shown = key.replace("\x1f", "@")
        path = f"/v1/collections/{collection}/items/{shown}"
        record: dict[str, Any] = self.read(self.native, path, kind=kind)["record"]
        base = f"/console/merchants/{self.merchant}/catalogue/{kind}/{collection}"
        for url, query in ((base, {"search": shown}), (f"{base}/item", {"key": key})):
            page = self.console.get(url, params=query)
            assert page.status_code == 200, (url, page.text[:1000])
        return record


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Site]]:
    """One gate for each kind of store; Konnect and Mircate answer at once, before a worker has worked."""
    with ExitStack() as stack:
        opened = []
        for kind in stores.KINDS:
            folder = tmp_path_factory.mktemp("exact")
            shop = stack.enter_context(Shop(folder, kind=kind, rate_limits="off", wait_seconds_max=0.0))
            opened.append(Site(shop))
            stack.callback(opened[-1].gate.close)
        yield opened


def _is(value: object, text: str) -> bool:
    """Return whether a value that was read is the number that was written; only the sign of an integer zero may go."""
    return str(value) == text or (text, str(value)) == ("-0", "0")


def _native(site: Site, numbers: dict[str, str]) -> list[object]:
    """Submit each number as an unknown member beside a quantity, and as a quantity."""
    records = [
        f'{{"id":"{prefix}{key}","quantity":{quantity or text},"other":{text}}}'
        for key, text in numbers.items() for prefix, quantity in (("N", "5"), ("Q", ""))
    ]
    batch = site.submit(site.native.post, "/v1/batches", "\n".join(records), params={"kind": "stock"})
    counts = site.read(site.native, batch.headers["location"])["counts"]
    for key, text in numbers.items():
        record = site.check_item(Kind.STOCK, "products", f"N{key}")
        assert record["quantity"] == 5
        assert _is(record["other"], text)
    return [counts]


def _konnect(site: Site, numbers: dict[str, str]) -> list[object]:
    """Write each number as a price, as an unknown member and as stock; read it; delete the products."""
    client, outcome = site.konnect, []
    for name in ("price", "other"):
        products = [_product(name, key, text) for key, text in numbers.items()]
        body = f'{{"template":"footwear","products":[{",".join(products)}]}}'
        accepted = site.submit(client.post, "/v3/catalog/product", body).json()
        status = site.read(client, "/v3/catalog/status", trace_id=accepted["trace_id"])
        rejected = {record["item_code"] for record in status["meta"]["failed_records"]}
        outcome.append(sorted(rejected))
        assert name == "price" or not rejected
        for key, text in numbers.items():
            if (code := f"{name}-{key}") in rejected:
                continue
            (read,) = site.read(client, "/v3/catalog/product", item_code=code)["items"]
            (row,) = site.read(client, "/ims/v3/listings", skus=f"{code}-sku")["data"]
            for document in (read, site.check_item(Kind.PRODUCT, "konnect", code)):
                assert _is(document["sizes"][0]["price"] if name == "price" else document["other"], text), document
            assert _is(row["mrp"], text if name == "price" else "9")
    records = [f'{{"location_id":"BLR-01","sku":"other-{key}-sku","quantity":{text}}}' for key, text in numbers.items()]
    site.submit(client.put, "/ims/v3/inventory", f"[{','.join(records)}]")
    for key, text in numbers.items():
        (row,) = site.read(client, "/ims/v3/listings", skus=f"other-{key}-sku")["data"]
        outcome.append(len(row["inventory"]))
        if row["inventory"]:
            assert row["quantity"] == read_json(text)
            assert _is(row["inventory"][0]["quantity"], text)
            assert _is(site.check_item(Kind.STOCK, "konnect", f"other-{key}-sku\x1fBLR-01")["quantity"], text)
    assert not outcome or outcome[-1] in (0, 1)
    codes = ",".join(f'{{"item_code":"other-{key}"}}' for key in numbers)
    removal = f'{{"template":"footwear","products":[{codes}]}}'
    removed = site.submit(partial(client.request, "DELETE"), "/v3/catalog/product", removal).json()
    assert site.read(client, "/v3/catalog/status", trace_id=removed["trace_id"])["stage"] == "COMPLETED"
    return outcome


def _product(name: str, key: str, text: str) -> str:
    """Return a product that has the number in one place."""
    size = konnect.size(1, primary_identifier=f"{name}-{key}-sku", price="PRICE", price_effective=0)
    product = konnect.product(
        1, item_code=f"{name}-{key}", slug=f"{name}-{key}-slug", name=f"{name} {key}", sizes=[size], other="OTHER"
    )
    encoded = orjson.dumps(product).decode()
    for member in ("price", "other"):
        encoded = encoded.replace(f'"{member.upper()}"', text if name == member else "9")
    return encoded


def _productsup(site: Site, numbers: dict[str, str]) -> list[object]:
    """Upload products whose ids and attributes are the numbers, and read them from the import of a site."""
    lines = [f'{{"id":{text},"a":1}}\n{{"id":"{key}","a":{text}}}' for key, text in numbers.items()]
    headers = {"content-type": "application/x-ndjson"}
    path = f"/streams/{site.stream}/products"
    batch = site.submit(site.productsup.post, path, "\n".join(lines), headers=headers).headers["content-location"]
    site.platform.start()
    site.gate.shop.work()
    rows = {row["id"]: row for row in site.platform.products(limit=5_000)}
    for key, text in numbers.items():
        assert _is(rows[key]["a"], text)
        assert text == "-0" or (text in rows) == (len(text) <= 255)
        assert _is(site.check_item(Kind.PRODUCT, collection_of(int(site.stream)), key)["a"], text)
    attributes = site.read(site.productsup, batch)["data"]["attributes"]
    return [sorted(rows), attributes["status"], attributes["errorCount"]]


def _mircate(site: Site, numbers: dict[str, str]) -> list[object]:
    """Feed each number as stock and price, and read levels and histories; write it as a value of a product."""
    client, outcome = site.mircate, []
    for method, name, kind in (("receiveStock", "stock", Kind.STOCK), ("receivePrice", "price", Kind.PRICE)):
        units = [f'{{"sku":"{key}","channel":"web","{name}":{text},"other":{text}}}' for key, text in numbers.items()]
        body = f'{{"products":[{",".join(units)}]}}'
        site.submit(client.post, client.path(f"MerchantAPI/{method}"), body)
        for key, text in numbers.items():
            answer = client.call("MerchantAPI/getStockPriceHistory", {"sku": key, "type": name.upper()})
            history = read_json(answer.content)["history"]
            outcome.append(len(history))
            if history:
                record = site.check_item(kind, "mircate", f"{key}\x1fweb")
                assert _is(history[0]["value"], text)
                assert _is(record[name], text)
                assert _is(record["other"], text)
    for key, text in numbers.items():
        answer = client.call("MerchantAPI/getCurrentStock", {"channel": "web", "products": [{"sku": key}]})
        level = answer.json()["products"][0]["stock"]
        outcome.append(level)
        assert level in (0, read_json(text))
    return outcome


@settings(max_examples=EXAMPLES, deadline=None, derandomize=True, phases=PHASES,
          suppress_health_check=list(HealthCheck))
@given(st.lists(NUMBERS, min_size=1, max_size=8, unique=True))
@example(HARD)
def test_every_number_that_is_accepted_is_read_back_as_written(sites: list[Site], texts: list[str]) -> None:
    """By each protocol, by the gate's own API and by the console."""
    numbers = {f"k{next(_serial)}": text for text in texts}
    for write_and_read in (_native, _konnect, _productsup, _mircate):
        first, *others = [write_and_read(site, numbers) for site in sites]
        assert all(other == first for other in others), (first, others)
