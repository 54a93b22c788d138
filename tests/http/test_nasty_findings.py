"""One batch with the nastiest findings: every page, every report and every read of it answers, on both stores.

The paths come from the OpenAPI document and from the console's routes, so that a new page is read, too.
"""

import re
from collections.abc import Iterator

import httpx
import pytest
from starlette.routing import Route

from goodsgate.engine.refusal import Refusal
from goodsgate.http.endpoints import load_openapi
from goodsgate.model.batch import Batch
from tests import nasty, stores
from tests.http_gate import HttpGate
from tests.shop import Shop

MEMBERS = ("sku", "title", "price", "gtin", "category", "variants", "unknown")
ENCODED_KEY = "%3Cscript%3E%00%F0%9F%98%80"
PATHS = {
    "merchant": "acme", "collection": "products", "kind": "product", "key": "long-title", "sku": ENCODED_KEY,
    "number": "1", "name": "mine", "webhook": "1", "feed": "1", "signature": "0" * 32, "file": "feed.csv",
}
SKIPPED = {"/v1/batches/{batch}/events", "/console/changes"}
"""Streams, which end with their batch or never."""


class Scene:
    """A gate with the nasty batch, and a client who may read everything."""

    def __init__(self, gate: HttpGate) -> None:
        self.gate = gate
        text = "Größe für äußere Maße".encode() * 4_000  # so that the payload is UTF-8, whatever else it contains
        lines = [b'{"sku":"plain","title":"T","unknown":"%s","price":"on request"}' % text, *nasty.records(*MEMBERS)]
        rejected = nasty.records("unknown", base=b'"sku":"r-%s","title":"T","price":"on request"')
        self.batch = gate.shop.run(b"\n".join([*lines, *rejected]))
        rows = [
            b'%s,"%s",bad,"%s"' % (name.encode(), value.replace(b'"', b'""'), value.strip(b'"'))
            for name, value in nasty.VALUES.items()
        ]
        table = b"sku,title,price,variants\r\n" + b"\r\n".join(rows)
        mapping = {"variants": ["variants.0.sku", "variants", "attributes.x"]}
        self.table = gate.shop.run(table, format="csv", encoding="utf-8", mapping=mapping)
        key = gate.secret("acme", ("read", "submit", "admin"))
        self.client = gate.client("acme", secret=key)
        self.browser = httpx.Client(base_url=gate.url, timeout=60, trust_env=False, follow_redirects=True)
        token = re.search(r'name="csrf" value="([0-9a-f]+)"', self.browser.get("/console/sign-in").text)
        assert token is not None
        self.browser.post("/console/sign-in", data={"key": key, "csrf": token[1], "next": ""})


@pytest.fixture(scope="module", params=stores.KINDS)
def scene(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Scene]:
    """One scene for each kind of store."""
    with Shop(tmp_path_factory.mktemp("nasty"), kind=request.param, traffic_bytes_max=1024**2, trouble="allow") as shop:
        gate = HttpGate(shop)
        opened = Scene(gate)
        yield opened
        opened.browser.close()
        gate.close()


def _paths(templates: list[str], batch: Batch) -> list[str]:
    fill = {**PATHS, "batch": batch.id}
    return [re.sub(r"\{(\w+)\}", lambda name: fill[name[1]], path) for path in templates if path not in SKIPPED]


def test_the_batch_is_what_it_should_be(scene):
    """Bad records harm nobody: the batch is finished, every record has a result, and the worst are rejected."""
    for batch in (scene.batch, scene.table):
        assert batch.state == "finished", scene.gate.shop.codes(batch.id)
        assert batch.counts.accounted == batch.total
        assert batch.counts.rejected >= len(nasty.VALUES)
    codes = {code for codes in scene.gate.shop.codes(scene.batch.id).values() for code in codes}
    assert codes >= {"encoding_broken", "line_too_deep", "line_unreadable", "record_not_object"}, codes


def test_every_read_of_the_native_protocol_answers(scene):
    """GETs with the parameters that page through everything."""
    openapi = load_openapi("goodsgate.protocols.native")
    gets = [path.template for path in openapi.paths if "GET" in path.operations]
    for batch in (scene.batch, scene.table):
        for path in _paths(gets, batch):
            for query in ("", "?limit=1000", "?kind=product", "?wait=0"):
                answer = scene.client.get(path + query)
                assert answer.status_code < 500, (path, query, answer.text)
                assert answer.status_code in (200, 400, 404), (path, answer.text)


@pytest.mark.parametrize("format", ["ndjson", "json", "csv", "tsv", "xlsx"])
@pytest.mark.parametrize("only", ["rejected", "all"])
def test_every_report_can_be_downloaded(scene, only, format):
    """To its end, from the API and from the console; a cell that no XLSX holds is refused before the first byte."""
    for batch in (scene.batch, scene.table):
        query = f"?only={only}&format={format}"
        answers = [
            scene.client.get(f"/v1/batches/{batch.id}/report{query}"),
            scene.browser.get(f"/console/merchants/acme/batches/{batch.id}/report{query}"),
        ]
        for answer in answers:
            assert answer.status_code == (400 if format == "xlsx" else 200), answer.text[:500]
        if format == "ndjson":
            lines = answers[0].content.splitlines()
            assert len(lines) == (batch.counts.rejected if only == "rejected" else batch.total)


def test_every_page_of_the_console_answers(scene):
    """Pages, fragments, and each group of issues; whatever was submitted is text and no markup."""
    routes = [route for route in scene.gate.application.router.routes if isinstance(route, Route)]
    pages = [route.path for route in routes if route.path.startswith("/console") and "assets" not in route.path]
    assert len(pages) > 20
    for batch in (scene.batch, scene.table):
        records = f"/console/merchants/acme/batches/{batch.id}/records"
        groups = scene.gate.shop.engine.groups("acme", batch.id)
        grouped = [str(httpx.URL(records, params={"code": group.code, "field": group.field})) for group in groups]
        paged = [f"{records}?after={after}" for after in range(0, (batch.total or 0) + 20, 20)]
        for path in [*_paths(pages, batch), *grouped, *paged]:
            for headers in ({}, {"hx-request": "true"}):
                answer = scene.browser.get(path, headers=headers)
                assert answer.status_code in (200, 400, 404, 405, 409), (path, answer.text[:1000])
                is_page = answer.headers.get("content-type", "").startswith("text/html")
                assert not is_page or "<script>alert" not in answer.text, path
                assert answer.headers["x-content-type-options"] == "nosniff", path
        for path in paged:
            assert "</html>" in scene.browser.get(path).text, path


def test_a_report_of_nasty_records_can_be_sent_back(scene):
    """As a fix it ends, and every record keeps a result. A table cannot have a NUL in its header, which it says."""
    with pytest.raises(Refusal, match="NUL"):
        scene.gate.shop.fix(scene.batch.id, scene.gate.shop.report(scene.batch.id, format="csv"), format="csv")
    for batch, format in ((scene.batch, "ndjson"), (scene.table, "json"), (scene.table, "csv")):
        shop = scene.gate.shop
        shop.fix(batch.id, shop.report(batch.id, format=format), format=format)
        shop.work()
        again = shop.engine.batch("acme", batch.id)
        assert again.state == "finished", format
        assert again.counts.accounted == again.total
