"""A test client for Mircate: a base URL, a project and a key."""

import base64
import time
from collections.abc import Callable, Iterable
from typing import Any

import httpx
import orjson
import pytest

from goodsgate.model.batch import State
from goodsgate.store.contract import BatchFilter
from tests.http_gate import HttpGate

ONE_STORE = pytest.mark.parametrize("gate", ["sqlite"], indirect=True, scope="module")
"""For tables in which the store has no part: once is enough."""
ROOT = "/5p1hp1d2t/CALL"


class Mircate(httpx.Client):
    """The HTTP client of one key, whose merchant's id is its project."""

    def __init__(self, gate: HttpGate, merchant: str, *, scopes: Iterable[str] = ("submit", "read")) -> None:
        super().__init__(base_url=gate.url, timeout=60, trust_env=False)
        self.gate = gate
        self.merchant = merchant
        self.headers["x-api-key"] = gate.secret(merchant, scopes)

    def call(self, name: str, arguments: Any = None, *, instance: str | None = None, **more: Any) -> httpx.Response:
        """POST a document to ``Class/method``."""
        return self.post(self.path(name, instance), json={} if arguments is None else arguments, **more)

    def call_by_get(self, name: str, arguments: Any = None, *, instance: str | None = None) -> httpx.Response:
        """Call a method by GET, as the platform's own client does."""
        data = base64.b64encode(orjson.dumps(arguments or {}, option=orjson.OPT_SORT_KEYS)).decode()
        query = {"data": data, "__isbase64": "true", "__culture": "en-us", "__platform": "WEB"}
        return self.get(self.path(name, instance), params=query)

    def final_status(self, batch: str) -> dict[str, Any]:
        """Return the status of a batch once it has final_status."""
        return self.status(batch, until=lambda result: result["batchStatus"] in ("DONE", "FAILED"))

    def status(self, batch: str, *, until: Callable[[dict[str, Any]], bool] = bool) -> dict[str, Any]:
        """Return the status of a batch once a condition holds."""
        return self.until("MerchantImportJob/checkBatchStatus", {}, until, instance=batch)

    def until(self, name: str, arguments: Any, so: Callable[[dict[str, Any]], bool], *, instance: str | None = None,
              ) -> dict[str, Any]:
        """Return the answer of a method once a condition holds."""
        end = time.monotonic() + 60
        while True:
            response = self.call(name, arguments, instance=instance)
            assert response.status_code == 200, response.text
            result: dict[str, Any] = response.json()
            if so(result):
                return result
            assert time.monotonic() < end, result
            time.sleep(0.01)

    def idle(self) -> None:
        """Wait until no batch of the merchant is queued or in progress."""
        until = time.monotonic() + 60
        store = self.gate.shop.store
        while any(store.batches(self.merchant, BatchFilter(state=state)).rows for state in (State.QUEUED,
            State.WORKING)):
            assert time.monotonic() < until
            time.sleep(0.01)

    def path(self, name: str, instance: str | None = None) -> str:
        """Return the path of a method."""
        return f"{ROOT}/{name}/{self.merchant if instance is None else instance}"


def message(response: httpx.Response, status: int) -> str:
    """Return the message of a refusal, after a check of its status."""
    assert response.status_code == status, response.text
    assert int(response.headers["x-srv-time"]) > 0
    return str(response.json()["message"])
