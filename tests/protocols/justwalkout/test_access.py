"""Authentication over HTTP: the table of failures, other signers, keys, the rate limit, and the setting for trials."""

import json
import os
import shutil
import subprocess
import time
from contextlib import closing

import httpx
import pytest
from click.testing import CliRunner

from goodsgate.cli import main
from goodsgate.config import ConfigError, load
from goodsgate.engine.merchant_documents import put_merchant_settings
from goodsgate.model.catalogue import Scope
from goodsgate.protocols.justwalkout import access
from tests.http_gate import HttpGate
from tests.protocols.justwalkout.client import ONE_STORE, JustWalkOut, item
from tests.shop import Shop

UPLOAD, STATUS = "/v1/catalog/upload", "/v1/catalog/getCatalogUploadStatus"
BODY = json.dumps({"catalogItems": [item(1)]}).encode()


def _refused(response, kind, message, member="message"):
    assert response.status_code == 403, response.text
    assert response.headers["x-amzn-errortype"] == kind
    assert response.json() == {member: message}


@ONE_STORE
def test_without_a_signature(retailer):
    """A missing header has precedence over other errors; there is no 404 and no 405."""
    kind, message = "MissingAuthenticationTokenException", "Missing Authentication Token"
    _refused(retailer.post(UPLOAD, content=BODY), kind, message)
    _refused(retailer.post(UPLOAD, content=b"x" * 11 * 1024**2), kind, message)
    for method, path in (("GET", UPLOAD), ("PUT", STATUS), ("POST", "/v1/catalog/nothing"), ("POST", "/v1/catalog/"),
                         ("DELETE", "/v1/catalog/setup"), ("POST", "/v1/catalog/upload/")):
        _refused(retailer.request(method, path), kind, message)


@ONE_STORE
def test_with_an_unknown_key(retailer, stranger):
    """The key is unknown or the secret is another; an access key is no key of the gate's own API."""
    headers = retailer.sign(UPLOAD, BODY)
    unknown = headers["Authorization"].replace(retailer.key.id, "AKGGNOBODY")
    result = "The security token included in the request is invalid."
    _refused(retailer.post(UPLOAD, content=BODY, headers={**headers, "Authorization": unknown}),
             "UnrecognizedClientException", result)
    foreign = retailer.sign(UPLOAD, BODY, secret=stranger.key.secret)
    response = retailer.post(UPLOAD, content=BODY, headers=foreign)
    assert response.headers["x-amzn-errortype"] == "InvalidSignatureException"
    assert response.json()["message"].startswith("The request signature we calculated does not match")
    bearer = {"authorization": f"Bearer {retailer.key.id}"}
    assert retailer.get("/v1/catalog/setup", headers=bearer).status_code == 401


@ONE_STORE
def test_with_another_body_than_was_signed(retailer):
    """One byte is enough."""
    response = retailer.post(UPLOAD, content=BODY + b" ", headers=retailer.sign(UPLOAD, BODY))
    assert response.headers["x-amzn-errortype"] == "InvalidSignatureException"
    assert retailer.items() == {}


@ONE_STORE
def test_with_a_date_long_past(retailer):
    """The message says how old it is."""
    headers = retailer.sign(UPLOAD, BODY)
    day = headers["X-Amz-Date"][:8]
    late = {name: text.replace(day, "20251120") for name, text in headers.items()}
    response = retailer.post(UPLOAD, content=BODY, headers=late)
    assert response.headers["x-amzn-errortype"] == "InvalidSignatureException"
    assert response.json()["message"].startswith("Signature expired: 20251120T")
    assert "- 5 min.)" in response.json()["message"]


@ONE_STORE
def test_with_an_incomplete_header(retailer):
    """Missing parts are named; received parts are not repeated."""
    headers = {"Authorization": "AWS4-HMAC-SHA256 Credential=AKGG/1/r/execute-api/aws4_request", "X-Amz-Date": "x"}
    response = retailer.post(UPLOAD, content=BODY, headers=headers)
    assert response.headers["x-amzn-errortype"] == "IncompleteSignatureException"
    assert "Authorization header requires 'Signature' parameter." in response.json()["message"]


