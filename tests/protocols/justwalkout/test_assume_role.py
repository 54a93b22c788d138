"""Temporary access keys: a client of STS obtains them, and the Catalog API accepts them until they end."""

from contextlib import closing
from datetime import timedelta
from typing import Any

import httpx
import pytest
from botocore.config import Config as ClientConfig
from botocore.exceptions import ClientError
from botocore.session import Session

from goodsgate.auth import AccessKey
from goodsgate.model.batch import now
from goodsgate.model.catalogue import Scope
from goodsgate.protocols.justwalkout import access, temporary_keys
from goodsgate.protocols.justwalkout.sigv4 import SignatureError
from tests.http_gate import HttpGate
from tests.protocols.justwalkout.client import ONE_STORE, JustWalkOut, item

NO_CHECKS = ClientConfig(parameter_validation=False, retries={"total_max_attempts": 1})


@pytest.fixture(scope="module")
def session() -> Session:
    """Return a session of botocore, whose loaded models all tests share."""
    return Session()


def _assume(session: Session, client: JustWalkOut, *, secret: str = "", **parameters: Any) -> dict[str, Any]:
    sts = session.create_client(
        "sts", "us-east-1", endpoint_url=f"{client.gate.url}/v1/catalog/sts", aws_access_key_id=client.key.id,
        aws_secret_access_key=secret or client.key.secret, aws_session_token=client.key.token, config=NO_CHECKS,
    )
    role = f"arn:aws:iam::{client.account}:role/service/CatalogAPI"
    document: dict[str, Any] = sts.assume_role(**{"RoleArn": role, "RoleSessionName": "CatalogAPI", **parameters})
    return document


def _key(credentials: dict[str, Any]) -> AccessKey:
    return AccessKey(
        id=credentials["AccessKeyId"], secret=credentials["SecretAccessKey"], token=credentials["SessionToken"]
    )


def _upload(client: JustWalkOut, key: AccessKey) -> httpx.Response:
    """Upload an item, signed with another key."""
    own, client.key = client.key, key
    try:
        return client.upload(item(1))
    finally:
        client.key = own


def test_a_role_is_assumed_as_amazons_sample_does(session: Session, retailer: JustWalkOut) -> None:
    """The variables of every AWS client lead to the gate; the key is valid for an hour, and with its own token only."""
    keys = []
    for _ in range(2):
        document = _assume(session, retailer)
        credentials = document["Credentials"]
        assert timedelta(minutes=59) < credentials["Expiration"] - now() <= timedelta(hours=1)
        role = f"arn:aws:sts::{retailer.account}:assumed-role/CatalogAPI/CatalogAPI"
        assert document["AssumedRoleUser"]["Arn"] == role
        keys.append(_key(credentials))
    first, second = keys
    assert _upload(retailer, first).status_code == 201
    assert retailer.codes(retailer.upload(item(1))) == []
    for wrong in (
        AccessKey(id=first.id, secret=first.secret, token=None),
        AccessKey(id=first.id, secret=first.secret, token=second.token),
        AccessKey(id=first.id, secret=second.secret, token=first.token),
        AccessKey(id=retailer.key.id, secret=retailer.key.secret, token=first.token),
        AccessKey(id=first.id, secret=first.secret, token=f"A{first.token}"),
    ):
        assert _upload(retailer, wrong).status_code == 403


@ONE_STORE
def test_a_temporary_key_has_the_scopes_and_the_life_of_its_owner(session: Session, gate: HttpGate,
                                                                  monkeypatch: pytest.MonkeyPatch) -> None:
    """It may not do more, and it ends when its owner's key is revoked."""
    monkeypatch.setattr(access, "CACHE_SECONDS", 0.0)
    with closing(JustWalkOut(gate, gate.merchant(), "STORE-1", session=True)) as client:
        key = _key(_assume(session, client)["Credentials"])
        assert _upload(client, key).status_code == 201
        assert gate.shop.store.revoke_key(client.merchant, client.key_id)
        assert _upload(client, key).status_code == 403
    with closing(JustWalkOut(gate, gate.merchant(), "STORE-1", scopes=(Scope.READ,))) as client:
        refused = _upload(client, _key(_assume(session, client)["Credentials"]))
        assert refused.headers["x-amzn-errortype"] == "AccessDeniedException"
    account = closing(JustWalkOut(gate, gate.merchant(), "STORE-1", account=""))
    with account as client, pytest.raises(ClientError, match="AccessDenied"):
        _assume(session, client, RoleArn="arn:aws:iam::123456789012:role/CatalogAPI")


@ONE_STORE
@pytest.mark.parametrize(("parameters", "code", "status"), [
    ({"RoleArn": "arn:aws:iam::999999999999:role/CatalogAPI"}, "AccessDenied", 403),
    ({"RoleArn": "CatalogAPI"}, "ValidationError", 400), ({"RoleSessionName": "a b"}, "ValidationError", 400),
    ({"DurationSeconds": 899}, "ValidationError", 400), ({"DurationSeconds": 43_201}, "ValidationError", 400),
    ({"secret": "wrong"}, "SignatureDoesNotMatch", 403),
])
def test_what_sts_refuses(session: Session, retailer: JustWalkOut, parameters: dict[str, Any], code: str,
                          status: int) -> None:
    """The client gets the codes and statuses of STS."""
    with pytest.raises(ClientError) as refused:
        _assume(session, retailer, **parameters)
    response = refused.value.response
    assert (response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]) == (code, status)


@ONE_STORE
def test_requests_that_no_client_of_sts_sends(retailer: JustWalkOut) -> None:
    """They get error documents of STS, or 403 for another method."""
    path = "/v1/catalog/sts"
    unsigned = retailer.post(path, data={"Action": "AssumeRole"})
    assert (unsigned.status_code, "<Code>MissingAuthenticationToken</Code>" in unsigned.text) == (403, True)
    assert unsigned.headers["content-type"] == "text/xml"
    other_service = retailer.call(path, b"Action=AssumeRole")
    assert "scoped to correct service: 'sts'" in other_service.text
    assert retailer.get(path).json() == {"message": "Missing Authentication Token"}
    damaged = retailer.post(f"{path}?%C3%28=1", data={"Action": "AssumeRole"})
    assert (damaged.status_code, "<Code>ValidationError</Code>" in damaged.text) == (400, True)


@ONE_STORE
def test_a_temporary_key_expires(retailer: JustWalkOut) -> None:
    """The refusal says that its token has expired."""
    secrets_of = retailer.gate.shop.engine.secrets
    key = temporary_keys.new_temporary_key(
        retailer.key.id, secrets_of, seconds=900, now=now() - timedelta(seconds=901)
    ).key
    response = _upload(retailer, key)
    assert (response.status_code, response.headers["x-amzn-errortype"]) == (403, "ExpiredTokenException")
    assert response.json() == {"message": "The security token included in the request is expired"}
    for token in (None, "", "x", "bm9wZQ==", key.token):
        with pytest.raises(SignatureError):
            temporary_keys.read_temporary_key("ASGGNOBODY", token, secrets_of, now=now())

