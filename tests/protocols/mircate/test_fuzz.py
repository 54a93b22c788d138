"""A fuzzer checks the running protocol against its contract; ``GOODSGATE_FUZZ=long`` or ``make fuzz`` runs longer."""

import os

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.specs.openapi.checks import negative_data_rejection

from goodsgate.http.endpoints import load_openapi
from goodsgate.protocols.mircate import __name__ as protocol_package
from tests.protocols.mircate.client import ONE_STORE, Mircate

LONG = os.environ.get("GOODSGATE_FUZZ") == "long"
HOW = {
    "deadline": None, "suppress_health_check": list(HealthCheck), "database": None, "derandomize": not LONG,
    "phases": (Phase.explicit, Phase.generate, *((Phase.shrink,) if LONG else ())),
}
CONFIG = schemathesis.Config.from_dict({
    "checks": {
        # Batches, exports and links that nobody has are well-formed, and so is an order for what is not in stock.
        "positive_data_acceptance": {"expected-statuses": ["2xx", "400", "403", "404", "413", "429"]},
        "not_a_server_error": {"expected-statuses": ["2xx", "3xx", "4xx"]},
    },
})
TAGS = {"supplier", "sales", "service"}
schema = schemathesis.openapi.from_dict(load_openapi(protocol_package).document, config=CONFIG)


def _operations(method: str) -> schemathesis.schemas.BaseSchema:
    """Return the operations of this half of the protocol for one verb."""
    return schema.include(lambda context: (
        context.operation.method.upper() == method
        and bool(TAGS & set(context.operation.definition.raw.get("tags", ())))
    ))


posts, gets = _operations("POST"), _operations("GET")


def _hold(seller: Mircate, case: schemathesis.Case) -> None:
    if "MerchantAPI" in case.path:
        case.path_parameters = {**(case.path_parameters or {}), "instance": seller.merchant}
    # An error of a unit is reported with the unit, and most members of a query are ignored.
    case.call_and_validate(
        base_url=seller.gate.url, headers={"x-api-key": seller.headers["x-api-key"]}, timeout=20,
        excluded_checks=[negative_data_rejection],
    )


@posts.parametrize()
@settings(max_examples=300 if LONG else 2, **HOW)
def test_the_protocol_keeps_its_contract(seller: Mircate, case: schemathesis.Case) -> None:
    """Statuses, media types, bodies and headers are those of the contract."""
    _hold(seller, case)


@ONE_STORE
@gets.parametrize()
@settings(max_examples=300 if LONG else 2, **HOW)
def test_the_protocol_keeps_its_contract_by_get(seller: Mircate, case: schemathesis.Case) -> None:
    """The same holds for GET, for which one kind of store is enough."""
    _hold(seller, case)


@pytest.mark.slow
@posts.parametrize()
@settings(max_examples=300, **{**HOW, "derandomize": False})
def test_the_protocol_keeps_its_contract_for_long(seller: Mircate, case: schemathesis.Case) -> None:
    """The long form uses other examples in each run."""
    _hold(seller, case)
