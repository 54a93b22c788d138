"""Trouble on demand, as the clients of each protocol meet it."""

import itertools
import threading
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import httpx
import pytest
import yaml

from goodsgate.cli.conversation import Conversation
from goodsgate.cli.stand_in_setup import StandIn
from goodsgate.cli.transcripts import ExpectedResponse, RequestTemplate, Step
from goodsgate.engine import Engine
from goodsgate.store.contract import BatchFilter
from tests.conventions.source import PACKAGE
from tests.http_gate import HttpGate
from tests.shop import Shop

CALL = "/5p1hp1d2t/CALL"
PRODUCT = {
    "departments": ["5956"], "category": "Sports Shoes", "brand": "Acme", "country_of_origin": "India",
    "tax_identifier": {"tax_rule_id": "66f0c0ffee0000000000aa01"}, "hs_code": "640411", "attributes": {},
    "is_dependent": "No", "trader": [{"type": "Manufacturer", "name": "Acme Ltd", "address": ["1 Mill Road, Pune"]}],
}
NDJSON = {"Content-Type": "application/x-ndjson"}
JSON_API = {"Content-Type": "application/vnd.api+json"}
CONTRACT = yaml.safe_load((PACKAGE / "protocols/native/openapi.yaml").read_text("utf-8"))
_numbers = itertools.count(1)


def _products() -> list[dict[str, Any]]:
    return [
        {**PRODUCT, "name": f"{name}${{run}}", "slug": f"{name}${{run}}", "item_code": f"{name}${{run}}", "sizes": [
            {"primary_identifier": f"{name}${{run}}-1", "size": "1", "price": 9, "price_effective": 9},
        ]} for name in ("a", "b")
    ]


def _items() -> list[dict[str, str]]:
    return [
        {"item_sku": f"T{plu}", "external_product_id": plu, "external_product_id_type": "PLU", "item_name": "Fruit",
         "store_id": "STORE-1", "standard_price": "${price}.49"} for plu in ("4012", "4013")
    ]


SUBMISSIONS: dict[str, RequestTemplate] = {
    "native": RequestTemplate("POST", "/v1/batches", headers=NDJSON, text="".join(
        f'{{"id": "{name}${{run}}", "title": "A mug", "price": "7.90 EUR"}}\n' for name in "ab")),
    "konnect": RequestTemplate("POST", "/v3/catalog/product", json={"template": "footwear", "products": _products()}),
    "productsup": RequestTemplate("POST", "/streams/${stream}/products", headers=NDJSON, text="".join(
        f'{{"id": "{name}${{run}}", "name": "A mug"}}\n' for name in "ab")),
    "justwalkout": RequestTemplate("POST", "/v1/catalog/upload", json={"catalogItems": _items()}),
    "mircate": RequestTemplate("POST", f"{CALL}/MerchantAPI/receiveStock/${{MIRCATE_PROJECT}}", json={"products": [
        {"sku": f"{name}${{run}}", "channel": "web", "stock": 1} for name in "ab"]}),
}
"""A submission of two valid records by each protocol."""
ACCEPTED = {"native": 202, "konnect": 200, "productsup": 202, "justwalkout": 201, "mircate": 200}
REFUSED: dict[str, dict[str, tuple[int, dict[str, Any]]]] = {
    "too_many_requests": {
        "native": (429, {"code": "queue_full"}),
        "konnect": (429, {"status": "FAILED", "errors": []}),
        "productsup": (429, {"errors": [{"status": "429", "title": "Too Many Requests"}]}),
        "justwalkout": (429, {"errorMsg": "~ .+"}),
        "mircate": (429, {"message": "~ .+"}),
    },
    "fault": {
        "native": (500, {"code": "internal_fault"}),
        "konnect": (500, {"status": "FAILED", "errors": []}),
        "productsup": (500, {"errors": [{"status": "500", "title": "Internal Server Error"}]}),
        "justwalkout": (500, {"errorMsg": "~ .+"}),
        "mircate": (500, {"message": "~ .+"}),
    },
}
"""Kind → protocol → status and body."""
STATUS_OF: dict[str, tuple[dict[str, str], RequestTemplate]] = {
    "native": ({"batch": "/id"}, RequestTemplate("GET", "/v1/batches/${batch}")),
    "konnect": (
        {"trace": "/trace_id"}, RequestTemplate("GET", "/v3/catalog/status", query={"trace_id": "${trace}"})
    ),
    "productsup": ({"batch": "header:Content-Location"}, RequestTemplate("GET", "${batch}")),
    "justwalkout": (
        {"ingestion": "/ingestionId"},
        RequestTemplate("POST", "/v1/catalog/getCatalogUploadStatus", json={"ingestionId": "${ingestion}"}),
    ),
    "mircate": (
        {"batch": "/batchId"}, RequestTemplate("POST", f"{CALL}/MerchantImportJob/checkBatchStatus/${{batch}}", json={})
    ),
}
"""What is saved of a response to ask for the status, and how."""
ENDED: dict[str, dict[str, dict[str, Any]]] = {
    "rejected": {
        "native": {"outcome": "rejected", "counts": {"rejected": 2}},
        "konnect": {"stage": "FAILED", "meta": {"failed": 2}},
        "productsup": {"data": {"attributes": {"stages": {"processing": {"successCount": 0, "errorCount": 2}}}}},
        "justwalkout": {"processingStatus": "DONE"},
        "mircate": {"batchStatus": "DONE", "failCount": 2, "successCount": 0},
    },
    "partly_rejected": {
        "native": {"outcome": "partial", "counts": {"rejected": 1}},
        "konnect": {"stage": "PARTIAL", "meta": {"failed": 1, "failed_records": [{"index": 0}]}},
        "productsup": {"data": {"attributes": {"stages": {"processing": {"successCount": 1, "errorCount": 1}}}}},
        "justwalkout": {"processingStatus": "DONE"},
        "mircate": {"batchStatus": "DONE", "failCount": 1, "successCount": 1},
    },
    "broken": {
        "native": {"state": "broken"},
        "konnect": {"stage": "FAILED"},
        "productsup": {"data": {"attributes": {"status": "failed"}}},
        "justwalkout": {"processingStatus": "FATAL"},
        "mircate": {"batchStatus": "FAILED"},
    },
}
"""Kind → protocol → status at the end."""


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpGate]:
    """A gate that allows trouble, with a worker in this process."""
    folder = tmp_path_factory.mktemp("trouble")
    with Shop(folder, kind="sqlite", poll_seconds=0.005, trouble="allow", stream_imports="at_once") as shop:
        served = HttpGate(shop)
        working = threading.Thread(target=shop.worker.run)
        working.start()
        yield served
        served.close()
        shop.worker.stop()
        working.join()


