"""Deletions by body, of one product and of all products are batches in the order of the uploads."""

import httpx
import pytest

from tests.protocols.productsup.client import JSON_API, ONE_STORE, Productsup, error

NDJSON = {"content-type": "application/x-ndjson"}


def _filled(sender: Productsup) -> str:
    stream = sender.create_stream()
    body = b'{"id":"1"}\n{"id":"2"}\n{"id":7824796324}\n{"id":"A/1 \xc3\xa4"}\n'
    assert sender.post(f"/streams/{stream}/products", content=body, headers=NDJSON).status_code == 202
    return stream


def _product_ids(sender: Productsup, stream: str) -> list[str]:
    sender.gate.shop.work()
    return sorted(sender.gate.shop.items(f"productsup-{stream}", merchant=sender.merchant))


def _summary(sender: Productsup, response: httpx.Response) -> tuple[str, int, str, int, list[tuple[str, int, int]]]:
    """Return the status of the batch, the uploaded count, and the processing stage in short."""
    attributes = sender.get(response.headers["content-location"]).json()["data"]["attributes"]
    processing = attributes["stages"]["processing"]
    errors = [(problem["message"], problem["occurrences"],
        problem["example"]["lineNumber"]) for problem in processing["errors"]]
    uploaded = attributes["stages"]["upload"]["successCount"]
    return attributes["status"], uploaded, processing["status"], processing["successCount"], errors


def test_products_are_deleted_by_body(sender: Productsup) -> None:
    """Ids may be numbers or texts; an unknown id is an error of the processing stage."""
    stream = _filled(sender)
    body = b'{"id":"1","name":"any"}\n{"id":"unknown"}\n{"id":7824796324}\n'
    response = sender.request("DELETE", f"/streams/{stream}/products", content=body, headers=NDJSON)
    assert (response.status_code, response.headers["content-type"]) == (202, JSON_API)
    assert response.json()["data"]["attributes"]["status"] == "uploaded"
    assert _product_ids(sender, stream) == ["2", "A/1 ä"]
    assert _summary(sender, response) == ("processed", 3, "warning", 2, [("Product not found", 1, 2)])


@ONE_STORE
@pytest.mark.parametrize("body", [b"", b"{}", b'{"id":34SKJDF42DF}', b"[]"])
def test_a_body_that_names_nothing(sender: Productsup, body: bytes) -> None:
    """It gets 422 with a batch document, and no product is deleted."""
    stream = _filled(sender)
    response = sender.request("DELETE", f"/streams/{stream}/products", content=body, headers=NDJSON)
    assert (response.status_code, response.json()["data"]["attributes"]["status"]) == (422, "failed")
    assert len(_product_ids(sender, stream)) == 4


def test_a_deletion_of_all_reports_what_it_deleted(sender: Productsup) -> None:
    """Also products that were accepted before and not processed yet."""
    stream = _filled(sender)
    response = sender.delete(f"/streams/{stream}/products?all=true")
    assert _product_ids(sender, stream) == []
    assert _summary(sender, response) == ("processed", 0, "success", 4, [])


@pytest.mark.parametrize("type", ["application/x-ndjson; charset=utf-8", "application/json", JSON_API])
def test_all_products_are_deleted(sender: Productsup, type: str) -> None:
    """The type of an absent body does not matter; products that are uploaded later stay."""
    stream = _filled(sender)
    assert len(_product_ids(sender, stream)) == 4
    response = sender.delete(f"/streams/{stream}/products?all=true", headers={"content-type": type})
    assert response.status_code == 202
    sender.post(f"/streams/{stream}/products", content=b'{"id":"later"}', headers=NDJSON)
    assert _product_ids(sender, stream) == ["later"]
    assert _summary(sender, response) == ("processed", 4, "success", 4, [])


@ONE_STORE
def test_only_the_literal_true_is_all(sender: Productsup) -> None:
    """Other values of `all` do not delete everything."""
    stream = _filled(sender)
    assert sender.delete(f"/streams/{stream}/products?all=1").status_code == 422
    assert len(_product_ids(sender, stream)) == 4


@pytest.mark.parametrize(("name", "left"), [("2", 3), ("7824796324", 3), ("A%2F1%20%C3%A4", 3), ("A/1%20%C3%A4", 3)])
def test_one_product_is_deleted(sender: Productsup, name: str, left: int) -> None:
    """The id is decoded once and may contain slashes and letters of any script."""
    stream = _filled(sender)
    response = sender.delete(f"/streams/{stream}/products/{name}")
    assert response.status_code == 202
    assert len(_product_ids(sender, stream)) == left
    assert _summary(sender, response) == ("processed", 1, "success", 1, [])


def test_an_unknown_product_is_deleted(sender: Productsup) -> None:
    """The answer is 202, and the batch fails."""
    stream = _filled(sender)
    response = sender.delete(f"/streams/{stream}/products/unknown")
    assert response.status_code == 202
    assert len(_product_ids(sender, stream)) == 4
    assert _summary(sender, response) == ("failed", 1, "failure", 0, [("Product not found", 1, 1)])


@ONE_STORE
def test_nothing_is_deleted_from_an_unknown_stream(sender: Productsup) -> None:
    """Every kind of deletion gets 404."""
    for path in ("/streams/9/products", "/streams/9/products?all=true", "/streams/9/products/1"):
        assert error(sender.delete(path, headers=NDJSON))["title"] == "Stream ID not found"
