"""The contradictions of the dossier, section 12, that are of what is here; the README has the table of all."""

import re
import secrets
from importlib.resources import files
from typing import Any

import httpx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.protocols.productsup.client import Productsup, error


def test_the_table_names_all_eighteen() -> None:
    """In order, once each."""
    rows = [line.split("|")[1].strip() for line in _readme() if re.match(r"\| C\d", line)]
    assert rows == [f"C{number}" for number in range(1, 19)]


def _readme() -> list[str]:
    return (files("goodsgate.protocols.productsup") / "README.md").read_text("utf-8").splitlines()


def _upload(sender: Productsup, body: bytes) -> httpx.Response:
    path = f"/streams/{sender.made(f'Stream {len(body)}')}/products"
    return sender.post(path, content=body, headers={"content-type": "application/x-ndjson"})


def _upload_stage(answered: httpx.Response) -> dict[str, Any]:
    stage: dict[str, Any] = answered.json()["data"]["attributes"]["stages"]["upload"]
    return stage


def test_c1_c3_c4_an_empty_upload(sender: Productsup) -> None:
    """422 with a batch document; the line is 1; the text is that of the wire."""
    answered = _upload(sender, b"")
    assert (answered.status_code, answered.json()["data"]["type"]) == (422, "batch")
    (told,) = _upload_stage(answered)["errors"]
    assert (told["message"], told["example"]) == ("Empty payload", {"lineNumber": 1, "value": ""})


def test_c2_the_size_of_a_product(sender: Productsup) -> None:
    """A line of 2,097,152 bytes is held, one of a byte more is not."""
    line = b'{"id":"1","a":"%s"}' % (b"x" * (2_097_152 - 17))
    assert len(line) == 2_097_152
    assert _upload(sender, line).status_code == 202
    sender.gate.shop.work()
    assert list(sender.gate.shop.items("productsup-1", merchant=sender.merchant)) == ["1"]
    answered = _upload(sender, line + b" ")
    assert (answered.status_code, _upload_stage(answered)["errors"][0]["message"]) == (
        422, "Product payload is too large"
    )


def test_c8_processing_is_always_there(sender: Productsup) -> None:
    """Null until it was worked."""
    answered = _upload(sender, b'{"id":"1"}')
    assert answered.json()["data"]["attributes"]["stages"]["processing"] is None
    sender.gate.shop.work()
    fetched = sender.get(answered.headers["content-location"]).json()
    assert fetched["data"]["attributes"]["stages"]["processing"]["status"] == "success"


def test_c10_the_upload_stage_of_a_referenced_stream_never_warns(sender: Productsup) -> None:
    """Whatever is wrong with some of the records."""
    path, json = f"/streams/{sender.made(type='referenced')}/products", {"content-type": "application/json"}
    told = {b'[{"id":"1"},{},5]': "success", b"[5]": "success", b'[{"id":': "success", b"[]": "failure"}
    for body, status in told.items():
        assert _upload_stage(sender.post(path, content=body, headers=json))["status"] == status


def test_c11_c12_values_may_be_anything(sender: Productsup) -> None:
    """Numbers, booleans, nested ones; null clears."""
    assert _upload_stage(_upload(sender, b'{"id":1,"a":{"b":[1]},"c":2.5,"d":true,"e":null}'))["successCount"] == 1
    sender.gate.shop.work()
    held = sender.gate.shop.items("productsup-1", merchant=sender.merchant)
    assert held == {"1": {"id": 1, "a": {"b": [1]}, "c": 2.5, "d": True}}


def test_c5_ids_are_texts_and_are_taken_as_either(sender: Productsup) -> None:
    """Of streams and accounts."""
    for number, account in enumerate((123, "123")):
        relationships = {"account": {"data": {"type": "account", "id": account}}}
        data = sender.create(f"Stream {number}", relationships=relationships).json()["data"]
        assert isinstance(data["id"], str)
        assert isinstance(data["relationships"]["account"]["data"]["id"], str)
        assert sender.rename(data["id"], f"Stream {number}", id=int(data["id"])).status_code == 200
        assert sender.rename(data["id"], f"Stream {number}", id=data["id"]).status_code == 200


def test_c6_relationships_may_be_inside_data_or_beside_it(sender: Productsup) -> None:
    """They are sent inside of streams, and both on batches."""
    relationships = {"account": {"data": {"type": "account", "id": 123}}}
    stream = {"type": "stream", "attributes": {"name": "Beside", "type": "chunked"}}
    beside = sender.post("/streams", json={"data": stream, "relationships": relationships})
    inside = sender.create("Inside", relationships=relationships)
    for answered in (beside, inside):
        assert answered.status_code == 201
        assert list(answered.json()) == ["data"]
        assert "relationships" in answered.json()["data"]
    batch = _upload(sender, b'{"id":"1"}').json()
    assert batch["relationships"] == batch["data"]["relationships"]


def test_c7_status_and_code_are_texts(sender: Productsup) -> None:
    """Of every error."""
    sender.made("abc")
    for answered in (sender.create("abc"), sender.get("/streams/99"), sender.create("ab")):
        told = error(answered)
        assert isinstance(told["status"], str)
        assert isinstance(told.get("code", ""), str)


def test_c13_a_stream_is_not_a_list(sender: Productsup) -> None:
    """`GET /streams/{id}` is one."""
    assert isinstance(sender.get(f"/streams/{sender.made()}").json()["data"], dict)


def test_c15_c18_deletions_have_a_body_or_none(sender: Productsup) -> None:
    """It is read where products are named, and may be left out where all go."""
    _upload(sender, b'{"id":"1"}\n{"id":"2"}')
    path, named = "/streams/1/products", {"content-type": "application/x-ndjson"}
    assert sender.request("DELETE", path, content=b'{"id":"1"}', headers=named).status_code == 202
    sender.gate.shop.work()
    assert list(sender.gate.shop.items("productsup-1", merchant=sender.merchant)) == ["2"]
    assert sender.delete(f"{path}?all=true").status_code == 202
    sender.gate.shop.work()
    assert sender.gate.shop.items("productsup-1", merchant=sender.merchant) == {}


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from([b'{"id":"1"}', b"{}", b"", b"x", b'{"id":" "}']), max_size=6), st.booleans())
def test_c17_no_answer_is_one_that_cannot_be(sender: Productsup, lines: list[bytes], referenced: bool) -> None:
    """The status is that of the stages, and they are what their counts say; sums are sums."""
    stream = sender.made(f"Any {secrets.token_hex(8)}", "referenced" if referenced else "chunked")
    named = {"content-type": "application/x-ndjson"}
    answered = sender.post(f"/streams/{stream}/products", content=b"\n".join(lines), headers=named)
    sender.gate.shop.work()
    fetched = sender.get(answered.headers["content-location"])
    for status, document in ((answered.status_code, answered.json()), (0, fetched.json())):
        attributes = document["data"]["attributes"]
        stages = [stage for stage in attributes["stages"].values() if stage is not None]
        for stage in stages:
            assert stage["errorCount"] == sum(told["occurrences"] for told in stage["errors"])
            failed = "warning" if stage["successCount"] else "failure"
            assert stage["status"] == (failed if stage["errorCount"] else "success")
        assert attributes["errorCount"] == sum(stage["errorCount"] for stage in stages)
        ends = {1: "uploaded", 2: "processed"}[len(stages)]
        assert attributes["status"] == ("failed" if any(one["status"] == "failure" for one in stages) else ends)
        assert status in (0, 422 if attributes["status"] == "failed" else 202)
