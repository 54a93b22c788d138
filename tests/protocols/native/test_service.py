"""Health, metrics, documentation, and what every answer carries."""

import re

import httpx
import pytest
import yaml

from goodsgate.http.problems import HTTP_REFUSALS, REFUSALS, STATUSES
from goodsgate.model.issue import CODES
from tests import make
from tests.shop import ndjson

PAGES = ["/docs", "/docs/native", "/docs/problems", "/docs/issues"]


def test_health_and_readiness(gate, client):
    """Alive; ready as long as the store is; how much waits is only told."""
    anonymous = gate.anonymous()
    assert anonymous.get("/healthz").json()["status"] == "alive"
    ready = anonymous.get("/readyz")
    assert (ready.status_code, ready.json()["ready"], ready.json()["workers"]) == (200, True, None)
    assert all(check["ok"] for check in ready.json()["checks"])


def test_metrics_count_by_route_and_never_by_merchant(gate, client):
    """In the text format of Prometheus."""
    batch = client.submit(ndjson(make.products(1)))
    for _ in range(3):
        client.get(batch["links"]["self"])
    client.get("/no/such/path")
    text = gate.anonymous().get("/metrics").text
    polls = re.search(r'goodsgate_requests_total{method="GET",route="/v1/batches/{batch}",status="200"} (\S+)', text)
    assert polls is not None
    assert float(polls[1]) >= 4
    assert 'goodsgate_request_seconds_bucket{le="0.005",route="/v1/batches"}' in text
    assert 'route="none",status="404"' in text
    assert "goodsgate_submissions_total" in text
    assert batch["id"] not in text
    assert client.merchant not in re.findall(r'"([^"]*)"', text)


def test_the_contract_is_served_in_both_forms(gate):
    """The same document."""
    anonymous = gate.anonymous()
    text = anonymous.get("/v1/openapi.yaml")
    assert text.headers["content-type"].startswith("application/yaml")
    assert yaml.safe_load(text.content) == anonymous.get("/v1/openapi.json").json()


@pytest.mark.parametrize("path", PAGES)
def test_a_page_needs_no_script_and_no_other_host(gate, path):
    """It works offline, and its policy would not let it do otherwise."""
    page = gate.anonymous().get(path)
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'self'")
    assert "unsafe" not in policy
    assert "<script" not in page.text
    assert not re.search(r' (on\w+|style)="', page.text)
    assert not re.findall(r'(?:src|href)="(?:https?:)?//', page.text)


def test_every_link_of_the_pages_leads_somewhere(gate):
    """Pages, style, contract, and every anchor."""
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


def test_every_code_has_its_anchor(gate):
    """What `type` and `docs` of our answers name is there."""
    anonymous = gate.anonymous()
    problems, issues = anonymous.get("/docs/problems").text, anonymous.get("/docs/issues").text
    assert set(STATUSES) == set(REFUSALS) | set(HTTP_REFUSALS)
    assert all(f'id="{code}"' in problems for code in STATUSES)
    assert all(f'id="{code}"' in issues for code in CODES)


def test_every_operation_and_schema_is_on_the_page(gate):
    """Nothing of the contract is left out."""
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
def test_what_is_not_there_or_not_allowed_is_a_problem_document(gate, method, path, status, code):
    """405 says what is allowed."""
    answer = gate.anonymous().request(method, httpx.URL(gate.url).copy_with(raw_path=path.encode()))
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert ("allow" in answer.headers) == (status == 405)


def test_options_say_what_is_allowed(gate):
    """Without a key."""
    answer = gate.anonymous().options("/v1/batches")
    assert (answer.status_code, answer.headers["allow"]) == (204, "GET, HEAD, OPTIONS, POST")


def test_head_is_get_without_a_body(client):
    """With its headers; a stream is not even begun."""
    batch = client.submit(ndjson(make.products(1)))
    get, head = client.get(batch["links"]["self"]), client.head(batch["links"]["self"])
    assert (head.status_code, head.content, head.headers["etag"]) == (200, b"", get.headers["etag"])
    assert head.headers["content-length"] == str(len(get.content))
    assert client.head(batch["links"]["events"]).content == b""
    assert client.head("/nothing").status_code == 404


@pytest.mark.parametrize("path", ["/healthz", "/docs", "/nothing", "/v1/batches", "/metrics", "/"])
def test_every_answer_carries_its_id_and_its_guards(client, path):
    """Whatever its status."""
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
def test_a_request_id_is_taken_over_if_it_is_harmless(client, given, taken):
    """Else it gets one of ours; on the short way too."""
    batch = client.submit(ndjson(make.products(1)))
    for path in ("/nothing", batch["links"]["self"], batch["links"]["self"]):
        answer = client.get(path, headers=[(b"X-Request-Id", given.encode("latin-1"))])
        assert (answer.headers["x-request-id"] == given) is taken


def test_the_front_door_leads_to_the_documentation(gate):
    """Who asks for a page; others are a protocol's to answer."""
    answer = gate.anonymous().get("/", headers={"accept": "text/html,*/*;q=0.8"})
    assert (answer.status_code, answer.headers["location"]) == (307, "/docs")
