"""A fuzzer checks the running protocol against its contract; ``GOODSGATE_TEST_FUZZ=long`` tries more."""

import schemathesis
from schemathesis.specs.openapi.checks import negative_data_rejection

from goodsgate.protocols.mircate import __name__ as protocol_package
from tests.protocols.fuzzing import examples, load_schema
from tests.protocols.mircate.client import ONE_STORE, Mircate

CHECKS = {
    # Batches, exports and links that nobody has are well-formed, and so is an order for what is not in stock.
    "positive_data_acceptance": {"expected-statuses": ["2xx", "400", "403", "404", "413", "429"]},
}
TAGS = {"supplier", "sales", "service"}
schema = load_schema(protocol_package, CHECKS)


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
@examples(2, long=300)
def test_the_protocol_keeps_its_contract(seller: Mircate, case: schemathesis.Case) -> None:
    """Statuses, media types, bodies and headers are those of the contract."""
    _hold(seller, case)


@ONE_STORE
@gets.parametrize()
@examples(2, long=300)
def test_the_protocol_keeps_its_contract_by_get(seller: Mircate, case: schemathesis.Case) -> None:
    """The same holds for GET, for which one kind of store is enough."""
    _hold(seller, case)
