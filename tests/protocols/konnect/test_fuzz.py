"""A fuzzer checks the running protocol against its contract; ``GOODSGATE_TEST_FUZZ=long`` tries more."""

from contextlib import closing

import pytest
from schemathesis.specs.openapi.checks import negative_data_rejection

from goodsgate.http.endpoints import load_openapi
from goodsgate.protocols.konnect import __name__ as protocol_package
from tests.protocols.fuzzing import examples, load_schema
from tests.protocols.konnect.client import Konnect, load_starter
from tests.protocols.konnect.order_clients import Operator, create_with_stock

CHECKS = {
    # Wrong credentials, unknown trace ids and impossible transitions are well-formed requests.
    "positive_data_acceptance": {"expected-statuses": ["2xx", "400", "401", "404", "409", "413"]},
}
CONTRACT = load_openapi(protocol_package)
schema = load_schema(protocol_package, CHECKS)
OPERATIONS = [operation for path in CONTRACT.paths for operation in path.operations.values()]
PLAIN = {
    name for operation in OPERATIONS for name, parameter in operation.parameters.items()
    if parameter.schema["type"] != "array"
}


@pytest.fixture(scope="module")
def admin_client(gate):
    """A client with every scope, over a product in stock and some orders."""
    merchant = gate.merchant()
    load_starter(gate, merchant)
    with closing(Konnect(gate, merchant)) as seller, closing(Operator(seller)) as operator:
        create_with_stock(seller)
        for _ in range(3):
            operator.place()
        yield operator


def _check(admin_client, case):
    headers = {"x-access-token": admin_client.headers["x-access-token"]}
    # Errors of records do not refuse the request, unknown and empty parameters are ignored, a single value counts as a
    # list of one, and booleans may be written in other ways.
    records = case.operation.method.upper() in ("POST", "PUT", "DELETE")
    lenient = any(
        name not in PLAIN or str(value).lower() in ("", "true", "false", "1", "0")
        for name, value in (case.query or {}).items()
    )
    excluded = [negative_data_rejection] if records or lenient else None
    case.call_and_validate(base_url=admin_client.gate.url, headers=headers, timeout=10, excluded_checks=excluded)


@schema.parametrize()
@examples(4, long=500)
def test_answers_match_the_contract(admin_client, case):
    """Status, media type, body and headers of every answer are documented."""
    _check(admin_client, case)
