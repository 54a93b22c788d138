"""The running protocol held to its contract by a fuzzer: ``GOODSGATE_FUZZ=long`` or ``make fuzz`` for the long form."""

import os
from contextlib import closing

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.specs.openapi.checks import negative_data_rejection

from goodsgate.http.endpoints import load_openapi
from goodsgate.protocols.konnect import __name__ as protocol_package
from tests.protocols.konnect.client import Konnect, load_starter
from tests.protocols.konnect.order_clients import Operator, stocked

LONG = os.environ.get("GOODSGATE_FUZZ") == "long"
HOW = {
    "deadline": None, "suppress_health_check": list(HealthCheck), "database": None, "derandomize": not LONG,
    "phases": (Phase.explicit, Phase.generate, *((Phase.shrink,) if LONG else ())),
}

CONFIG = schemathesis.Config.from_dict({
    "checks": {
        # Wrong credentials are well-formed; a trace that nobody has is, too, and a step that cannot be taken.
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
def asker(gate):
    """One merchant's client with every scope, over a product in stock and some orders."""
    merchant = gate.merchant()
    load_starter(gate, merchant)
    with closing(Konnect(gate, merchant)) as seller, closing(Operator(seller)) as operator:
        stocked(seller)
        for _ in range(3):
            operator.place()
        yield operator


def _hold(asker, case):
    headers = {"x-access-token": asker.headers["x-access-token"]}
    # What is wrong with a record is said of the record, not of the request; parameters nobody knows are passed over;
    # and a single value is as good as a list of one.
    records = case.operation.method.upper() in ("POST", "PUT", "DELETE")
    lenient = any(name not in PLAIN for name in case.query or {})
    excluded = [negative_data_rejection] if records or lenient else None
    case.call_and_validate(base_url=asker.gate.url, headers=headers, timeout=10, excluded_checks=excluded)


@schema.parametrize()
@settings(max_examples=500 if LONG else 4, **HOW)
def test_the_protocol_keeps_its_contract(asker, case):
    """Statuses, media types, bodies and headers of whatever is asked are those that the contract tells."""
    _hold(asker, case)


@pytest.mark.slow
@schema.parametrize()
@settings(max_examples=500, **{**HOW, "derandomize": False})
def test_the_protocol_keeps_its_contract_for_long(asker, case):
    """The same, with other examples every time: 10,000 cases over all operations."""
    _hold(asker, case)
