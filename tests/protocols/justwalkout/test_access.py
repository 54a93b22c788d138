"""Who may call: the table of failures over HTTP, other signers, keys, the pace, and the switch for trials."""

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
from tests.protocols.justwalkout.client import ONE_STORE, JustWalkOut, item
from tests.served import Served
from tests.shop import Shop

UPLOAD, STATUS = "/v1/catalog/upload", "/v1/catalog/getCatalogUploadStatus"
BODY = json.dumps({"catalogItems": [item(1)]}).encode()


def _refused(answered, kind, message, member="message"):
    assert answered.status_code == 403, answered.text
    assert answered.headers["x-amzn-errortype"] == kind
    assert answered.json() == {member: message}


@ONE_STORE
def test_without_a_signature(retailer):
    """No header, whatever else is wrong; nor is there a 404 or a 405."""
    kind, message = "MissingAuthenticationTokenException", "Missing Authentication Token"
    _refused(retailer.post(UPLOAD, content=BODY), kind, message)
    _refused(retailer.post(UPLOAD, content=b"x" * 11 * 1024**2), kind, message)
    for method, path in (("GET", UPLOAD), ("PUT", STATUS), ("POST", "/v1/catalog/nothing"), ("POST", "/v1/catalog/"),
                         ("DELETE", "/v1/catalog/setup"), ("POST", "/v1/catalog/upload/")):
        _refused(retailer.request(method, path), kind, message)


@ONE_STORE
def test_with_a_key_that_is_none(retailer, stranger):
    """Unknown, or of somebody else's secret; an access key's id is no key of the gate's own, either."""
    headers = retailer.signed(UPLOAD, BODY)
    unknown = headers["Authorization"].replace(retailer.key.id, "AKGGNOBODY")
    told = "The security token included in the request is invalid."
    _refused(retailer.post(UPLOAD, content=BODY, headers={**headers, "Authorization": unknown}),
             "UnrecognizedClientException", told)
    foreign = retailer.signed(UPLOAD, BODY, secret=stranger.key.secret)
    answered = retailer.post(UPLOAD, content=BODY, headers=foreign)
    assert answered.headers["x-amzn-errortype"] == "InvalidSignatureException"
    assert answered.json()["message"].startswith("The request signature we calculated does not match")
    bearer = {"authorization": f"Bearer {retailer.key.id}"}
    assert retailer.get("/v1/catalog/setup", headers=bearer).status_code == 401


@ONE_STORE
def test_with_another_body_than_was_signed(retailer):
    """One byte is enough."""
    answered = retailer.post(UPLOAD, content=BODY + b" ", headers=retailer.signed(UPLOAD, BODY))
    assert answered.headers["x-amzn-errortype"] == "InvalidSignatureException"
    assert retailer.held() == {}


@ONE_STORE
def test_with_a_date_long_past(retailer):
    """The message says how long."""
    headers = retailer.signed(UPLOAD, BODY)
    day = headers["X-Amz-Date"][:8]
    late = {name: text.replace(day, "20251120") for name, text in headers.items()}
    answered = retailer.post(UPLOAD, content=BODY, headers=late)
    assert answered.headers["x-amzn-errortype"] == "InvalidSignatureException"
    assert answered.json()["message"].startswith("Signature expired: 20251120T")
    assert "- 5 min.)" in answered.json()["message"]


@ONE_STORE
def test_with_half_a_header(retailer):
    """What lacks is named; what came is not repeated."""
    headers = {"Authorization": "AWS4-HMAC-SHA256 Credential=AKGG/1/r/execute-api/aws4_request", "X-Amz-Date": "x"}
    answered = retailer.post(UPLOAD, content=BODY, headers=headers)
    assert answered.headers["x-amzn-errortype"] == "IncompleteSignatureException"
    assert "Authorization header requires 'Signature' parameter." in answered.json()["message"]


@ONE_STORE
def test_who_is_not_onboarded_or_lacks_the_permission(gate):
    """A valid signature is not enough; `Message` is written with a capital."""
    with closing(JustWalkOut(gate, gate.merchant(), "S", account="")) as client:
        answered = client.upload(item(1, "S"))
        assert answered.headers["x-amzn-errortype"] == "AccessDeniedException"
        assert "is not authorized to perform: execute-api:Invoke on resource: arn:aws:" in answered.json()["Message"]
    with closing(JustWalkOut(gate, gate.merchant(), "S", scopes=(Scope.READ,))) as client:
        assert client.upload(item(1, "S")).headers["x-amzn-errortype"] == "AccessDeniedException"
        assert client.call(STATUS, {"ingestionId": "x"}).status_code == 400


def test_a_revoked_key_and_a_changed_account_take_effect(retailer, monkeypatch):
    """As soon as what is known of them is looked up again."""
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
    until = time.monotonic() + 20
    while not (found := happens()) and time.monotonic() < until:
        time.sleep(0.02)
    return found


