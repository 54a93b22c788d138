"""A fuzzer checks the running protocol against its contract; ``GOODSGATE_TEST_FUZZ=long`` tries more."""

import json

import schemathesis
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from goodsgate.protocols.productsup import __name__ as protocol_package
from tests.protocols.fuzzing import examples, load_schema
from tests.protocols.productsup.client import PLATFORM, Site, upload

CHECKS = {
    # A name may be taken or hold what no name may; a stream may not be there; an id may be given.
    "positive_data_acceptance": {"expected-statuses": ["2xx", "403", "404", "409", "413", "415", "422"]},
}
FEED = "application/x-ndjson"
KNOWN = ("page[limit]", "page[offset]", "all")
schema = load_schema(protocol_package, CHECKS)


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
    if b"\\u0000" in json.dumps(case.body, default=repr).encode():
        excluded.append(positive_data_acceptance)  # no text may hold it, also where the contract says nothing
    case.call_and_validate(base_url=sender.gate.url, headers=headers, timeout=10, excluded_checks=excluded or None)


@schema.parametrize()
@examples(5, long=500)
def test_the_protocol_keeps_its_contract(sender, case):
    """Statuses, media types, bodies and headers are those of the contract."""
    _hold(sender, case)