class Troubled:
    """The client of a protocol, and an admin who orders its trouble."""

    def __init__(self, gate: HttpGate, protocol: str) -> None:
        self.gate = gate
        self.protocol = protocol
        native = protocol == "native"
        prepared = StandIn("mircate" if native else protocol, gate.shop.config)
        prepared.prepare(gate.shop.store)
        document = prepared.complete(gate.url)
        self.merchant = str(document["merchant"])
        self.admin = {"Authorization": f"Bearer {document['environment']['GOODSGATE_KEY']}"}
        client = prepared.client
        if native:
            client = type(client)(**{**_fields(client), "headers": self.admin})
        self.conversation = Conversation(client, gate.url, document["environment"])
        if protocol == "productsup":
            attributes = {"name": f"Stream {next(_numbers)}", "type": "chunked"}
            create = RequestTemplate("POST", "/streams", headers=JSON_API, json={
                "data": {"type": "stream", "attributes": attributes}
            })
            self.expect(create, ExpectedResponse(201), save={"stream": "/data/id"})

    def order(self, kind: str, **options: float) -> None:
        """Order trouble."""
        answered = httpx.post(f"{self.gate.url}/v1/trouble", json={"kind": kind, **options}, headers=self.admin)
        assert answered.status_code == 201, answered.text

    def ordered(self) -> list[dict[str, Any]]:
        """Return what is still ordered."""
        return list(httpx.get(f"{self.gate.url}/v1/trouble", headers=self.admin).json()["trouble"])

    def batches(self) -> int:
        """Return the number of batches."""
        return len(self.gate.shop.store.batches(self.merchant, BatchFilter(), limit=1000).rows)

    def submit(self, status: int, *, body: dict[str, Any] | None = None, save: dict[str, str] | None = None) -> None:
        """Submit two records that no submission had before, and compare the response."""
        number = next(_numbers)
        self.conversation.variables |= {"run": f"r{number}", "price": number}
        expected = ExpectedResponse(status) if body is None else ExpectedResponse(status, json=body)
        self.expect(SUBMISSIONS[self.protocol], expected, save=save or {})

    def expect(self, request: RequestTemplate, expected: ExpectedResponse, **options: Any) -> None:
        """Send a request and compare its response."""
        outcome = self.conversation.run([Step("step", request, expected, **options)])[-1]
        assert outcome.differences == [], outcome.response


