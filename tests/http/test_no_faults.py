"""Requests that were answered by an internal fault: numbers of thousands of digits, Host fields, deep trees."""

import itertools
import re
from collections.abc import Iterator

import httpx
import pytest
from starlette.routing import Route

from goodsgate.model.catalogue import ReferenceEntry
from tests import nasty, stores
from tests.http_gate import HttpGate
from tests.protocols.mircate.client import Mircate
from tests.protocols.productsup.client import Productsup
from tests.shop import Shop

NUMBERS = ["9" * 5_000, "9" * 19, "\u00b2", "\u0665", "1e400", "-5", "+5"]
"""Texts that are no number for a database, though some are one for Python."""


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpGate]:
    """One gate for all tests."""
    with Shop(tmp_path_factory.mktemp("faults"), kind="sqlite", rate_limits="off", public_url="") as shop:
        served = HttpGate(shop)
        yield served
        served.close()


def _browser(gate: HttpGate, merchant: str) -> httpx.Client:
    """Return a client that is signed in to the console."""
    browser = httpx.Client(base_url=gate.url, timeout=30, trust_env=False, follow_redirects=True)
    gate.keep(browser)
    token = re.search(r'name="csrf" value="([0-9a-f]+)"', browser.get("/console/sign-in").text)
    assert token is not None
    key = gate.secret(merchant, ["admin"])
    page = browser.post("/console/sign-in", data={"key": key, "csrf": token[1], "next": ""})
    token = re.search(r'name="csrf" value="([0-9a-f]+)"', page.text)
    assert token is not None
    browser.headers["x-csrf"] = token[1]
    return browser


def test_no_number_of_a_query_or_a_path_is_a_fault(gate):
    """Every GET with such a text in each of its parameters, all at once and one by one."""
    merchant = gate.merchant()
    native = gate.client(merchant, "admin")
    clients = {"native": native, "mircate": Mircate(gate, merchant), "productsup": Productsup(gate, merchant)}
    gate.keep(clients["mircate"])
    gate.keep(clients["productsup"])
    for protocol in gate.application.protocols:
        client = clients.get(protocol.name, native)
        for path in protocol.openapi.paths:
            operation = path.operations.get("GET")
            if operation is None or path.template.endswith("/events"):
                continue
            for number in NUMBERS[:3]:
                url = re.sub(r"\{\w+\}", lambda _, text=number: str(httpx.QueryParams({"": text}))[1:], path.template)
                assert client.get(url).status_code < 500, url[:200]
            plain = path.template.replace("{project}", "5p1hp1d2t").replace("{instance}", merchant)
            plain = re.sub(r"\{\w+\}", "1", plain)
            for name, number in itertools.product(operation.parameters, NUMBERS[:3]):
                answer = client.get(plain, params={name: number})
                assert answer.status_code < 500, (plain, name, number[:20], answer.text)


def test_no_number_in_the_console_is_a_fault(gate):
    """In paths, queries and forms."""
    merchant = gate.merchant()
    browser = _browser(gate, merchant)
    batch = gate.client(merchant).submit(b'{"sku":"1","title":"T","price":"x"}')["id"]
    base = f"/console/merchants/{merchant}/batches/{batch}"
    for number in NUMBERS:
        paths = [route.path for route in gate.application.router.routes if isinstance(route, Route)]
        for path in paths:
            if path.startswith("/console") and path != "/console/changes":
                url = path.replace("{merchant}", merchant).replace("{batch}", str(batch))
                url = re.sub(r"\{\w+(:\w+)?\}", "1", url)
                answer = browser.get(url, params=dict.fromkeys(("after", "page", "limit", "since", "key"), number))
                assert answer.status_code < 500, (url, number[:20], answer.text)
        for path, form in (
            (f"{base}/confirm", {"deletions": number}), (f"{base}/records/{number.strip()[:6_000]}", {"accept": "yes"}),
        ):
            answer = browser.post(path, data={**form, "csrf": browser.headers["x-csrf"]})
            assert answer.status_code < 500, (path[:80], answer.text)


@pytest.mark.parametrize("host", [
    None, b"", b"[", b"[::1", b"[x]", b"a b", b"a:b:c", b"a:99999", b"\xff", b"a/b?c#d", b"a@b", b"%00",
], ids=repr)
def test_no_host_field_is_a_fault(gate, host):
    """HTTP/1.0 requests lack it, and attackers choose it."""
    merchant = gate.merchant()
    secret = gate.secret(merchant, ["admin"])
    paths = [
        "/v1/batches", "/v1/merchants?limit=1", "/console/batches", "/console", "/", "/docs", "/streams",
        "/platform/v2/sites", f"/5p1hp1d2t/CALL/PIMAPI/getCatalogSettings/{merchant}",
        f"/5p1hp1d2t/CALL/MerchantAPI/listExports/{merchant}", "/v3/catalog/product", "//v3/catalog/product",
    ]
    field = b"" if host is None else b"Host: %s\r\n" % host
    fields = field + b"Authorization: Bearer %s\r\nX-Api-Key: %s\r\nAccept: text/html\r\nConnection: close\r\n" % (
        secret.encode(), secret.encode())
    for path in paths:
        answer = gate.ask(b"GET %s HTTP/1.%d\r\n%s\r\n" % (path.encode(), 0 if host is None else 1, fields))
        status = re.match(rb"HTTP/1\.1 (\d+)", answer)
        assert status is not None, (path, answer[:200])
        assert int(status[1]) < 500, (path, answer[:1000])


def test_a_deep_tree_of_categories_is_shown_as_a_list(gate):
    """Of 1,500 levels, on the console and by the protocols that show trees."""
    merchant = gate.merchant()
    entries = [ReferenceEntry(code=f"c{level}", name=f"Level {level}", parent=f"c{level - 1}" if level else None)
        for level in range(1_500)]
    gate.shop.store.put_reference(merchant, "category", entries)
    browser = _browser(gate, merchant)
    page = browser.get(f"/console/merchants/{merchant}/reference/category")
    assert page.status_code == 200
    assert 'class="tree"' not in page.text
    assert "Level 1" in page.text
    assert gate.client(merchant).get("/v1/reference/category?limit=1000").status_code == 200
    gate.shop.store.put_reference(merchant, "category", entries[:20], replace=True)
    assert 'class="tree"' in browser.get(f"/console/merchants/{merchant}/reference/category").text


@pytest.mark.parametrize("store", stores.KINDS)
@pytest.mark.parametrize("kind", ["category", "attribute"])
def test_no_entry_of_reference_data_is_a_fault(tmp_path_factory, kind, store):
    """It is loaded or refused, and what was loaded can be read."""
    with Shop(tmp_path_factory.mktemp("entries"), kind=store) as shop:
        gate = HttpGate(shop)
        _load_nasty_entries(gate, kind)
        gate.close()


def _load_nasty_entries(gate: HttpGate, kind: str) -> None:
    merchant = gate.merchant()
    client = gate.client(merchant)
    for value, member in itertools.product(
        nasty.VALUES.values(), ("code", "name", "parent", "level", "minimum", "allowed", "unit", "x")
    ):
        code = b"" if member == "code" else b'"code":"%s",' % member.encode()
        entry = b'[{%s"%s":%s}]' % (code, member.encode(), value)
        answer = client.put(f"/v1/reference/{kind}?format=json", content=entry)
        assert answer.status_code in (200, 422), (member, value[:40], answer.text)
        assert client.get(f"/v1/reference/{kind}").status_code == 200
    assert _browser(gate, merchant).get(f"/console/merchants/{merchant}/reference/{kind}").status_code == 200
