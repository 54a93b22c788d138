"""The status of an ingestion, and the links to its report."""

import re
from contextlib import closing
from datetime import timedelta
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import httpx
import msgspec
import pytest

from goodsgate.engine.saved_guards import save_guard
from goodsgate.model.batch import Counts, State, new_id, now
from goodsgate.model.guard import Guard
from goodsgate.protocols.justwalkout import report, unpublished
from tests.http_gate import HttpGate
from tests.protocols.justwalkout.client import ONE_STORE, JustWalkOut, item
from tests.shop import Shop

STATUS = "/v1/catalog/getCatalogUploadStatus"


def test_from_the_queue_to_the_report(retailer):
    """The link is empty until there is a report, and new each time."""
    ingestion = retailer.upload(item(1)).json()["ingestionId"]
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", ingestion)
    assert retailer.status(ingestion) == {"processingStatus": "INQUEUE", "reportDownloadLink": ""}
    retailer.gate.shop.work()
    result = retailer.status(ingestion)
    assert result["processingStatus"] == "DONE"
    path = f"/v1/catalog/reports/{retailer.merchant}/{ingestion}"
    assert result["reportDownloadLink"].startswith(f"{retailer.gate.url}{path}?")
    assert dict(parse_qsl(urlsplit(result["reportDownloadLink"]).query))["X-Amz-Expires"] == "3600"


def test_a_cancelled_ingestion_has_no_report(retailer):
    """The operator cancels it before it is processed."""
    ingestion = retailer.upload(item(1)).json()["ingestionId"]
    retailer.gate.shop.engine.cancel(retailer.merchant, unpublished.batch_of(ingestion))
    retailer.gate.shop.work()
    assert retailer.status(ingestion) == {"processingStatus": "CANCELLED", "reportDownloadLink": ""}


@ONE_STORE
@pytest.mark.parametrize(("state", "counts", "word", "linked"), [
    (State.RECEIVING, Counts(), "INQUEUE", False), (State.QUEUED, Counts(), "INQUEUE", False),
    (State.WORKING, Counts(created=3), "INPROGRESS", False), (State.FINISHED, Counts(), "DONE", True),
    (State.CANCELLED, Counts(cancelled=3), "CANCELLED", False),
    (State.CANCELLED, Counts(created=1, cancelled=2), "CANCELLED", True), (State.BROKEN, Counts(), "FATAL", True),
])
def test_every_state_has_its_name(retailer, state, counts, word, linked):
    """No other names are sent."""
    batch = retailer.gate.shop.store.batch(
        retailer.merchant, unpublished.batch_of(retailer.upload(item(1)).json()["ingestionId"])
    )
    changed = msgspec.structs.replace(batch, state=state, counts=counts)
    assert (unpublished.STATUS_OF_STATE[state], unpublished.has_report(changed)) == (word, linked)
    assert set(unpublished.STATUS_OF_STATE) == set(State)


def test_an_unknown_or_foreign_id_gets_400(retailer, stranger):
    """There is no 404; both have the same text."""
    ingestion = stranger.upload(item(1, "OTHER-1")).json()["ingestionId"]
    fresh = unpublished.ingestion_of(new_id())
    for unknown in (ingestion, fresh, "x", "\u00e9", ingestion.upper(), ingestion.replace("-", "")):
        response = retailer.call(STATUS, {"ingestionId": unknown})
        assert (response.status_code, response.json()) == (400, {"errorMsg": "Invalid ingestionId"})
        assert response.headers["x-amzn-errortype"] == "InvalidRequestException"


@ONE_STORE
@pytest.mark.parametrize("document", [
    b"", b"{", {}, [], {"ingestionId": ""}, {"ingestionId": 5}, {"ingestionId": "x" * 256},
], ids=range(7))
def test_invalid_bodies_are_refused(retailer, document):
    """They get the error of a request that does not match the model."""
    response = retailer.call(STATUS, document)
    assert (response.status_code, response.json()) == (400, {"errorMsg": "Invalid request body"})
    assert response.headers["x-amzn-errortype"] == "BadRequestException"


