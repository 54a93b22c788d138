"""A fuzzer checks the running protocol against its contract; ``GOODSGATE_FUZZ=long`` or ``make fuzz`` runs longer."""

import os

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from goodsgate.http.endpoints import load_openapi
from goodsgate.protocols.productsup import __name__ as protocol_package
from tests.protocols.productsup.client import PLATFORM, Site, upload

LONG = os.environ.get("GOODSGATE_FUZZ") == "long"
HOW = {
    "deadline": None, "suppress_health_check": list(HealthCheck), "database": None, "derandomize": not LONG,
    "phases": (Phase.explicit, Phase.generate, *((Phase.shrink,) if LONG else ())),
}
CONFIG = schemathesis.Config.from_dict({
    "checks": {
        # A name may be taken or hold what no name may; a stream may not be there; an id may be given.
        "positive_data_acceptance": {"expected-statuses": ["2xx", "403", "404", "409", "413", "415", "422"]},
        "not_a_server_error": {"expected-statuses": ["2xx", "3xx", "4xx"]},
    },
})
FEED = "application/x-ndjson"
KNOWN = ("page[limit]", "page[offset]", "all")
schema = schemathesis.openapi.from_dict(load_openapi(protocol_package).document, config=CONFIG)


@schemathesis.serializer(FEED)
def _as_text(context, value):
    return {"data": value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")}


def _site(sender):
    """Return the id of a site that has something to import and something to report."""
    sites = sender.get(f"{PLATFORM}/sites").json()["Sites"]
    if not sites:
        site, streams = Site(sender), sender.get("/streams").json()["data"]
        stream = streams[0]["id"] if streams else sender.create_stream("Fuzzed")
        site.source(stream)
        upload(sender, stream, b'{"id":"1"}\n{"id":" "}')
        site.start()
        sender.gate.shop.work()
        return site.id
    return int(sites[0]["id"])


def _hold(sender, case):
    feed = case.path.endswith("/products")
    if feed:
        case.path_parameters["stream"] = sender.get("/streams").json()["meta"]["total"] or sender.create_stream()
    if case.path_parameters.get("site") and case.meta.generation.mode.is_positive:
        case.path_parameters["site"] = _site(sender)
    headers = {"Authorization": sender.headers["authorization"]}
    unknown = any(name not in KNOWN for name in case.query or {})  # such parameters are passed over
    # A feed may hold anything: what is wrong with it is said of its lines, not of the request.
    excluded = [negative_data_rejection] if unknown or feed else []
    if isinstance(case.body, dict) and "import_schedule" in case.body:
        excluded.append(positive_data_acceptance)  # what a cron entry may be is more than a pattern says
    case.call_and_validate(base_url=sender.gate.url, headers=headers, timeout=10, excluded_checks=excluded or None)


@schema.parametrize()
@settings(max_examples=500 if LONG else 5, **HOW)
def test_the_protocol_keeps_its_contract(sender, case):
    """Statuses, media types, bodies and headers are those of the contract."""
    _hold(sender, case)


@pytest.mark.slow
@schema.parametrize()
@settings(max_examples=500, **{**HOW, "derandomize": False})
def test_the_protocol_keeps_its_contract_for_long(sender, case):
    """The long form uses other examples in each run."""
    _hold(sender, case)
