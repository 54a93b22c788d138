"""A fuzzer checks the running protocol against its contract; ``GOODSGATE_TEST_FUZZ=long`` tries more."""

import zlib

import pytest
import schemathesis
from schemathesis.specs.openapi.checks import negative_data_rejection

from goodsgate.protocols.native import __name__ as protocol_package
from tests import factories
from tests.protocols.fuzzing import examples, load_schema
from tests.shop import ndjson

CHECKS = {
    # mode=full refuses other verbs, and a saved profile must be there: combinations that a schema cannot tell.
    "positive_data_acceptance": {"expected-statuses": ["2xx", "3xx", "400", "404", "409", "415", "422"]},
}
schema = load_schema(protocol_package, CHECKS)


def _as_text(context, value):
    return {"data": value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")}


FEEDS = (
    "application/x-ndjson", "text/csv", "text/tab-separated-values",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
)
for media_type in FEEDS:
    schemathesis.serializer(media_type)(_as_text)


@pytest.fixture(scope="module")
def held(gate):
    """A client with every scope, and the id of a batch that has something in it."""
    client = gate.client(None, "submit", "read", "admin")
    batch = client.submit(ndjson([factories.product(1), factories.product(2, price="cheap")]))
    client.put("/v1/profiles/werk", json={"map": {"a": ["id"]}})
    return client, str(batch["id"])


def _hold(gate, held, case):
    client, batch = held
    if "batch" in case.path_parameters and zlib.crc32(repr(case.query).encode()) % 2:
        case.path_parameters["batch"] = batch
    headers = {"Authorization": f"Bearer {client.secret}"}
    wait = case.query.get("wait")
    if isinstance(wait, int | float) and 0 < wait <= 60:
        case.query["wait"] = wait / 1e4
    # A feed may hold anything: what is wrong with it is said of its records, not of the request.
    operation = case.operation.definition.raw["operationId"]
    feed = case.media_type in FEEDS or operation in ("submit", "inspect", "fix", "preview_fix")
    excluded = [negative_data_rejection] if feed and case.media_type else None
    case.call_and_validate(base_url=gate.url, headers=headers, timeout=10, excluded_checks=excluded)


@schema.parametrize()
@examples(10, long=200)
def test_the_protocol_keeps_its_contract(gate, held, case):
    """Statuses, media types, bodies and headers of whatever is asked are those that the contract tells."""
    _hold(gate, held, case)