@ONE_STORE
def test_without_onboarding_or_permission(gate):
    """A valid signature is not enough; `Message` has a capital."""
    with closing(JustWalkOut(gate, gate.merchant(), "S", account="")) as client:
        response = client.upload(item(1, "S"))
        assert response.headers["x-amzn-errortype"] == "AccessDeniedException"
        assert "is not authorized to perform: execute-api:Invoke on resource: arn:aws:" in response.json()["Message"]
    with closing(JustWalkOut(gate, gate.merchant(), "S", scopes=(Scope.READ,))) as client:
        assert client.upload(item(1, "S")).headers["x-amzn-errortype"] == "AccessDeniedException"
        assert client.call(STATUS, {"ingestionId": "x"}).status_code == 400


def test_a_revoked_key_and_a_changed_account_take_effect(retailer, monkeypatch):
    """They do once the cached account has expired."""
    monkeypatch.setattr(access, "CACHE_SECONDS", 0.05)
    assert retailer.upload(item(1)).status_code == 201
    put_merchant_settings(retailer.gate.shop.store, retailer.merchant, {"account": ""})
    assert _within(lambda: retailer.upload(item(1)).status_code == 403)
    put_merchant_settings(retailer.gate.shop.store, retailer.merchant, {"account": retailer.account})
    assert _within(lambda: retailer.upload(item(1)).status_code == 201)
    assert retailer.gate.shop.store.revoke_key(retailer.merchant, retailer.key_id)
    assert _within(
        lambda: retailer.upload(item(1)).headers.get("x-amzn-errortype") == "UnrecognizedClientException"
    )


def _within(happens) -> bool:
    until = time.monotonic() + 60
    while not (succeeded := happens()) and time.monotonic() < until:
        time.sleep(0.02)
    return succeeded


def test_a_session_has_its_token(gate):
    """Without the token, or with another, the key is unknown."""
    with closing(JustWalkOut(gate, gate.merchant(), "S", session=True, region="localhost:8080")) as client:
        assert client.upload(item(1, "S")).status_code == 201
        headers = client.sign(UPLOAD, BODY)
        for token in ("", "other"):
            result = {**headers, "X-Amz-Security-Token": token}
            response = client.post(UPLOAD, content=BODY, headers=result)
            assert response.headers["x-amzn-errortype"] == "UnrecognizedClientException"


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@ONE_STORE
def test_curl_signs_as_well(retailer):
    """`curl --aws-sigv4` signs with a region of its own."""
    version = subprocess.run(["curl", "--version"], capture_output=True, text=True, check=True).stdout.split()[1]
    if tuple(int(part) for part in version.split(".")[:2]) < (7, 84):
        pytest.skip(f"curl {version} is too old to sign the body it sends")
    done = subprocess.run(
        ["curl", "-sS", "--noproxy", "*", "--aws-sigv4", "aws:amz:eu-west-1:execute-api", "-u",
         f"{retailer.key.id}:{retailer.key.secret}", "-H", "Content-Type: application/json", "--data-binary", "@-",
         f"{retailer.gate.url}{UPLOAD}"],
        input=BODY, capture_output=True, check=True, env={"PATH": os.environ["PATH"]},
    )
    assert list(json.loads(done.stdout)) == ["ingestionId"], done.stdout


@ONE_STORE
def test_ten_requests_a_second(gate, monkeypatch):
    """All operations and keys of an account share the limit; others are not affected."""
    (protocol,) = (protocol for protocol in gate.application.protocols if protocol.name == "justwalkout")
    monkeypatch.setattr(protocol.handlers["upload"].__self__._authenticator._rate_limit, "_clock", lambda: 0.0)
    merchant = gate.merchant()
    with closing(JustWalkOut(gate, merchant, "S")) as first, closing(JustWalkOut(gate, gate.merchant())) as other, \
            closing(JustWalkOut(gate, merchant, "S", account=first.account)) as second:
        answers = []
        for at in range(12):
            client = (first, second)[at % 2]
            path, body = (UPLOAD, BODY) if at % 3 else (STATUS, b"{}")
            answers.append(client.post(path, content=body, headers=client.sign(path, body)))
        assert [response.status_code for response in answers] == [400] * 10 + [429] * 2
        assert answers[-1].json() == {"errorMsg": "Too Many Requests"}
        assert answers[-1].headers["retry-after"] == "1"
        assert other.post(STATUS, content=b"{}", headers=other.sign(STATUS, b"{}")).status_code == 400


