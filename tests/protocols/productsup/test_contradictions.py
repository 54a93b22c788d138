"""The contradictions of the dossier, section 12, one test for each; the README has the table of all."""

import re
import secrets
from importlib.resources import files
from typing import Any

import httpx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests import effort
from tests.protocols.productsup.client import Productsup, error


def test_the_table_names_all_eighteen() -> None:
    """The README lists each contradiction once and in order."""
    rows = [line.split("|")[1].strip() for line in _readme() if re.match(r"\| C\d", line)]
    assert rows == [f"C{number}" for number in range(1, 19)]


def _readme() -> list[str]:
    return (files("goodsgate.protocols.productsup") / "README.md").read_text("utf-8").splitlines()


def _upload(sender: Productsup, body: bytes) -> httpx.Response:
    path = f"/streams/{sender.create_stream(f'Stream {len(body)}')}/products"
    return sender.post(path, content=body, headers={"content-type": "application/x-ndjson"})


def _products(sender: Productsup) -> dict[str, object]:
    """Process all uploads and return the products of the account's only stream."""
    sender.gate.shop.work()
    (stream,) = sender.get("/streams").json()["data"]
    return sender.gate.shop.items(f"productsup-{stream['id']}", merchant=sender.merchant)


def _upload_stage(response: httpx.Response) -> dict[str, Any]:
    stage: dict[str, Any] = response.json()["data"]["attributes"]["stages"]["upload"]
    return stage


def test_c1_c3_c4_an_empty_upload(sender: Productsup) -> None:
    """It gets 422 with a batch document, line 1 and the message that is seen on the wire."""
    response = _upload(sender, b"")
    assert (response.status_code, response.json()["data"]["type"]) == (422, "batch")
    (problem,) = _upload_stage(response)["errors"]
    assert (problem["message"], problem["example"]) == ("Empty payload", {"lineNumber": 1, "value": ""})


def test_c2_the_size_of_a_product(sender: Productsup) -> None:
    """A line of 2,097,152 bytes is accepted; a line with one byte more is not."""
    line = b'{"id":"1","a":"%s"}' % (b"x" * (2_097_152 - 17))
    assert len(line) == 2_097_152
    assert _upload(sender, line).status_code == 202
    assert list(_products(sender)) == ["1"]
    response = _upload(sender, line + b" ")
    assert (response.status_code, _upload_stage(response)["errors"][0]["message"]) == (
        422, "Product payload is too large"
    )


def test_c8_processing_is_always_there(sender: Productsup) -> None:
    """The member is null until the batch is processed."""
    response = _upload(sender, b'{"id":"1"}')
    assert response.json()["data"]["attributes"]["stages"]["processing"] is None
    sender.gate.shop.work()
    fetched = sender.get(response.headers["content-location"]).json()
    assert fetched["data"]["attributes"]["stages"]["processing"]["status"] == "success"


def test_c10_the_upload_stage_of_a_referenced_stream_never_warns(sender: Productsup) -> None:
    """Its status is success even if some records are wrong."""
    path, json = f"/streams/{sender.create_stream(type='referenced')}/products", {"content-type": "application/json"}
    statuses = {b'[{"id":"1"},{},5]': "success", b"[5]": "success", b'[{"id":': "success", b"[]": "failure"}
    for body, status in statuses.items():
        assert _upload_stage(sender.post(path, content=body, headers=json))["status"] == status


def test_c11_c12_values_may_be_anything(sender: Productsup) -> None:
    """Numbers, booleans and nested values are stored; null clears a member."""
    assert _upload_stage(_upload(sender, b'{"id":1,"a":{"b":[1]},"c":2.5,"d":true,"e":null}'))["successCount"] == 1
    assert _products(sender) == {"1": {"id": 1, "a": {"b": [1]}, "c": 2.5, "d": True}}


