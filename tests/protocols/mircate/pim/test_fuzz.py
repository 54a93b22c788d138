"""A fuzzer checks product information against its contract; ``GOODSGATE_FUZZ=long`` or ``make fuzz`` runs longer."""

import os

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.specs.openapi.checks import negative_data_rejection

from goodsgate.http.endpoints import load_openapi
from goodsgate.protocols.mircate import __name__ as protocol_package
from tests.protocols.mircate.client import ONE_STORE
from tests.protocols.mircate.pim.client import Manager

LONG = os.environ.get("GOODSGATE_FUZZ") == "long"
HOW = {
    "deadline": None, "suppress_health_check": list(HealthCheck), "database": None, "derandomize": not LONG,
    "phases": (Phase.explicit, Phase.generate, *((Phase.shrink,) if LONG else ())),
}
CONFIG = schemathesis.Config.from_dict({
    "checks": {
        # What nobody has is well-formed, and so is what something is wrong with.
        "positive_data_acceptance": {"expected-statuses": ["2xx", "400", "403", "404", "413"]},
        "not_a_server_error": {"expected-statuses": ["2xx", "3xx", "4xx"]},
    },
})
CONTRACT = load_openapi(protocol_package)
TAGS = {"products", "settings", "images", "shared"}
METHODS = {"GET", "POST"} if LONG else {"POST"}
"""A GET carries the same arguments in another place, of which the long form has its fill."""


def _operations(methods: set[str]) -> schemathesis.BaseSchema:
    """Return the operations of product information with these methods."""
    return schemathesis.openapi.from_dict(CONTRACT.document, config=CONFIG).include(
        lambda context: context.operation.method.upper() in methods
        and bool(TAGS & set(context.operation.definition.raw.get("tags", ())))
    )


short, long = _operations(METHODS), _operations({"GET", "POST"})


def _hold(manager: Manager, case: schemathesis.Case) -> None:
    case.path_parameters = {**(case.path_parameters or {}), "instance": manager.merchant}
    # An error of a record is reported with the record, and most members of a query are ignored.
    case.call_and_validate(
        base_url=manager.gate.url, headers={"x-api-key": manager.headers["x-api-key"]}, timeout=20,
        excluded_checks=[negative_data_rejection],
    )


@ONE_STORE
@short.parametrize()
@settings(max_examples=300 if LONG else 2, **HOW)
def test_the_operations_keep_their_contract(manager: Manager, case: schemathesis.Case) -> None:
    """Statuses, media types, bodies and headers are those of the contract."""
    _hold(manager, case)


@pytest.mark.slow
@long.parametrize()
@settings(max_examples=300, **{**HOW, "derandomize": False})
def test_the_operations_keep_their_contract_for_long(manager: Manager, case: schemathesis.Case) -> None:
    """The long form uses other examples in each run."""
    _hold(manager, case)