def _fields(struct: Any) -> dict[str, Any]:
    return {name: getattr(struct, name) for name in struct.__struct_fields__}


@pytest.fixture(params=SUBMISSIONS)
def troubled(gate: HttpGate, request: pytest.FixtureRequest) -> Iterator[Troubled]:
    """A client of each protocol."""
    client = Troubled(gate, request.param)
    with closing(client.conversation):
        yield client


def test_refusals_have_the_form_of_the_protocol(troubled: Troubled):
    """Nothing is stored, and the next submission succeeds."""
    for kind, expected in REFUSED.items():
        before = troubled.batches()
        troubled.order(kind)
        troubled.submit(expected[troubled.protocol][0], body=expected[troubled.protocol][1])
        assert troubled.batches() == before
        assert troubled.ordered() == []
        troubled.submit(ACCEPTED[troubled.protocol])


def test_rejections_and_failures_have_the_status_of_the_protocol(troubled: Troubled):
    """The submission is acknowledged, and its status tells the trouble."""
    save, status = STATUS_OF[troubled.protocol]
    for kind, expected in ENDED.items():
        troubled.order(kind)
        troubled.submit(ACCEPTED[troubled.protocol], save=save)
        link = {"link": "/reportDownloadLink"} if troubled.protocol == "justwalkout" and kind != "broken" else {}
        troubled.expect(status, ExpectedResponse(200, json=expected[troubled.protocol]), save=link, repeat_seconds=30)
        if link:
            report = ExpectedResponse(200, json={"summary": {"itemsRejected": 2 if kind == "rejected" else 1}})
            troubled.expect(RequestTemplate("GET", "${link}", credentials=False), report)


def test_a_response_is_late_cut_off_or_of_a_submission_that_counts_twice(troubled: Troubled):
    """The submission is durable in each case."""
    before = troubled.batches()
    troubled.order("duplicated")
    troubled.submit(ACCEPTED[troubled.protocol])
    assert troubled.batches() == before + 2
    troubled.order("slow", delay_seconds=0.05)
    troubled.submit(ACCEPTED[troubled.protocol])
    assert troubled.batches() == before + 3
    troubled.order("cut_off")
    with pytest.raises(httpx.RemoteProtocolError):
        troubled.submit(ACCEPTED[troubled.protocol])
    assert troubled.batches() == before + 4


def test_orders_are_met_in_turn_listed_and_cleared(gate: HttpGate):
    """So many times, or for so long; another merchant's submissions meet none."""
    client = Troubled(gate, "native")
    with closing(client.conversation):
        client.order("too_many_requests", times=2)
        client.order("fault", seconds=3600)
        for status in (429, 429, 500, 500):
            client.submit(status)
        assert [(each["kind"], each["times"]) for each in client.ordered()] == [("fault", None)]
        assert gate.client().post("/v1/batches", content=b'{"id": "x"}', headers=NDJSON).status_code == 202
        assert httpx.delete(f"{gate.url}/v1/trouble", headers=client.admin).status_code == 204
        assert client.ordered() == []
        client.submit(202)


def test_orders_are_bounded_and_need_an_admin(gate: HttpGate):
    """A merchant's own key cannot order anything."""
    assert gate.client().post("/v1/trouble", json={"kind": "fault"}).status_code == 403
    admin = gate.client(None, "admin")
    example = CONTRACT["paths"]["/v1/trouble"]["post"]["requestBody"]["content"]["application/json"]["example"]
    assert admin.post("/v1/trouble", json=example).status_code == 201
    assert admin.delete("/v1/trouble").status_code == 204
    for wrong in ({"kind": "rain"}, {"kind": "slow", "delay_seconds": 1e6}, {"kind": "slow", "times": 1, "seconds": 1}):
        assert admin.post("/v1/trouble", json=wrong).status_code == 400
    codes = [admin.post("/v1/trouble", json={"kind": "fault", "seconds": 60}).status_code for _ in range(101)]
    assert codes == [201] * 100 + [409]


def test_a_gate_that_does_not_allow_it_has_none_of_its_parts(tmp_path_factory: pytest.TempPathFactory):
    """The default; it answers 409, and its engine is the plain one."""
    with Shop(tmp_path_factory.mktemp("calm"), kind="sqlite") as shop:
        served = HttpGate(shop)
        refused = served.client(None, "admin").post("/v1/trouble", json={"kind": "fault"})
        assert (refused.status_code, refused.json()["code"]) == (409, "trouble_off")
        assert type(served.application.context.engine) is Engine
        served.close()
