"""The contradictions of the dossier, section 12, that are of streams; the README has the table of all."""

import re
from importlib.resources import files

from tests.faces.productsup.client import Productsup, error


def test_the_table_names_all_eighteen() -> None:
    """In order, once each."""
    rows = [line.split("|")[1].strip() for line in _readme() if re.match(r"\| C\d", line)]
    assert rows == [f"C{number}" for number in range(1, 19)]


def _readme() -> list[str]:
    return (files("goodsgate.faces.productsup") / "README.md").read_text("utf-8").splitlines()


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
    """They are sent inside."""
    relationships = {"account": {"data": {"type": "account", "id": 123}}}
    stream = {"type": "stream", "attributes": {"name": "Beside", "type": "chunked"}}
    beside = sender.post("/streams", json={"data": stream, "relationships": relationships})
    inside = sender.create("Inside", relationships=relationships)
    for answered in (beside, inside):
        assert answered.status_code == 201
        assert list(answered.json()) == ["data"]
        assert "relationships" in answered.json()["data"]


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