def test_c5_ids_are_texts_and_are_accepted_as_numbers(sender: Productsup) -> None:
    """This holds for streams and accounts."""
    for number, account in enumerate((123, "123")):
        relationships = {"account": {"data": {"type": "account", "id": account}}}
        data = sender.create(f"Stream {number}", relationships=relationships).json()["data"]
        assert isinstance(data["id"], str)
        assert isinstance(data["relationships"]["account"]["data"]["id"], str)
        assert sender.rename(data["id"], f"Stream {number}", id=int(data["id"])).status_code == 200
        assert sender.rename(data["id"], f"Stream {number}", id=data["id"]).status_code == 200


def test_c6_relationships_may_be_inside_data_or_beside_it(sender: Productsup) -> None:
    """Streams have them inside `data`, batches in both places."""
    relationships = {"account": {"data": {"type": "account", "id": 123}}}
    stream = {"type": "stream", "attributes": {"name": "Beside", "type": "chunked"}}
    beside = sender.post("/streams", json={"data": stream, "relationships": relationships})
    inside = sender.create("Inside", relationships=relationships)
    for response in (beside, inside):
        assert response.status_code == 201
        assert list(response.json()) == ["data"]
        assert "relationships" in response.json()["data"]
    batch = _upload(sender, b'{"id":"1"}').json()
    assert batch["relationships"] == batch["data"]["relationships"]


def test_c7_status_and_code_are_texts(sender: Productsup) -> None:
    """Every error has texts in both members."""
    sender.create_stream("abc")
    for response in (sender.create("abc"), sender.get("/streams/99"), sender.create("ab")):
        problem = error(response)
        assert isinstance(problem["status"], str)
        assert isinstance(problem.get("code", ""), str)


def test_c13_a_stream_is_not_a_list(sender: Productsup) -> None:
    """`GET /streams/{id}` answers with one stream."""
    assert isinstance(sender.get(f"/streams/{sender.create_stream()}").json()["data"], dict)


def test_c15_c18_deletions_have_a_body_or_none(sender: Productsup) -> None:
    """The body names products; it may be left out where all products are deleted."""
    location = _upload(sender, b'{"id":"1"}\n{"id":"2"}').headers["content-location"]
    path, named = f"{location.partition('/batches/')[0]}/products", {"content-type": "application/x-ndjson"}
    assert sender.request("DELETE", path, content=b'{"id":"1"}', headers=named).status_code == 202
    assert list(_products(sender)) == ["2"]
    assert sender.delete(f"{path}?all=true").status_code == 202
    assert _products(sender) == {}


@settings(deadline=None, max_examples=effort.examples(25), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from([b'{"id":"1"}', b"{}", b"", b"x", b'{"id":" "}']), max_size=6), st.booleans())
def test_c17_answers_are_consistent(sender: Productsup, lines: list[bytes], referenced: bool) -> None:
    """Statuses follow from counts, and counts add up."""
    stream = sender.create_stream(f"Any {secrets.token_hex(8)}", "referenced" if referenced else "chunked")
    named = {"content-type": "application/x-ndjson"}
    response = sender.post(f"/streams/{stream}/products", content=b"\n".join(lines), headers=named)
    sender.gate.shop.work()
    fetched = sender.get(response.headers["content-location"])
    for status, document in ((response.status_code, response.json()), (0, fetched.json())):
        attributes = document["data"]["attributes"]
        stages = [stage for stage in attributes["stages"].values() if stage is not None]
        for stage in stages:
            assert stage["errorCount"] == sum(problem["occurrences"] for problem in stage["errors"])
            failed = "warning" if stage["successCount"] else "failure"
            assert stage["status"] == (failed if stage["errorCount"] else "success")
        assert attributes["errorCount"] == sum(stage["errorCount"] for stage in stages)
        ends = {1: "uploaded", 2: "processed"}[len(stages)]
        assert attributes["status"] == ("failed" if any(one["status"] == "failure" for one in stages) else ends)
        assert status in (0, 422 if attributes["status"] == "failed" else 202)
