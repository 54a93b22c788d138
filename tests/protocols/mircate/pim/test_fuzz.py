"""A fuzzer checks product information against its contract; ``GOODSGATE_TEST_FUZZ=long`` tries more."""

import schemathesis
from schemathesis.specs.openapi.checks import negative_data_rejection

from goodsgate.protocols.mircate import __name__ as protocol_package
from tests.protocols.fuzzing import LONG, examples, load_schema
from tests.protocols.mircate.client import ONE_STORE
from tests.protocols.mircate.pim.client import Manager

TAGS = {"products", "settings", "images", "shared"}
METHODS = {"GET", "POST"} if LONG else {"POST"}
"""A GET carries the same arguments in the query; the long form covers it."""
operations = load_schema(protocol_package, {
    # Requests for what nobody has are well-formed, and so are records with errors.
    "positive_data_acceptance": {"expected-statuses": ["2xx", "400", "403", "404", "413"]},
}).include(
    lambda context: context.operation.method.upper() in METHODS
    and bool(TAGS & set(context.operation.definition.raw.get("tags", ())))
)


@ONE_STORE
@operations.parametrize()
@examples(2, long=300)
def test_the_operations_keep_their_contract(manager: Manager, case: schemathesis.Case) -> None:
    """Statuses, media types, bodies and headers are those of the contract."""
    case.path_parameters = {**(case.path_parameters or {}), "instance": manager.merchant}
    # An error of a record is reported with the record, and most members of a query are ignored.
    case.call_and_validate(
        base_url=manager.gate.url, headers={"x-api-key": manager.headers["x-api-key"]}, timeout=20,
        excluded_checks=[negative_data_rejection],
    )
