"""Recorded requests and responses."""

import gzip
import json
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from goodsgate.cli import main
from goodsgate.http.traffic import BODY_BYTES_MAX, Exchange, TrafficLog, mask_secrets
from goodsgate.model.batch import now
from tests.console.conftest import Person
from tests.http_gate import Client, HttpGate
from tests.shop import Shop

NDJSON = {"content-type": "application/x-ndjson"}


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpGate]:
    """A gate that records its traffic."""
    with Shop(
        tmp_path_factory.mktemp("traffic"), kind="sqlite", traffic_bytes_max=400_000, trouble="allow"
    ) as shop:
        served = HttpGate(shop)
        yield served
        served.close()


@pytest.fixture
def admin(gate: HttpGate) -> Client:
    """A client that may read the traffic."""
    return gate.client(None, "admin")


def _exchanges(admin: Client, **query: float) -> list[dict[str, Any]]:
    answered = admin.get("/v1/traffic", params={"limit": 1000, **query})
    assert answered.status_code == 200, answered.text
    return list(answered.json()["exchanges"])


def test_an_exchange_is_recorded_as_it_was(gate: HttpGate, admin: Client):
    """Headers, bodies and sizes, also of a compressed body; what admins read themselves is not recorded."""
    body = b'{"id": "a", "title": "M\xc3\xbcg", "price": "1 EUR"}\n'
    client = gate.client()
    client.post("/v1/batches?label=one", content=gzip.compress(body), headers={**NDJSON, "content-encoding": "gzip"})
    latest = _exchanges(admin)[-1]
    assert (latest["method"], latest["target"], latest["status"], latest["is_complete"]) == (
        "POST", "/v1/batches?label=one", 202, True
    )
    assert latest["request_body"] == body.decode()
    assert latest["request_bytes"] == len(gzip.compress(body))
    assert json.loads(latest["response_body"])["label"] == "one"
    assert latest["client"] == "127.0.0.1"
    assert ["authorization", "Bearer ***"] in latest["request_headers"]
    assert _exchanges(admin)[-1] == latest


def test_no_secret_is_recorded(gate: HttpGate, admin: Client):
    """Neither of requests nor of responses, whatever the protocol, and also at the cut of a long body."""
    client = gate.client()
    anonymous = gate.anonymous()
    merchant, secret = client.merchant, client.secret
    token = anonymous.get(
        "/aggregator/v1/token", params={"username": merchant, "password": secret}
    ).json()["access_token"]
    anonymous.get("/v3/catalog/departments", headers={"x-access-token": token})
    anonymous.get("/platform/v2/sites", headers={"x-auth-token": f"1:{secret}"})
    anonymous.post(f"/5p1hp1d2t/CALL/MerchantAPI/listExports/{merchant}", json={}, headers={"x-api-key": secret})
    created = admin.post(f"/v1/merchants/{merchant}/keys", json={"scopes": ["read"]}).json()["secret"]
    access = admin.post("/v1/catalog/accessKeys", json={}).json()
    filler = b" " * (BODY_BYTES_MAX - 30)
    client.post("/v1/batches", content=filler + secret.encode() + b"x" * 100, headers=NDJSON)
    recorded = json.dumps(_exchanges(admin))
    for hidden in (secret, token, created, access["secretAccessKey"], admin.secret):
        assert hidden not in recorded
        assert hidden.rpartition("_")[2][:12] not in recorded
    assert "password=***" in recorded


@pytest.mark.parametrize(("text", "masked"), [
    ('{"password": "a\\"b", "x": 1}', '{"password": "***", "x": 1}'),
    ('{"secretAccessKey":"abc', '{"secretAccessKey":"***'),
    ("<SessionToken>abc/+=</SessionToken>", "<SessionToken>***</SessionToken>"),
    ("/a?X-Amz-Signature=abc&b=1", "/a?X-Amz-Signature=***&b=1"),
    ("AWS4-HMAC-SHA256 Credential=AKGG/x, Signature=abc", "AWS4-HMAC-SHA256 Credential=AKGG/x, Signature=***"),
    ("key gg_0bd0dae5ce0e_qvp1tEyB-_x.", "key gg_0bd0dae5ce0e_***."),
    ("username=me&password=abc", "username=me&password=***"),
    ('{"title": "A token of love"}', '{"title": "A token of love"}'),
])
def test_secrets_are_masked_by_their_name_or_form(text: str, masked: str):
    """Other words stay."""
    assert mask_secrets(text) == masked


