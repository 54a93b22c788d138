"""openapi.yaml matches the running protocol: the same routes by both verbs, valid schemas, and existing issue codes."""

import jsonschema_rs
import pytest

from goodsgate.http.endpoints import Endpoint, load_openapi
from goodsgate.model.issue import CODES
from goodsgate.protocols import ProtocolSchemas
from goodsgate.protocols.mircate import __name__ as protocol_package
from goodsgate.protocols.mircate.unpublished import ALIASES, MESSAGES
from tests.http_gate import HttpGate
from tests.protocols.contracts import defined_references, used_references
from tests.protocols.mircate.client import ONE_STORE, Mircate

CONTRACT = load_openapi(protocol_package)
DOCUMENT = CONTRACT.document
CALLS = {template: node for template, node in DOCUMENT["paths"].items() if "/CALL/" in template}

pytestmark = ONE_STORE


def test_every_route_is_served_and_nothing_else(gate: HttpGate) -> None:
    """The protocol serves its published names and the built-in aliases."""
    served = [route.endpoint for route in gate.application.router.routes if isinstance(route.endpoint, Endpoint)]
    mine = [endpoint for endpoint in served if endpoint.protocol == "mircate"]
    promised = {path.template: {each.id for each in path.operations.values()} for path in CONTRACT.paths}
    for name, request in ALIASES.items():
        known = f"/{{project}}/CALL/{request}/{{instance}}"
        promised[known.replace(request, name)] = promised[known]
    assert {endpoint.template: set(endpoint.handlers) for endpoint in mine} == promised


@pytest.mark.parametrize("template", CALLS)
def test_a_call_has_both_verbs(gate: HttpGate, template: str) -> None:
    """Both have the same responses and the same scope; their ids differ in the suffix."""
    post, get = CALLS[template]["post"], CALLS[template]["get"]
    assert get["operationId"] == f"{post['operationId']}_get"
    same = ("tags", "summary", "security", "responses")
    assert {name: post.get(name) for name in same} == {name: get.get(name) for name in same}
    assert "requestBody" not in get


def test_every_component_is_used_and_none_is_missing(gate: HttpGate) -> None:
    """The contract has no dead schema and no broken reference."""
    used = used_references(CONTRACT)
    assert all(CONTRACT.resolved({"$ref": reference}) is not None for reference in used)
    # Records of this protocol's own vocabulary that no request holds as they are.
    records = {
        f"#/components/schemas/{name}" for name, node in DOCUMENT["components"]["schemas"].items() if "x-record" in node
    }
    there = defined_references(CONTRACT)
    assert there - records <= used <= there


@pytest.mark.parametrize("name", DOCUMENT["components"]["schemas"])
def test_schemas_are_valid(gate: HttpGate, name: str) -> None:
    """Each schema is valid JSON Schema 2020-12."""
    schema = DOCUMENT["components"]["schemas"][name]
    jsonschema_rs.meta.validate({**schema, "$schema": "https://json-schema.org/draft/2020-12/schema"})


def test_every_schema_of_records_is_compiled(gate: HttpGate) -> None:
    """This covers the schemas of all parts of the contract."""
    mine = {f"mircate/{name}" for name, node in DOCUMENT["components"]["schemas"].items() if "x-record" in node}
    assert {"mircate/StockUnit", "mircate/PriceUnit", "mircate/UnitRemoval"} <= mine <= set(ProtocolSchemas())


def test_messages_have_existing_issue_codes(gate: HttpGate) -> None:
    """Each message replaces that of an issue the gate can report."""
    assert set(MESSAGES) <= set(CODES)


def test_the_contract_and_its_page_are_public(seller: Mircate) -> None:
    """The contract is served in one piece, although it is written in several."""
    anonymous = seller.gate.anonymous()
    assert anonymous.get("/mircate/openapi.yaml").content == CONTRACT.yaml
    assert anonymous.get("/mircate/openapi.json").json() == DOCUMENT
    page = anonymous.get("/docs/mircate")
    assert page.status_code == 200
    for template in ("/{project}/CALL/MerchantAPI/reserveStock/{instance}", "PIMAPI/getProducts"):
        assert template in page.text