def test_any_signature_is_accepted_where_the_settings_say_so(tmp_path, caplog):
    """The log warns; the header is parsed all the same, and the access key must exist."""
    with Shop(tmp_path, kind="sqlite", signatures="accept") as shop:
        gate = HttpGate(shop)
        assert any("SIGNATURES ARE NOT VERIFIED" in record.message for record in caplog.records)
        with closing(JustWalkOut(gate, gate.merchant(), "STORE-1")) as client:
            headers = client.sign(UPLOAD, b"something else", secret="whatever")
            assert client.post(UPLOAD, content=BODY, headers=headers).status_code == 201
            unknown = headers["Authorization"].replace(client.key.id, "AKGGNOBODY")
            response = client.post(UPLOAD, content=BODY, headers={**headers, "Authorization": unknown})
            assert response.headers["x-amzn-errortype"] == "UnrecognizedClientException"
            assert httpx.post(f"{gate.url}{UPLOAD}", content=BODY, trust_env=False).status_code == 403
        gate.close()


def test_the_setting_has_two_values(tmp_path):
    """The default is to verify signatures."""
    assert load(environ={}).signatures == "verify"
    with pytest.raises(ConfigError):
        load(environ={"GOODSGATE_SIGNATURES": "off"})


def test_the_doctor_reports_the_setting(tmp_path):
    """It does while any signature is accepted."""
    with Shop(tmp_path, kind="sqlite") as shop:
        address = shop.config.store
    for position, code in (("verify", 0), ("accept", 7)):
        environ = {"GOODSGATE_SIGNATURES": position}
        result = CliRunner().invoke(main, ["doctor", "--store", address], env=environ)
        assert result.exit_code == code, result.output
        assert ("NOT VERIFIED" in result.output) == (code == 7)


def test_keys_and_links_outlive_a_new_master_secret(tmp_path):
    """The first secret makes new ones; the others stay valid until they are removed."""
    old, new = "old:" + "b2xk" * 12, "new:" + "bmV3" * 12
    with Shop(tmp_path, kind="sqlite", secrets=old) as shop:
        gate = HttpGate(shop)
        with closing(JustWalkOut(gate, gate.merchant(), "STORE-1")) as client:
            ingestion = client.upload(item(1)).json()["ingestionId"]
            shop.work()
            link = client.status(ingestion)["reportDownloadLink"].removeprefix(gate.url)
            for secrets, status in ((old, 201), (f"{new},{old}", 201), (new, 403)):
                config = load(environ={}, store=shop.config.store, secrets=secrets)
                shop.config = config
                other = HttpGate(shop)
                response = httpx.post(
                    f"{other.url}{UPLOAD}", content=BODY, trust_env=False,
                    headers={**client.sign(UPLOAD, BODY), "host": gate.url.removeprefix("http://")},
                )
                assert response.status_code == status, response.text
                read = httpx.get(f"{other.url}{link}", trust_env=False)
                assert read.status_code == (200 if status == 201 else 403)
                other.close()
        gate.close()


@ONE_STORE
def test_a_quota_is_answered_like_the_rate_limit(gate):
    """Signed requests count against the quotas of their merchant, too."""
    with closing(JustWalkOut(gate, gate.merchant(), "STORE-1", requests_per_minute_max="1")) as client:
        answers = [client.post(UPLOAD, content=BODY, headers=client.sign(UPLOAD, BODY)) for _ in range(4)]
    refused = [each for each in answers if each.status_code == 429]
    assert refused
    assert refused[0].content == b'{"errorMsg":"Too Many Requests"}'
