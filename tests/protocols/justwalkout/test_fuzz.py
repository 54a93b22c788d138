"""A fuzzer checks the running protocol against its contract; ``GOODSGATE_TEST_FUZZ=long`` tries more."""


import pytest
from requests.auth import AuthBase
from schemathesis.specs.openapi.checks import negative_data_rejection

from goodsgate.http.endpoints import load_openapi
from goodsgate.protocols.justwalkout import __name__ as protocol_package
from tests.protocols.fuzzing import examples, load_schema
from tests.protocols.justwalkout.client import ONE_STORE

CHECKS = {
    # An ingestion that nobody has, a store that is not the merchant's, a link that is not signed: all well-formed.
    "positive_data_acceptance": {"expected-statuses": ["2xx", "400", "403", "404", "429"]},
    "negative_data_rejection": {"expected-statuses": ["400", "401", "403", "404", "408", "413", "429"]},
    # There is no 401 and no 405: the platform says 403 to both.
    "missing_required_header": {"enabled": False},
    "unsupported_method": {"enabled": False},
    "ignored_auth": {"enabled": False},
}
CONTRACT = load_openapi(protocol_package)
schema = load_schema(protocol_package, CHECKS)
SIGNED = ("upload", "upload_cart", "archive", "upload_status")


class RequestSigner(AuthBase):
    """Signs each request as it is sent."""

    def __init__(self, retailer):
        self._retailer = retailer

    def __call__(self, request):
        """Return the request with its signature."""
        body = request.body.encode() if isinstance(request.body, str) else request.body or b""
        media_type = request.headers.get("content-type", "application/json")
        request.headers.update(self._retailer.sign(request.path_url, body, **{"content-type": media_type}))
        return request


def _check_case(retailer, case):
    """Sign the request as the platform requires; setup operations use a key of the gate."""
    name = case.operation.definition.raw["operationId"]
    unsigned = getattr(case.meta.phase.data, "parameter", None) == "Authorization"
    bearer = {"headers": {"authorization": f"Bearer {retailer.admin}"}}
    how = {"auth": RequestSigner(retailer)} if name in SIGNED else bearer
    how = {} if unsigned else how
    # Links and parameters that nobody knows are answered like any other; so is whatever a method may not be.
    lenient = name == "report" or bool(case.query)
    excluded = [negative_data_rejection] if lenient else None
    case.call_and_validate(base_url=retailer.gate.url, timeout=10, excluded_checks=excluded, **how)


@pytest.fixture
def fuzzed(retailer):
    """Return a retailer that is also an admin, without a rate limit."""
    (protocol,) = (protocol for protocol in retailer.gate.application.protocols if protocol.name == "justwalkout")
    pace = protocol.handlers["upload"].__self__._authenticator._rate_limit
    pace._burst = pace._per_second = 10**9
    retailer.admin = retailer.gate.secret(retailer.merchant, ("admin",))
    return retailer


@ONE_STORE
@schema.parametrize()
@examples(4, long=500)
def test_the_protocol_keeps_its_contract(fuzzed, case):
    """Statuses, media types, bodies and headers are those of the contract."""
    _check_case(fuzzed, case)
