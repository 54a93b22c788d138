"""openapi.yaml matches the running protocol: the same routes, and valid schemas that answers obey."""

import jsonschema_rs
import pytest

from goodsgate.http.endpoints import load_openapi
from goodsgate.protocols.productsup import __name__ as protocol_package
from tests.http_gate import HttpGate
from tests.protocols.contracts import declared_operations, defined_references, served_operations, used_references
from tests.protocols.productsup.client import ONE_STORE, Productsup

CONTRACT = load_openapi(protocol_package)
DOCUMENT = CONTRACT.document

pytestmark = ONE_STORE


def test_every_route_is_served_and_nothing_else(gate: HttpGate) -> None:
    """The protocol serves exactly the routes of its contract."""
    assert served_operations(gate, "productsup") == declared_operations(CONTRACT)


def test_every_component_is_used_and_none_is_missing(gate: HttpGate) -> None:
    """The contract has no dead schema and no broken reference."""
    used = used_references(CONTRACT)
    assert all(CONTRACT.resolved({"$ref": reference}) is not None for reference in used)
    assert defined_references(CONTRACT) == used


@pytest.mark.parametrize("name", DOCUMENT["components"]["schemas"])
def test_schemas_are_valid(gate: HttpGate, name: str) -> None:
    """Each schema is valid JSON Schema 2020-12."""
    schema = DOCUMENT["components"]["schemas"][name]
    jsonschema_rs.meta.validate({**schema, "$schema": "https://json-schema.org/draft/2020-12/schema"})


def test_the_contract_and_its_page_are_public(sender: Productsup) -> None:
    """Neither needs a token."""
    anonymous = sender.gate.anonymous()
    assert anonymous.get("/streams/openapi.yaml").content == CONTRACT.yaml
    assert anonymous.get("/streams/openapi.json").json() == DOCUMENT
    page = anonymous.get("/docs/productsup")
    assert page.status_code == 200
    assert "/streams/{stream}" in page.text
