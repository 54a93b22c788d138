"""The OpenAPI document and the running protocol: the same routes, valid schemas, known codes."""

import jsonschema_rs
import pytest

from goodsgate.http.endpoints import load_openapi
from goodsgate.model.issue import CODES
from goodsgate.protocols import ProtocolSchemas
from goodsgate.protocols.konnect import __name__ as protocol_package
from goodsgate.protocols.konnect.unpublished import ERROR_CODES
from tests.http_gate import HttpGate
from tests.protocols.contracts import declared_operations, defined_references, nodes, served_operations, used_references
from tests.protocols.konnect.client import product

CONTRACT = load_openapi(protocol_package)
DOCUMENT = CONTRACT.document


def _check(schema, value):
    jsonschema_rs.Draft202012Validator({**schema, "components": DOCUMENT["components"]}).validate(value)


def test_the_protocol_serves_exactly_the_documented_routes(gate: HttpGate) -> None:
    """No route is missing and none is undocumented."""
    assert served_operations(gate, "konnect") == declared_operations(CONTRACT)


def test_every_component_is_defined_and_used() -> None:
    """There are no unused components and no broken references."""
    used = used_references(CONTRACT)
    assert all(CONTRACT.resolved({"$ref": reference}) is not None for reference in used)
    schemas = CONTRACT.document["components"]["schemas"]
    of_records = {f"#/components/schemas/{name}" for name, schema in schemas.items() if "x-record" in schema}
    assert defined_references(CONTRACT) - of_records == used - of_records


@pytest.mark.parametrize("name", DOCUMENT["components"]["schemas"])
def test_schemas_are_valid_json_schemas(name: str) -> None:
    """Each schema follows JSON Schema 2020-12."""
    schema = DOCUMENT["components"]["schemas"][name]
    jsonschema_rs.meta.validate({**schema, "$schema": "https://json-schema.org/draft/2020-12/schema"})


@pytest.mark.parametrize("node", [
    pytest.param(node, id=str(at)) for at, node in enumerate(nodes(DOCUMENT))
    if isinstance(node, dict) and "schema" in node and "example" in node
])
def test_examples_match_their_schemas(node) -> None:
    """This covers the examples of parameters and of bodies."""
    _check(node["schema"], node["example"])


def test_the_minimal_product_of_the_dossier_matches_the_schema() -> None:
    """The other tests build on this product."""
    _check({"$ref": "#/components/schemas/Creation"}, {"template": "footwear", "products": [product(1)]})


def test_every_record_schema_is_compiled() -> None:
    """The schemas that they refer to are compiled as well."""
    schemas = ProtocolSchemas()
    mine = {f"konnect/{name}" for name, node in DOCUMENT["components"]["schemas"].items() if "x-record" in node}
    assert mine <= set(schemas)
    assert {schema.merged_schema for schema in schemas.values()} - {None} <= set(schemas)


def test_every_error_code_belongs_to_an_existing_issue_code() -> None:
    """The contract lists the same error codes."""
    assert set(ERROR_CODES) <= set(CODES)
    assert {*ERROR_CODES.values(), "FORMAT_ERROR"} == set(DOCUMENT["components"]["schemas"]["ErrorCode"]["enum"])


def test_the_documentation_page_shows_the_protocol(gate: HttpGate) -> None:
    """It names the header that carries the token."""
    page = gate.anonymous().get("/docs/konnect")
    assert page.status_code == 200
    assert "x-access-token" in page.text
    assert "trace_id" in page.text
