"""openapi.yaml matches the running protocol: the same routes, valid schemas, complete report codes."""

import jsonschema_rs
import pytest

from goodsgate.http.endpoints import load_openapi
from goodsgate.model.issue import CODES
from goodsgate.protocols import ProtocolSchemas
from goodsgate.protocols.justwalkout import MERCHANT_RULES, unpublished
from goodsgate.protocols.justwalkout import __name__ as protocol_package
from tests.http_gate import HttpGate
from tests.protocols.contracts import declared_operations, defined_references, served_operations, used_references
from tests.protocols.justwalkout.client import ONE_STORE, JustWalkOut, item

CONTRACT = load_openapi(protocol_package)
DOCUMENT = CONTRACT.document

pytestmark = ONE_STORE


def _check(schema, value):
    jsonschema_rs.Draft202012Validator({**schema, "components": DOCUMENT["components"]}).validate(value)


def test_every_route_is_served_and_nothing_else(gate: HttpGate) -> None:
    """The protocol serves exactly the routes of its contract."""
    assert served_operations(gate, "justwalkout") == declared_operations(CONTRACT)


def test_every_component_is_used_and_none_is_missing(gate: HttpGate) -> None:
    """The contract has no dead schema, except for a record that no request contains."""
    used = used_references(CONTRACT)
    assert all(CONTRACT.resolved({"$ref": reference}) is not None for reference in used)
    assert defined_references(CONTRACT) == used | {"#/components/schemas/Archival"}


@pytest.mark.parametrize("name", DOCUMENT["components"]["schemas"])
def test_schemas_are_valid(gate: HttpGate, name: str) -> None:
    """Each schema is valid JSON Schema 2020-12."""
    schema = DOCUMENT["components"]["schemas"][name]
    jsonschema_rs.meta.validate({**schema, "$schema": "https://json-schema.org/draft/2020-12/schema"})


def test_every_schema_of_records_is_compiled(gate: HttpGate) -> None:
    """Each has the merchant rules of the protocol."""
    schemas = ProtocolSchemas()
    mine = {f"justwalkout/{name}" for name, node in DOCUMENT["components"]["schemas"].items() if "x-record" in node}
    assert mine == set(MERCHANT_RULES)
    assert all(schemas[name].merchant_rules is MERCHANT_RULES[name] for name in mine)


def test_every_issue_code_has_a_report_code(gate: HttpGate) -> None:
    """This holds for issues of any member."""
    words = set(DOCUMENT["components"]["schemas"]["ReportCode"]["enum"])
    paths = ("", "/item_sku", "/item_name", "/standard_price", "/external_product_id", "/brand_name")
    codes = {unpublished.report_code(code, path) for code in CODES for path in paths}
    assert codes | {"ALREADY_ARCHIVED"} == words


def test_reports_obey_their_schema(retailer: JustWalkOut) -> None:
    """This covers an upload with all kinds of errors, and an archive."""
    schema = {"$ref": "#/components/schemas/Report"}
    uploaded = retailer.upload(
        item(1), item(1), item(2, item_name="\u00e9", standard_price="x", external_product_id="1"),
        item(3, " STORE-1".strip(), item_sku=" "),
    )
    _check(schema, retailer.report(uploaded))
    _check(schema, retailer.report(retailer.archive("SKU-1", "SKU-9")))


def test_the_contract_and_its_page_are_public(gate: HttpGate) -> None:
    """Neither needs a key."""
    anonymous = gate.anonymous()
    assert anonymous.get("/v1/catalog/openapi.yaml").content == CONTRACT.yaml
    assert anonymous.get("/v1/catalog/openapi.json").json() == DOCUMENT
    page = anonymous.get("/docs/justwalkout")
    assert page.status_code == 200
    assert "/v1/catalog/getCatalogUploadStatus" in page.text
