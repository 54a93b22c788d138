"""The running protocol held to its contract by a fuzzer: ``GOODSGATE_FUZZ=long`` or ``make fuzz`` for the long form."""

import os
import zlib

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.specs.openapi.checks import negative_data_rejection

from goodsgate.http.endpoints import load_openapi
from goodsgate.protocols.native import __name__ as protocol_package
from tests import make
from tests.shop import ndjson

LONG = os.environ.get("GOODSGATE_FUZZ") == "long"
HOW = {
    "deadline": None, "suppress_health_check": list(HealthCheck), "database": None, "derandomize": not LONG,
    "phases": (Phase.explicit, Phase.generate, *((Phase.shrink,) if LONG else ())),
}

CONFIG = schemathesis.Config.from_dict({
    "checks": {
        # mode=full refuses other verbs, and a saved mapping must be there: combinations that a schema cannot tell.
        "positive_data_acceptance": {"expected-statuses": ["2xx", "3xx", "400", "404", "409", "415", "422"]},
        "not_a_server_error": {"expected-statuses": ["2xx", "3xx", "4xx"]},
    },
})
schema = schemathesis.openapi.from_dict(load_openapi(protocol_package).document, config=CONFIG)


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
    batch = client.submit(ndjson([make.product(1), make.product(2, price="cheap")]))
    client.put("/v1/mappings/werk", json={"a": ["id"]})
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
    feed = case.media_type in FEEDS or case.operation.definition.raw["operationId"] in ("submit", "fix")
    excluded = [negative_data_rejection] if feed and case.media_type else None
    case.call_and_validate(base_url=gate.url, headers=headers, timeout=10, excluded_checks=excluded)


@schema.parametrize()
@settings(max_examples=200 if LONG else 10, **HOW)
def test_the_protocol_keeps_its_contract(gate, held, case):
    """Statuses, media types, bodies and headers of whatever is asked are those that the contract tells."""
    _hold(gate, held, case)


@pytest.mark.slow
@schema.parametrize()
@settings(max_examples=200, **{**HOW, "derandomize": False})
def test_the_protocol_keeps_its_contract_for_long(gate, held, case):
    """The same, with other examples every time."""
    _hold(gate, held, case)