@ONE_STORE
def test_batches_of_other_protocols_are_unknown(retailer):
    """They belong to the same merchant."""
    batch = retailer.gate.shop.send([{"id": "A-1"}], merchant=retailer.merchant)
    assert retailer.call(STATUS, {"ingestionId": unpublished.ingestion_of(batch)}).status_code == 400


def _link(retailer) -> str:
    accepted = retailer.upload(item(1)).json()["ingestionId"]
    retailer.gate.shop.work()
    return retailer.status(accepted)["reportDownloadLink"]


def _get(link: str) -> httpx.Response:
    return httpx.get(link, trust_env=False)


def test_a_link_expires_after_an_hour(retailer, monkeypatch):
    """Then the answer is that of S3."""
    link = _link(retailer)
    assert _get(link).status_code == 200
    for minutes, status in ((59, 200), (61, 403)):
        monkeypatch.setattr(report, "now", lambda minutes=minutes: now() + timedelta(minutes=minutes))
        assert _get(link).status_code == status
    response = _get(link)
    assert response.headers["content-type"] == "application/xml"
    assert "<Code>AccessDenied</Code><Message>Request has expired</Message>" in response.text
    assert "<X-Amz-Expires>3600</X-Amz-Expires><Expires>" in response.text
    assert "<ServerTime>" in response.text


def test_the_life_of_a_link_is_a_setting(tmp_path, monkeypatch):
    """The link says how long it lives."""
    with Shop(tmp_path, kind="sqlite", report_link_seconds=120) as shop:
        gate = HttpGate(shop)
        with closing(JustWalkOut(gate, gate.merchant(), "STORE-1")) as client:
            link = _link(client)
        assert parse_qs(urlsplit(link).query)["X-Amz-Expires"] == ["120"]
        for seconds, status in ((110, 200), (121, 403)):
            monkeypatch.setattr(report, "now", lambda seconds=seconds: now() + timedelta(seconds=seconds))
            assert _get(link).status_code == status
        gate.close()


@ONE_STORE
def test_a_changed_link_is_refused(retailer, stranger):
    """Each part is signed, and a signature works for one report only."""
    link, other = _link(retailer), _link(retailer)
    for name in ("X-Amz-Signature", "X-Amz-Date", "X-Amz-Expires", "X-Amz-Credential", "X-Amz-Algorithm"):
        parts = dict(parse_qsl(urlsplit(link).query))
        last = "0" if parts[name][-1] != "0" else "1"
        for value in ("", parts[name][:-1] + last, "\u00e9", parts[name] + "0" * 80):
            changed = f"{link.partition('?')[0]}?{urlencode({**parts, name: value})}"
            response = _get(changed)
            assert response.status_code in (400, 403), (name, value)
            assert response.text.startswith('<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>')
    swapped = f"{link.partition('?')[0]}?{other.partition('?')[2]}"
    assert "<Code>SignatureDoesNotMatch</Code>" in _get(swapped).text
    elsewhere = link.replace(f"/{retailer.merchant}/", f"/{stranger.merchant}/")
    assert "<Code>SignatureDoesNotMatch</Code>" in _get(elsewhere).text
    assert "<Code>AccessDenied</Code><Message>Access Denied</Message>" in _get(link.partition("?")[0]).text


@ONE_STORE
def test_an_unknown_path_has_no_report(retailer):
    """The answer is that of S3."""
    response = _get(f"{retailer.gate.url}/v1/catalog/reports/acme/x")
    assert response.status_code == 404
    assert "<Code>NoSuchKey</Code>" in response.text


def test_a_held_ingestion_is_in_progress(retailer):
    """It has no report; discarded, it is cancelled."""
    shop = retailer.gate.shop
    save_guard(shop.store, retailer.merchant, "new", Guard(hold_if={"created": "1"}))
    ingestion = retailer.upload(item(1)).json()["ingestionId"]
    shop.work()
    assert retailer.status(ingestion) == {"processingStatus": "INPROGRESS", "reportDownloadLink": ""}
    shop.engine.discard(retailer.merchant, unpublished.batch_of(ingestion))
    shop.work()
    assert retailer.status(ingestion) == {"processingStatus": "CANCELLED", "reportDownloadLink": ""}
