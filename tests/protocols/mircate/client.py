"""A client as somebody would write it for Mircate: a base URL, a project and a key."""

import base64
import time
from collections.abc import Callable, Iterable
from typing import Any

import httpx
import orjson
import pytest

from goodsgate.model.batch import State
from goodsgate.store.contract import BatchFilter
from tests.served import Served

ONE_STORE = pytest.mark.parametrize("gate", ["sqlite"], indirect=True, scope="module")
"""For tables in which the store has no part: once is enough."""
ROOT = "/5p1hp1d2t/CALL"


class Mircate(httpx.Client):
    """One key's client; its merchant's id is its project."""

    def __init__(self, gate: Served, merchant: str, *, scopes: Iterable[str] = ("submit", "read")) -> None:
        super().__init__(base_url=gate.url, timeout=30, trust_env=False)
        self.gate = gate
        self.merchant = merchant
        self.headers["x-api-key"] = gate.secret(merchant, scopes)

    def call(self, name: str, words: Any = None, *, instance: str | None = None, **more: Any) -> httpx.Response:
        """POST of ``Class/method`` with the words as its body."""
        return self.post(self.path(name, instance), json={} if words is None else words, **more)

    def ask(self, name: str, words: Any = None, *, instance: str | None = None) -> httpx.Response:
        """GET of the same, as the platform's own client does it."""
        data = base64.b64encode(orjson.dumps(words or {}, option=orjson.OPT_SORT_KEYS)).decode()
        query = {"data": data, "__isbase64": "true", "__culture": "en-us", "__platform": "WEB"}
        return self.get(self.path(name, instance), params=query)

    def ended(self, batch: str) -> dict[str, Any]:
        """The status of a batch once it has ended."""
        return self.status(batch, until=lambda told: told["batchStatus"] in ("DONE", "FAILED"))

    def status(self, batch: str, *, until: Callable[[dict[str, Any]], bool] = bool) -> dict[str, Any]:
        """The status of a batch once it is so."""
        return self.until("MerchantImportJob/checkBatchStatus", {}, until, instance=batch)

    def until(self, name: str, words: Any, so: Callable[[dict[str, Any]], bool], *, instance: str | None = None,
              ) -> dict[str, Any]:
        """What a method answers once it is so."""
        end = time.monotonic() + 60
        while True:
            response = self.call(name, words, instance=instance)
            assert response.status_code == 200, response.text
            told: dict[str, Any] = response.json()
            if so(told):
                return told
            assert time.monotonic() < end, told
            time.sleep(0.01)

    def idle(self) -> None:
        """Wait until nothing of the merchant is queued or worked."""
        until = time.monotonic() + 60
        store = self.gate.shop.store
        while any(store.batches(self.merchant, BatchFilter(state=state)).rows for state in (State.QUEUED,
            State.WORKING)):
            assert time.monotonic() < until
            time.sleep(0.01)

    def path(self, name: str, instance: str | None = None) -> str:
        """Where a method is called."""
        return f"{ROOT}/{name}/{self.merchant if instance is None else instance}"


def message(response: httpx.Response, status: int) -> str:
    """Of a refusal with this status."""
    assert response.status_code == status, response.text
    assert int(response.headers["x-srv-time"]) > 0
    return str(response.json()["message"])
