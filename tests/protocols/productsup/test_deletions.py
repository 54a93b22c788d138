"""Products deleted by body, one by one, and all: answered as a batch, worked in order with the uploads."""

import httpx
import pytest

from tests.protocols.productsup.client import JSON_API, ONE_STORE, Productsup, error

NDJSON = {"content-type": "application/x-ndjson"}


def _filled(sender: Productsup) -> str:
    stream = sender.made()
    body = b'{"id":"1"}\n{"id":"2"}\n{"id":7824796324}\n{"id":"A/1 \xc3\xa4"}\n'
    assert sender.post(f"/streams/{stream}/products", content=body, headers=NDJSON).status_code == 202
    return stream


def _held(sender: Productsup, stream: str) -> list[str]:
    sender.gate.shop.work()
    return sorted(sender.gate.shop.items(f"productsup-{stream}", merchant=sender.merchant))


def _told(sender: Productsup, answered: httpx.Response) -> tuple[str, int, str, int, list[tuple[str, int, int]]]:
    """Of the batch as it is now: status, uploaded; of the processing stage status, successes and messages."""
    attributes = sender.get(answered.headers["content-location"]).json()["data"]["attributes"]
    processing = attributes["stages"]["processing"]
    errors = [(told["message"], told["occurrences"], told["example"]["lineNumber"]) for told in processing["errors"]]
    uploaded = attributes["stages"]["upload"]["successCount"]
    return attributes["status"], uploaded, processing["status"], processing["successCount"], errors


def test_products_are_deleted_by_body(sender: Productsup) -> None:
    """Numbers and texts; one that is not there is told later, with its line."""
    stream = _filled(sender)
    body = b'{"id":"1","name":"any"}\n{"id":"unknown"}\n{"id":7824796324}\n'
    answered = sender.request("DELETE", f"/streams/{stream}/products", content=body, headers=NDJSON)
    assert (answered.status_code, answered.headers["content-type"]) == (202, JSON_API)
    assert answered.json()["data"]["attributes"]["status"] == "uploaded"
    assert _held(sender, stream) == ["2", "A/1 ä"]
    assert _told(sender, answered) == ("processed", 3, "warning", 2, [("Product not found", 1, 2)])


@ONE_STORE
@pytest.mark.parametrize("body", [b"", b"{}", b'{"id":34SKJDF42DF}', b"[]"])
def test_a_body_that_names_nothing(sender: Productsup, body: bytes) -> None:
    """422 with a batch document; nothing goes."""
    stream = _filled(sender)
    answered = sender.request("DELETE", f"/streams/{stream}/products", content=body, headers=NDJSON)
    assert (answered.status_code, answered.json()["data"]["attributes"]["status"]) == (422, "failed")
    assert len(_held(sender, stream)) == 4


@pytest.mark.parametrize("type", ["application/x-ndjson; charset=utf-8", "application/json", JSON_API])
def test_all_products_are_deleted(sender: Productsup, type: str) -> None:
    """Whatever type an absent body is said to have; those uploaded later stay."""
    stream = _filled(sender)
    assert len(_held(sender, stream)) == 4
    answered = sender.delete(f"/streams/{stream}/products?all=true", headers={"content-type": type})
    assert answered.status_code == 202
    sender.post(f"/streams/{stream}/products", content=b'{"id":"later"}', headers=NDJSON)
    assert _held(sender, stream) == ["later"]
    assert _told(sender, answered) == ("processed", 4, "success", 4, [])


@ONE_STORE
def test_only_the_literal_true_is_all(sender: Productsup) -> None:
    """Other values are none."""
    stream = _filled(sender)
    assert sender.delete(f"/streams/{stream}/products?all=1").status_code == 422
    assert len(_held(sender, stream)) == 4


@pytest.mark.parametrize(("name", "left"), [("2", 3), ("7824796324", 3), ("A%2F1%20%C3%A4", 3), ("A/1%20%C3%A4", 3)])
def test_one_product_is_deleted(sender: Productsup, name: str, left: int) -> None:
    """Its id decoded once, with slashes and letters of any script."""
    stream = _filled(sender)
    answered = sender.delete(f"/streams/{stream}/products/{name}")
    assert answered.status_code == 202
    assert len(_held(sender, stream)) == left
    assert _told(sender, answered) == ("processed", 1, "success", 1, [])


def test_one_that_is_not_there(sender: Productsup) -> None:
    """202; then the batch has failed."""
    stream = _filled(sender)
    answered = sender.delete(f"/streams/{stream}/products/unknown")
    assert answered.status_code == 202
    assert len(_held(sender, stream)) == 4
    assert _told(sender, answered) == ("failed", 1, "failure", 0, [("Product not found", 1, 1)])


@ONE_STORE
def test_nothing_is_deleted_from_an_unknown_stream(sender: Productsup) -> None:
    """404 by every way."""
    for path in ("/streams/9/products", "/streams/9/products?all=true", "/streams/9/products/1"):
        assert error(sender.delete(path, headers=NDJSON))["title"] == "Stream ID not found"
