"""Health, metrics, documentation, and what every answer carries."""

import re
from contextlib import closing

import httpx
import pytest
import yaml

from goodsgate.http.endpoints import load_openapi
from goodsgate.http.problems import HTTP_REFUSALS, REFUSALS, STATUSES
from goodsgate.model.issue import CODES
from goodsgate.store.sqlite import health
from tests import factories
from tests.http_gate import HttpGate
from tests.shop import METRICS_TOKEN, Shop, ndjson

PAGES = ["/docs", "/docs/native", "/docs/problems", "/docs/issues"]


def test_the_version_of_the_api_is_a_date_that_a_client_may_name(gate):
    """Every response has it, refusals and responses from memory included; another one is refused."""
    client = gate.client()
    known = load_openapi("goodsgate.protocols.native").document["info"]["version"]
    batch = client.submit(b'{"id": "A"}')["id"]
    path = f"/v1/batches/{batch}"
    etag = client.get(path).headers["etag"]
    answers = [
        client.get(path), client.get(path, headers={"if-none-match": etag}), client.get(path + "/results"),
        client.get("/v1/batches/" + "0" * 32), gate.anonymous().get(path), gate.anonymous().get("/healthz"),
        client.get(path, headers={"goodsgate-version": known}),
    ]
    assert [answer.headers.get_list("goodsgate-version") for answer in answers] == [[known]] * len(answers)
    assert [answer.status_code for answer in answers] == [200, 304, 200, 404, 401, 200, 200]
    refused = client.get(path, headers={"goodsgate-version": "2020-01-01"})
    assert (refused.status_code, refused.json()["code"]) == (400, "parameter_invalid")
    assert (refused.json()["parameter"], refused.json()["allowed"]) == ("Goodsgate-Version", [known])
    assert "goodsgate-version" not in client.get("/v3/catalog/departments").headers


def test_health_and_readiness_are_public(gate, client):
    """Strangers and merchants see no figures of the business; the gate is ready as long as the store is."""
    anonymous = gate.anonymous()
    assert anonymous.get("/healthz").json()["status"] == "alive"
    for reader in (anonymous, client, gate.client(secret="gg_0_wrong")):
        ready = reader.get("/readyz")
        assert (ready.status_code, ready.json()) == (200, {"ready": True, "failed": []})


def test_an_admin_sees_details_of_readiness(gate):
    """What each check saw, the queue, and the workers of the process, of which this one watches none."""
    ready = gate.client(None, "admin").get("/readyz").json()
    assert (ready["ready"], ready["failed"], ready["workers"]) == (True, [], None)
    assert {check["level"] for check in ready["checks"]} == {"ok"}
    assert ready["queue"]["rounds.queued"] == 0


def test_readiness_names_what_fails(tmp_path, monkeypatch):
    """An admin learns what to do, too; the store's folder is shown to nobody else."""
    monkeypatch.setattr(health, "FREE_BYTES_MIN", 2**62)
    with Shop(tmp_path, kind="sqlite") as shop, closing(HttpGate(shop)) as gate:
        ready = gate.anonymous().get("/readyz")
        assert (ready.status_code, ready.json()) == (503, {"ready": False, "failed": ["free space"]})
        details = gate.client(None, "admin").get("/readyz").json()["checks"]
        assert [check["remedy"][:4] for check in details if check["level"] == "bad"] == ["free"]


@pytest.mark.parametrize(("headers", "status"), [
    ({}, 401), ({"Authorization": "Bearer gg_0_wrong"}, 401), ({"Authorization": f"Bearer {METRICS_TOKEN[:-1]}"}, 401),
    ({"Authorization": f"Bearer {METRICS_TOKEN}"}, 200), ({"X-API-Key": METRICS_TOKEN}, 200),
])
def test_metrics_need_the_token_or_an_admin(gate, headers, status):
    """They show how much business there is."""
    assert gate.anonymous().get("/metrics", headers=headers).status_code == status


def test_metrics_are_not_for_merchants(gate, client):
    """A key needs the scope admin."""
    assert client.get("/metrics").json()["code"] == "forbidden"
    assert gate.client(None, "admin").get("/metrics").status_code == 200


def test_metrics_are_labelled_by_route_and_never_by_merchant(gate, client):
    """They have the text format of Prometheus."""
    batch = client.submit(ndjson(factories.products(1)))
    for _ in range(3):
        client.get(batch["links"]["self"])
    client.get("/no/such/path")
    text = gate.metrics()
    polls = re.search(r'goodsgate_requests_total{method="GET",route="/v1/batches/{batch}",status="200"} (\S+)', text)
    assert polls is not None
    assert float(polls[1]) >= 4
    assert 'goodsgate_request_seconds_bucket{le="0.005",route="/v1/batches"}' in text
    assert 'route="none",status="404"' in text
    assert "goodsgate_submissions_total" in text
    assert batch["id"] not in text
    assert client.merchant not in re.findall(r'"([^"]*)"', text)


def test_the_openapi_document_is_served_as_yaml_and_json(gate):
    """Both are the same document."""
    anonymous = gate.anonymous()
    text = anonymous.get("/v1/openapi.yaml")
    assert text.headers["content-type"].startswith("application/yaml")
    assert yaml.safe_load(text.content) == anonymous.get("/v1/openapi.json").json()


