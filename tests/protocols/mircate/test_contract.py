"""openapi.yaml against the running protocol: the same routes by both verbs, sound schemas, and codes that there are."""

import jsonschema_rs
import pytest

from goodsgate.http.endpoints import Endpoint, load_openapi
from goodsgate.model.issue import CODES
from goodsgate.protocols import load_schemas
from goodsgate.protocols.mircate import __name__ as protocol_package
from goodsgate.protocols.mircate.unpublished import ALIASES, MESSAGES
from tests.protocols.contracts import held, named
from tests.protocols.mircate.client import ONE_STORE, Mircate
from tests.served import Served

CONTRACT = load_openapi(protocol_package)
DOCUMENT = CONTRACT.document
CALLS = {template: node for template, node in DOCUMENT["paths"].items() if "/CALL/" in template}

pytestmark = ONE_STORE


def test_every_route_is_served_and_nothing_else(gate: Served) -> None:
    """By this protocol, under its names and the aliases that are built in."""
    served = [route.endpoint for route in gate.application.router.routes if isinstance(route.endpoint, Endpoint)]
    mine = [endpoint for endpoint in served if endpoint.protocol == "mircate"]
    promised = {path.template: {each.id for each in path.operations.values()} for path in CONTRACT.paths}
    for name, request in ALIASES.items():
        known = f"/{{project}}/CALL/{request}/{{instance}}"
        promised[known.replace(request, name)] = promised[known]
    assert {endpoint.template: set(endpoint.handlers) for endpoint in mine} == promised


@pytest.mark.parametrize("template", CALLS)
def test_a_call_is_made_by_either_verb(gate: Served, template: str) -> None:
    """With the same answers and the same scope; the ids differ by what is behind them."""
    post, get = CALLS[template]["post"], CALLS[template]["get"]
    assert get["operationId"] == f"{post['operationId']}_get"
    same = ("tags", "summary", "security", "responses")
    assert {name: post.get(name) for name in same} == {name: get.get(name) for name in same}
    assert "requestBody" not in get


def test_every_component_is_used_and_none_is_missing(gate: Served) -> None:
    """No dead schema."""
    used = named(CONTRACT)
    assert all(CONTRACT.resolved({"$ref": reference}) is not None for reference in used)
    # Records of this protocol's own vocabulary that no request holds as they are.
    records = {
        f"#/components/schemas/{name}" for name, node in DOCUMENT["components"]["schemas"].items() if "x-record" in node
    }
    there = held(CONTRACT)
    assert there - records <= used <= there


@pytest.mark.parametrize("name", DOCUMENT["components"]["schemas"])
def test_schemas_are_sound(gate: Served, name: str) -> None:
    """JSON Schema 2020-12."""
    schema = DOCUMENT["components"]["schemas"][name]
    jsonschema_rs.meta.validate({**schema, "$schema": "https://json-schema.org/draft/2020-12/schema"})


def test_every_schema_of_records_is_compiled(gate: Served) -> None:
    """Those of all its parts."""
    mine = {f"mircate/{name}" for name, node in DOCUMENT["components"]["schemas"].items() if "x-record" in node}
    assert {"mircate/StockUnit", "mircate/PriceUnit", "mircate/UnitRemoval"} <= mine <= set(load_schemas())


def test_words_for_issues_are_of_codes_that_there_are(gate: Served) -> None:
    """And the contract and its page are shown to everybody."""
    assert set(MESSAGES) <= set(CODES)


def test_the_contract_and_its_page_are_shown(seller: Mircate) -> None:
    """To everybody; in one piece, though it is written in several."""
    anonymous = seller.gate.anonymous()
    assert anonymous.get("/mircate/openapi.yaml").content == CONTRACT.yaml
    assert anonymous.get("/mircate/openapi.json").json() == DOCUMENT
    page = anonymous.get("/docs/mircate")
    assert page.status_code == 200
    for template in ("/{project}/CALL/MerchantAPI/reserveStock/{instance}", "PIMAPI/getProducts"):
        assert template in page.text
