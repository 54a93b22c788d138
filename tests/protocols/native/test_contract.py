"""openapi.yaml against the running protocol: the same routes, and examples that obey their own schemas."""

import re

import jsonschema_rs
import pytest

from goodsgate.engine.refusal import REFUSALS
from goodsgate.http.endpoints import Endpoint, load_openapi
from goodsgate.http.problems import HTTP_REFUSALS, STATUSES
from goodsgate.model.batch import Kind, Outcome, Result, State, Strictness, Verb
from goodsgate.model.catalogue import REFERENCE_KINDS, Scope
from goodsgate.protocols.native import __name__ as protocol_package

CONTRACT = load_openapi(protocol_package)
DOCUMENT = CONTRACT.document
OPERATIONS = {operation.id: (path, operation) for path in CONTRACT.paths for operation in path.operations.values()}


def test_routes_and_operations_of_the_document_are_the_same(gate):
    """Neither side has more than the other."""
    served = [route.endpoint for route in gate.application.router.routes if isinstance(route.endpoint, Endpoint)]
    routes = [endpoint for endpoint in served if endpoint.protocol == "native"]
    served = {(route.template, operation) for route in routes for operation in route.handlers}
    assert served == {(path.template, operation.id) for path, operation in OPERATIONS.values()}
    assert len(OPERATIONS) == sum(len(path.operations) for path in CONTRACT.paths)


def test_every_handler_has_an_operation(gate):
    """A handler without an operation would never be called."""
    for protocol in gate.application.protocols:
        promised = {operation.id for path in protocol.openapi.paths for operation in path.operations.values()}
        assert set(protocol.handlers) == promised


def _nodes(node, trail=()):
    yield trail, node
    for name, inner in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
        yield from _nodes(inner, (*trail, str(name)))


def test_every_reference_resolves_and_every_component_is_used():
    """No component is missing or unused."""
    used = {node["$ref"] for _, node in _nodes(DOCUMENT) if isinstance(node, dict) and "$ref" in node}
    for reference in used:
        assert CONTRACT.resolved({"$ref": reference}) is not None
    held = {
        f"#/components/{kind}/{name}" for kind, each in DOCUMENT["components"].items()
        if kind != "securitySchemes" for name in each
    }
    assert held == used


def _check(schema, value):
    jsonschema_rs.Draft202012Validator({**schema, "components": DOCUMENT["components"]}).validate(value)


EXAMPLES = [
    ("/".join(trail), node) for trail, node in _nodes(DOCUMENT)
    if isinstance(node, dict) and "schema" in node and ("example" in node or "examples" in node)
]


@pytest.mark.parametrize(("where", "node"), EXAMPLES, ids=[where for where, _ in EXAMPLES])
def test_examples_are_valid(where, node):
    """Parameters and bodies have examples."""
    values = [each["value"] for each in node.get("examples", {}).values()] or [node["example"]]
    for value in values:
        _check(node["schema"], value)


@pytest.mark.parametrize("name", DOCUMENT["components"]["schemas"])
def test_schemas_and_their_examples_are_valid(name):
    """Schemas follow JSON Schema 2020-12."""
    schema = DOCUMENT["components"]["schemas"][name]
    jsonschema_rs.meta.validate({**schema, "$schema": "https://json-schema.org/draft/2020-12/schema"})
    for example in schema.get("examples", []):
        _check(schema, example)


@pytest.mark.parametrize(("schema", "words"), [
    ("Kind", Kind), ("Verb", Verb), ("State", State), ("Outcome", Outcome), ("Result", Result),
    ("Strictness", Strictness),
])
def test_enumerations_are_those_of_the_model(schema, words):
    """The values and their order are the same."""
    assert DOCUMENT["components"]["schemas"][schema]["enum"] == [str(word) for word in words]


def test_scopes_and_reference_kinds_are_those_of_the_model():
    """The document lists all of them."""
    assert DOCUMENT["components"]["schemas"]["Scopes"]["items"]["enum"] == [str(scope) for scope in Scope]
    kinds = OPERATIONS["reference"][0].parameters["kind"].schema["enum"]
    assert kinds == [*REFERENCE_KINDS, "currency", "country", "unit"]


def test_every_problem_code_is_listed_under_its_status():
    """Refusals of other protocols and of the console are not listed."""
    statuses = {"400": "BadRequest", "401": "Unauthorized", "403": "Forbidden", "404": "NotFound", "408": "Stalled",
                "409": "Conflict", "410": "Gone", "413": "TooLarge", "415": "UnknownFormat", "422": "Unprocessable",
                "429": "QueueFull", "500": "Fault", "501": "ExtraMissing", "503": "Busy", "507": "StoreFull"}
    documented = {}
    for status, name in statuses.items():
        for code in re.findall(r"`([a-z_]+)`", DOCUMENT["components"]["responses"][name]["description"]):
            if code in STATUSES:
                documented[code] = int(status)
    beside = {"method_not_allowed", "headers_too_large"}
    elsewhere = {
        "stock_unknown", "stock_conflict", "stock_short", "state_conflict",
    }
    assert documented == {code: status for code, status in STATUSES.items() if code not in beside | elsewhere}
    assert set(STATUSES) == set(REFUSALS) | set(HTTP_REFUSALS)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_operation_lists_its_refusals(operation):
    """These are the ones that any request of its kind can receive."""
    path, found = OPERATIONS[operation]
    node = DOCUMENT["paths"][path.template][found.method.lower()]
    expected = {"400", "500"} | ({"401", "403", "503"} if found.permission else set())
    expected |= {"404"} if path.parameters else set()
    assert expected <= set(node["responses"]), expected - set(node["responses"])
    assert node["summary"]
    assert node["tags"][0] in {tag["name"] for tag in DOCUMENT["tags"]}
