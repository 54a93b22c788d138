"""Published rates, the four headers that report them, and the refusal of excess requests."""

import time
from collections.abc import Iterator
from contextlib import closing

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goodsgate.protocols.productsup.rates import PublishedRates
from tests.http_gate import HttpGate
from tests.protocols.productsup.client import JSON_API, Productsup
from tests.shop import Shop

NAMES = ("ratelimit-limit", "ratelimit-observed", "ratelimit-remaining", "ratelimit-reset")
SAMPLE = 1651174222.5


def _rate_headers(response: httpx.Response) -> tuple[int, int, int]:
    """Return limit, observed and remaining, after a check that all four are whole numbers."""
    limit, observed, remaining, reset = (int(response.headers[name]) for name in NAMES)
    assert abs(reset - time.time()) < 120
    assert (remaining, observed <= limit) == (limit - observed, True)
    return limit, observed, remaining


def test_the_published_sample() -> None:
    """The headers are limit 5, observed 1, remaining 4, reset 1651174223."""
    headers = PublishedRates(enforced=True, clock=lambda: SAMPLE).count("k", "/streams").headers
    assert [headers[name] for name in NAMES] == ["5", "1", "4", "1651174223"]


def test_c9_observed_counts_requests() -> None:
    """It is not the remainder, as a documentation page says, and never exceeds the limit."""
    rates = PublishedRates(enforced=True, clock=lambda: SAMPLE)
    headers = [rates.count("k", "/streams").headers for _ in range(7)]
    assert [int(one["ratelimit-observed"]) for one in headers] == [1, 2, 3, 4, 5, 5, 5]
    assert [int(one["ratelimit-remaining"]) for one in headers] == [4, 3, 2, 1, 0, 0, 0]


@pytest.mark.parametrize(("path", "limit"), [
    ("/streams/7/products", 30), ("/streams/7/products/A/1", 30), ("/streams/7/batches/x", 100), ("/streams/7", 5),
    ("/streams", 5), ("/", 5), ("/streams/7/productsx", 5), ("/nothing", 5),
])
def test_each_path_has_its_rate(path: str, limit: int) -> None:
    """Paths below a path of a stream share its rate."""
    assert PublishedRates(enforced=True).count("k", path).limit == limit


PATHS = ["/streams/1/products", "/streams/1/products/x", "/streams/2/products", "/"]


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(PATHS), st.floats(0, 0.7)), max_size=60))
def test_counts_are_reset_every_second(asked: list[tuple[str, str, float]]) -> None:
    """They are kept by token and path."""
    now = [SAMPLE]
    rates = PublishedRates(enforced=True, clock=lambda: now[0])
    seen: dict[tuple[int, str, str], int] = {}
    for who, path, pause in asked:
        now[0] += pause
        name = (int(now[0]), who, path.removesuffix("/x"))
        seen[name] = seen.get(name, 0) + 1
        rate = rates.count(who, path)
        assert (rate.requests, rate.ends_at) == (seen[name], int(now[0]) + 1)


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpGate]:
    """Serve a gate that enforces the rates."""
    with Shop(tmp_path_factory.mktemp("rates")) as shop:
        served = HttpGate(shop)
        yield served
        served.close()


def test_excess_requests_are_refused(strict: HttpGate) -> None:
    """The answer is 429 with the published body; other streams, and the next second, are not affected."""
    with closing(Productsup(strict, strict.merchant())) as client:
        busy, calm = client.create_stream("Busy"), client.create_stream("Calm")
        named = {"content-type": "application/x-ndjson"}
        response = client.get("/streams")
        while response.status_code != 429:  # what is refused for its type costs little, so that a second is enough
            response = client.post(f"/streams/{busy}/products", content=b"x", headers={"content-type": "text/csv"})
        assert response.content == b'{"errors":[{"status":"429","title":"Too Many Requests"}]}'
        assert response.headers["content-type"] == JSON_API
        assert _rate_headers(response) == (30, 30, 0)
        assert client.post(f"/streams/{calm}/products", content=b'{"id":"1"}', headers=named).status_code == 202
        time.sleep(max(0.0, int(response.headers["ratelimit-reset"]) - time.time()))
        assert client.post(f"/streams/{busy}/products", content=b'{"id":"1"}', headers=named).status_code == 202


def test_the_root_has_a_message(sender: Productsup) -> None:
    """It needs no token and answers HEAD, too."""
    anonymous = sender.gate.anonymous()
    response = anonymous.get("/")
    assert (response.status_code, response.headers["content-type"]) == (200, "application/json")
    assert isinstance(response.json()["message"], str)
    head = anonymous.head("/")
    assert (head.status_code, head.content) == (200, b"")
    for one in (response, head):
        assert _rate_headers(one)[0] == 5


def test_every_answer_carries_the_headers(sender: Productsup) -> None:
    """This holds for every status that the protocol sends."""
    named = {"content-type": "application/x-ndjson"}
    stream = sender.create_stream()
    answers = [
        sender.get("/streams"), sender.get("/streams?page[limit]=11"), sender.create("ab"), sender.create("Another"),
        sender.get("/streams/99"), sender.get("/streams/x"), sender.get("/streams/1/nothing"), sender.put("/streams"),
        sender.post(f"/streams/{stream}/products", content=b'{"id":"1"}', headers=named),
        sender.post(f"/streams/{stream}/products", content=b"{}", headers=named),
        sender.post(f"/streams/{stream}/products", content=b"{}", headers={"content-type": "text/csv"}),
        sender.gate.anonymous().get("/streams"), sender.delete(f"/streams/{stream}"),
    ]
    statuses = {response.status_code for response in answers}
    assert statuses == {200, 201, 202, 204, 400, 401, 404, 405, 409, 415, 422}
    for response in answers:
        _rate_headers(response)