def test_a_session_has_its_token(gate):
    """Without it, and with another, the key is not known."""
    with closing(JustWalkOut(gate, gate.merchant(), "S", session=True, region="localhost:8080")) as client:
        assert client.upload(item(1, "S")).status_code == 201
        headers = client.signed(UPLOAD, BODY)
        for token in ("", "other"):
            told = {**headers, "X-Amz-Security-Token": token}
            answered = client.post(UPLOAD, content=BODY, headers=told)
            assert answered.headers["x-amzn-errortype"] == "UnrecognizedClientException"


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@ONE_STORE
def test_curl_signs_as_well(retailer):
    """`curl --aws-sigv4`, with a region of its own."""
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
    """Shared by all operations and keys of an account; others go on."""
    (protocol,) = (protocol for protocol in gate.application.protocols if protocol.name == "justwalkout")
    monkeypatch.setattr(protocol.handlers["upload"].__self__._authenticator._rate_limit, "_clock", lambda: 0.0)
    merchant = gate.merchant()
    with closing(JustWalkOut(gate, merchant, "S")) as first, closing(JustWalkOut(gate, gate.merchant())) as other, \
            closing(JustWalkOut(gate, merchant, "S", account=first.account)) as second:
        answers = []
        for at in range(12):
            client = (first, second)[at % 2]
            path, body = (UPLOAD, BODY) if at % 3 else (STATUS, b"{}")
            answers.append(client.post(path, content=body, headers=client.signed(path, body)))
        assert [answered.status_code for answered in answers] == [400] * 10 + [429] * 2
        assert answers[-1].json() == {"errorMsg": "Too Many Requests"}
        assert answers[-1].headers["retry-after"] == "1"
        assert other.post(STATUS, content=b"{}", headers=other.signed(STATUS, b"{}")).status_code == 400


def test_any_signature_is_accepted_where_the_settings_say_so(tmp_path, caplog):
    """Loudly; the header is read even then, and the access key must be one."""
    with Shop(tmp_path, kind="sqlite", signatures="accept") as shop:
        gate = Served(shop)
        assert any("SIGNATURES ARE NOT VERIFIED" in record.message for record in caplog.records)
        with closing(JustWalkOut(gate, gate.merchant(), "STORE-1")) as client:
            headers = client.signed(UPLOAD, b"something else", secret="whatever")
            assert client.post(UPLOAD, content=BODY, headers=headers).status_code == 201
            unknown = headers["Authorization"].replace(client.key.id, "AKGGNOBODY")
            answered = client.post(UPLOAD, content=BODY, headers={**headers, "Authorization": unknown})
            assert answered.headers["x-amzn-errortype"] == "UnrecognizedClientException"
            assert httpx.post(f"{gate.url}{UPLOAD}", content=BODY, trust_env=False).status_code == 403
        gate.close()


def test_the_switch_has_two_positions(tmp_path):
    """And verifying is what happens without it."""
    assert load(environ={}).signatures == "verify"
    with pytest.raises(ConfigError):
        load(environ={"GOODSGATE_SIGNATURES": "off"})


def test_the_doctor_finds_it_unsound(tmp_path):
    """As long as any signature is accepted."""
    with Shop(tmp_path, kind="sqlite") as shop:
        address = shop.config.store
    for position, code in (("verify", 0), ("accept", 7)):
        environ = {"GOODSGATE_SIGNATURES": position}
        told = CliRunner().invoke(main, ["doctor", "--store", address], env=environ)
        assert told.exit_code == code, told.output
        assert ("NOT VERIFIED" in told.output) == (code == 7)


def test_keys_and_links_outlive_a_new_master_secret(tmp_path):
    """Rotation: the first makes new ones, the others are still good, until they are taken away."""
    old, new = "old:" + "b2xk" * 12, "new:" + "bmV3" * 12
    with Shop(tmp_path, kind="sqlite", secrets=old) as shop:
        gate = Served(shop)
        with closing(JustWalkOut(gate, gate.merchant(), "STORE-1")) as client:
            ingestion = client.upload(item(1)).json()["ingestionId"]
            shop.work()
            link = client.status(ingestion)["reportDownloadLink"].removeprefix(gate.url)
            for secrets, status in ((old, 201), (f"{new},{old}", 201), (new, 403)):
                config = load(environ={}, store=shop.config.store, secrets=secrets)
                shop.config = config
                other = Served(shop)
                answered = httpx.post(
                    f"{other.url}{UPLOAD}", content=BODY, trust_env=False,
                    headers={**client.signed(UPLOAD, BODY), "host": gate.url.removeprefix("http://")},
                )
                assert answered.status_code == status, answered.text
                read = httpx.get(f"{other.url}{link}", trust_env=False)
                assert read.status_code == (200 if status == 201 else 403)
                other.close()
        gate.close()