def test_a_response_that_was_cut_off_is_recorded_so(gate: HttpGate, admin: Client):
    """As much as was sent of it."""
    client = gate.client(None, "submit", "admin")
    client.post("/v1/trouble", json={"kind": "cut_off"})
    with pytest.raises(httpx.RemoteProtocolError):
        client.post("/v1/batches", content=b'{"id": "a"}', headers=NDJSON)
    latest = _exchanges(admin)[-1]
    assert (latest["status"], latest["is_complete"]) == (202, False)
    assert 0 < len(latest["response_body"]) < 2_000


def test_a_reader_waits_for_the_next_exchange(gate: HttpGate, admin: Client):
    """With the id of the last one that it knows."""
    last = admin.get("/v1/traffic").json()["last"]
    assert _exchanges(admin, after=last) == []
    assert _exchanges(admin, after=last + 1_000_000) == _exchanges(admin)  # an id of a process before this one
    threading.Timer(0.1, lambda: gate.anonymous().get("/streams")).start()
    (exchange,) = _exchanges(admin, after=last, wait=30)
    assert (exchange["id"], exchange["target"]) == (last + 1, "/streams")


def test_the_log_is_bounded_by_bytes_and_number():
    """The oldest exchanges are forgotten."""
    log = TrafficLog(bytes_max=50_000)
    for number in range(1, 101):
        log.add(Exchange(
            id=number, at=now(), milliseconds=1, client="", method="GET", target="/", request_headers=[],
            request_body="x" * 9_000, request_bytes=9_000, status=200, is_complete=True, response_headers=[],
            response_body="", response_bytes=0,
        ))
    assert [each.id for each in log.latest(10)] == [100, 99, 98, 97]
    assert [each.id for each in log.read(after=98, limit=10)] == [99, 100]


def test_command_and_console_show_it(gate: HttpGate, admin: Client):
    """The console escapes what clients send; only admins see it."""
    gate.anonymous().get("/streams", params={"x": "<b>"})
    environment = {"GOODSGATE_URL": gate.url, "GOODSGATE_KEY": admin.secret, "XDG_CONFIG_HOME": "/nonexistent"}
    done = CliRunner().invoke(main, ["traffic", "--limit", "1"], env=environment)
    assert "GET /streams?x=%3Cb%3E → 401" in done.stdout
    assert "> host: 127.0.0.1" in done.stdout
    document = json.loads(CliRunner().invoke(main, ["traffic", "--limit", "1", "--json"], env=environment).stdout)
    assert document["status"] == 401
    gate.client().post("/v1/batches", content=b'{"id": "<script>"}', headers=NDJSON)
    with Person(gate, gate.merchant(), "read", "admin") as person:
        page = person.sign_in().get("/console/traffic")
        assert "/streams?x=%3Cb%3E" in page.text
        assert "&lt;script&gt;" in page.text
        assert "/console/traffic" in person.get("/console/health").text
    with Person(gate, gate.merchant()) as person:
        assert person.sign_in().get("/console/traffic").status_code == 403
        assert "/console/traffic" not in person.get("/console/health").text


def test_a_gate_records_nothing_by_default(tmp_path_factory: pytest.TempPathFactory):
    """And its application is not wrapped."""
    with Shop(tmp_path_factory.mktemp("quiet"), kind="sqlite") as shop:
        served = HttpGate(shop)
        refused = served.client(None, "admin").get("/v1/traffic")
        assert (refused.status_code, refused.json()["code"]) == (409, "traffic_off")
        assert served._server.config.app is served.application
        served.close()
