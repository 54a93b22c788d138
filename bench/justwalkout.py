"""The bars of the Just Walk Out protocol: uploads of 10,000 items, accepted and done, while nobody else is there."""

import json
import time
from collections.abc import Iterator

import httpx
import orjson
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from bench.figures import Figure, late
from bench.gate import Gate
from tests.protocols.justwalkout.client import item

ITEMS = 10_000
STORES = ("STORE-1", "STORE-2")
PATH = "/v1/catalog/upload"


def parts(short: bool) -> Iterator[Figure]:
    """Yield new items, then the same ones again with other prices."""
    accepted: list[float] = []
    done: list[float] = []
    again: list[float] = []
    turns = 4 if short else 30
    with Gate() as gate, httpx.Client(base_url=gate.url, timeout=60, trust_env=False) as client:
        places = [word for store in STORES for word in ("--location", store)]
        gate.run("merchant", "add", "retailer", "--set", "account=123456789012", *places, "--quiet")
        made = json.loads(gate.run("merchant", "key", "add", "retailer", "--signing", "--json"))
        key = str(gate.run("merchant", "key", "add", "retailer", "--quiet")).strip()
        credentials = Credentials(made["AWS_ACCESS_KEY_ID"], made["AWS_SECRET_ACCESS_KEY"])
        for turn in range(turns):
            for price, seconds in (("2.49", done), ("2.59", again)):
                body = _body(turn * ITEMS, price)
                headers = _signed(f"{gate.url}{PATH}", body, credentials)
                begin = time.perf_counter()
                answered = client.post(PATH, content=body, headers=headers)
                accepted.append(time.perf_counter() - begin)
                assert answered.status_code == 201, answered.text
                batch = answered.json()["ingestionId"].replace("-", "")
                counts = gate.finish(batch, key=key)["counts"]
                seconds.append(time.perf_counter() - begin)
                assert counts["created"] + counts["updated"] == ITEMS, counts
    yield late(f"upload of {ITEMS:,} items, 201", accepted, 250.0)
    yield late(f"upload of {ITEMS:,} new items, DONE", done, 1500.0)
    yield late(f"upload of {ITEMS:,} changed items, DONE", again, 1500.0)


def _body(first: int, price: str) -> bytes:
    """Items of two stores by turns, each with all that an item usually has."""
    more = {
        "brand_name": "Example", "product_tax_code": "A_GEN_TAX", "product_category": "Beverages",
        "product_subcategory": "Soda", "standard_price": price,
    }
    items = [item(number, STORES[number % 2], **more) for number in range(first, first + ITEMS)]
    return orjson.dumps({"catalogItems": items})


def _signed(url: str, body: bytes, credentials: Credentials) -> dict[str, str]:
    request = AWSRequest("POST", url, data=body, headers={"content-type": "application/json"})
    SigV4Auth(credentials, "execute-api", "us-east-1").add_auth(request)
    return dict(request.headers)