@pytest.mark.parametrize("path", PAGES)
def test_pages_need_no_script_and_no_other_host(gate, path):
    """They work offline, and their policy forbids both."""
    page = gate.anonymous().get(path)
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'self'")
    assert "unsafe" not in policy
    assert "<script" not in page.text
    assert not re.search(r' (on\w+|style)="', page.text)
    assert not re.findall(r'(?:src|href)="(?:https?:)?//', page.text)


def test_every_link_of_the_pages_resolves(gate):
    """This includes the stylesheet, the OpenAPI document and every anchor."""
    anonymous = gate.anonymous()
    texts = {path: anonymous.get(path).text for path in PAGES}
    for path, text in texts.items():
        for target in set(re.findall(r'href="([^"]+)"', text)):
            page, _, anchor = target.partition("#")
            page = page or path
            if page not in texts:
                assert anonymous.get(page).status_code == 200, target
            elif anchor:
                assert f'id="{anchor}"' in texts[page], target


def test_every_code_has_an_anchor(gate):
    """`type` and `docs` of responses link to them."""
    anonymous = gate.anonymous()
    problems, issues = anonymous.get("/docs/problems").text, anonymous.get("/docs/issues").text
    assert set(STATUSES) == set(REFUSALS) | set(HTTP_REFUSALS)
    assert all(f'id="{code}"' in problems for code in STATUSES)
    assert all(f'id="{code}"' in issues for code in CODES)


def test_every_operation_and_schema_is_on_the_page(gate):
    """The page leaves out nothing of the document."""
    anonymous = gate.anonymous()
    page, contract = anonymous.get("/docs/native").text, anonymous.get("/v1/openapi.json").json()
    for path, item in contract["paths"].items():
        for method in ("get", "post", "put", "delete"):
            if method in item:
                assert f'id="{item[method]["operationId"]}"' in page, path
    assert all(f'id="schema-{name}"' in page for name in contract["components"]["schemas"])


@pytest.mark.parametrize(("method", "path", "status", "code"), [
    ("GET", "/nothing", 404, "not_found"), ("GET", "/v1/", 404, "not_found"), ("GET", "/v1/batches/", 404, "not_found"),
    ("GET", "/docs/nothing", 404, "not_found"), ("POST", "/docs", 405, "method_not_allowed"),
    ("PATCH", "/v1/batches", 405, "method_not_allowed"), ("DELETE", "/healthz", 405, "method_not_allowed"),
    ("POST", "/v1/openapi.json", 405, "method_not_allowed"), ("GET", "//v1/batches", 404, "not_found"),
])
def test_unknown_paths_and_methods_are_problem_documents(gate, method, path, status, code):
    """405 lists the allowed methods."""
    answer = gate.anonymous().request(method, httpx.URL(gate.url).copy_with(raw_path=path.encode()))
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert ("allow" in answer.headers) == (status == 405)


def test_options_lists_the_allowed_methods(gate):
    """It needs no key."""
    answer = gate.anonymous().options("/v1/batches")
    assert (answer.status_code, answer.headers["allow"]) == (204, "GET, HEAD, OPTIONS, POST")


def test_head_is_get_without_a_body(client):
    """It has the same headers; a stream is not started."""
    batch = client.submit(ndjson(factories.products(1)))
    get, head = client.get(batch["links"]["self"]), client.head(batch["links"]["self"])
    assert (head.status_code, head.content, head.headers["etag"]) == (200, b"", get.headers["etag"])
    assert head.headers["content-length"] == str(len(get.content))
    assert client.head(batch["links"]["events"]).content == b""
    assert client.head("/nothing").status_code == 404


@pytest.mark.parametrize("path", ["/healthz", "/docs", "/nothing", "/v1/batches", "/metrics", "/"])
def test_every_response_has_a_request_id_and_security_headers(client, path):
    """The status does not matter."""
    answer = client.get(path)
    assert re.fullmatch(r"[0-9a-f]{16}-[0-9a-f]+", answer.headers["x-request-id"])
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert "server" not in answer.headers


@pytest.mark.parametrize(("given", "taken"), [
    ("abc-123", True), ("A.b_c", True), ("x" * 100, True), ("x" * 101, False), ("", False), ("a b", False),
    ("é", False), ('"><script>', False),
])
def test_a_request_id_of_the_client_is_used_if_it_is_harmless(client, given, taken):
    """Otherwise the gate creates one, also for cached responses."""
    batch = client.submit(ndjson(factories.products(1)))
    for path in ("/nothing", batch["links"]["self"], batch["links"]["self"]):
        answer = client.get(path, headers=[(b"X-Request-Id", given.encode("latin-1"))])
        assert (answer.headers["x-request-id"] == given) is taken


def test_browsers_are_redirected_to_the_documentation(gate):
    """Other requests to the root path belong to a protocol."""
    answer = gate.anonymous().get("/", headers={"accept": "text/html,*/*;q=0.8"})
    assert (answer.status_code, answer.headers["location"]) == (307, "/docs")
