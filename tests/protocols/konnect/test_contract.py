"""openapi.yaml against the running protocol: the same routes, sound schemas, and codes that are all worded."""

import jsonschema_rs
import pytest

from goodsgate.http.endpoints import load_openapi
from goodsgate.model.issue import CODES
from goodsgate.protocols import load_schemas
from goodsgate.protocols.konnect import __name__ as protocol_package
from goodsgate.protocols.konnect.unpublished import ERROR_CODES
from tests.protocols.contracts import held, named, nodes, promised, served
from tests.protocols.konnect.client import product
from tests.served import Served

CONTRACT = load_openapi(protocol_package)
DOCUMENT = CONTRACT.document


def _check(schema, value):
    jsonschema_rs.Draft202012Validator({**schema, "components": DOCUMENT["components"]}).validate(value)


def test_every_route_is_served_and_nothing_else(gate: Served) -> None:
    """By this protocol."""
    assert served(gate, "konnect") == promised(CONTRACT)


def test_every_component_is_used_and_none_is_missing() -> None:
    """No dead schema."""
    used = named(CONTRACT)
    assert all(CONTRACT.resolved({"$ref": reference}) is not None for reference in used)
    assert held(CONTRACT) == used


@pytest.mark.parametrize("name", DOCUMENT["components"]["schemas"])
def test_schemas_are_sound(name: str) -> None:
    """JSON Schema 2020-12."""
    schema = DOCUMENT["components"]["schemas"][name]
    jsonschema_rs.meta.validate({**schema, "$schema": "https://json-schema.org/draft/2020-12/schema"})


@pytest.mark.parametrize("node", [
    pytest.param(node, id=str(at)) for at, node in enumerate(nodes(DOCUMENT))
    if isinstance(node, dict) and "schema" in node and "example" in node
])
def test_examples_obey_their_schemas(node) -> None:
    """Of parameters and bodies."""
    _check(node["schema"], node["example"])


def test_the_minimal_product_of_the_dossier_obeys_the_schema() -> None:
    """As the tests build it."""
    _check({"$ref": "#/components/schemas/Creation"}, {"template": "footwear", "products": [product(1)]})


def test_every_schema_of_records_is_compiled() -> None:
    """And those that they name are there."""
    schemas = load_schemas()
    mine = {f"konnect/{name}" for name, node in DOCUMENT["components"]["schemas"].items() if "x-record" in node}
    assert mine <= set(schemas)
    assert {schema.merged_schema for schema in schemas.values()} - {None} <= set(schemas)


def test_words_for_errors_are_of_codes_that_there_are() -> None:
    """And those that the contract promises."""
    assert set(ERROR_CODES) <= set(CODES)
    assert {*ERROR_CODES.values(), "FORMAT_ERROR"} == set(DOCUMENT["components"]["schemas"]["ErrorCode"]["enum"])


def test_the_page_of_the_protocol_is_shown(gate: Served) -> None:
    """With the header that carries the token."""
    page = gate.anonymous().get("/docs/konnect")
    assert page.status_code == 200
    assert "x-access-token" in page.text
    assert "trace_id" in page.text
