"""The running protocol against its contract, by a fuzzer; ``make fuzz`` or ``GOODSGATE_FUZZ=long`` runs it longer."""

import os
from contextlib import closing

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.specs.openapi.checks import negative_data_rejection

from goodsgate.http.endpoints import load_openapi
from goodsgate.protocols.konnect import __name__ as protocol_package
from tests.protocols.konnect.client import Konnect, load_starter
from tests.protocols.konnect.order_clients import Operator, create_with_stock

LONG = os.environ.get("GOODSGATE_FUZZ") == "long"
HOW = {
    "deadline": None, "suppress_health_check": list(HealthCheck), "database": None, "derandomize": not LONG,
    "phases": (Phase.explicit, Phase.generate, *((Phase.shrink,) if LONG else ())),
}

CONFIG = schemathesis.Config.from_dict({
    "checks": {
        # Wrong credentials, unknown trace ids and impossible transitions are well-formed requests.
        "positive_data_acceptance": {"expected-statuses": ["2xx", "400", "401", "404", "409", "413"]},
        "not_a_server_error": {"expected-statuses": ["2xx", "3xx", "4xx"]},
    },
})
CONTRACT = load_openapi(protocol_package)
schema = schemathesis.openapi.from_dict(CONTRACT.document, config=CONFIG)
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
    # Errors of records do not refuse the request, unknown parameters are ignored, and a single value counts as a list
    # of one.
    records = case.operation.method.upper() in ("POST", "PUT", "DELETE")
    lenient = any(name not in PLAIN for name in case.query or {})
    excluded = [negative_data_rejection] if records or lenient else None
    case.call_and_validate(base_url=admin_client.gate.url, headers=headers, timeout=10, excluded_checks=excluded)


@schema.parametrize()
@settings(max_examples=500 if LONG else 4, **HOW)
def test_answers_match_the_contract(admin_client, case):
    """Status, media type, body and headers of every answer are documented."""
    _check(admin_client, case)


@pytest.mark.slow
@schema.parametrize()
@settings(max_examples=500, **{**HOW, "derandomize": False})
def test_answers_match_the_contract_for_many_examples(admin_client, case):
    """Each run has other examples: 10,000 cases over all operations."""
    _check(admin_client, case)
