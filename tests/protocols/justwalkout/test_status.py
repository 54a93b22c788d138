"""Where an ingestion is, and the links to its report."""

import re
from datetime import timedelta
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx
import msgspec
import pytest

from goodsgate.model.batch import Counts, State, new_id, now
from goodsgate.protocols.justwalkout import report, unpublished
from tests.protocols.justwalkout.client import ONE_STORE, item

STATUS = "/v1/catalog/getCatalogUploadStatus"


def test_from_the_queue_to_the_report(retailer):
    """The link is empty until there is a report, and another one each time."""
    ingestion = retailer.upload(item(1)).json()["ingestionId"]
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", ingestion)
    assert retailer.status(ingestion) == {"processingStatus": "INQUEUE", "reportDownloadLink": ""}
    retailer.gate.shop.work()
    told = retailer.status(ingestion)
    assert told["processingStatus"] == "DONE"
    path = f"/v1/catalog/reports/{retailer.merchant}/{ingestion}"
    assert told["reportDownloadLink"].startswith(f"{retailer.gate.url}{path}?")
    assert dict(parse_qsl(urlsplit(told["reportDownloadLink"]).query))["X-Amz-Expires"] == "3600"


def test_a_cancelled_ingestion_has_no_report(retailer):
    """The operator cancels it before it is worked."""
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
def test_every_state_has_its_word(retailer, state, counts, word, linked):
    """No other words are ever sent."""
    batch = retailer.gate.shop.store.batch(
        retailer.merchant, unpublished.batch_of(retailer.upload(item(1)).json()["ingestionId"])
    )
    made = msgspec.structs.replace(batch, state=state, counts=counts)
    assert (unpublished.STATUS_OF_STATE[state], unpublished.has_report(made)) == (word, linked)
    assert set(unpublished.STATUS_OF_STATE) == set(State)


def test_an_id_of_nobody_or_somebody_else_is_400(retailer, stranger):
    """Never 404; both say the same."""
    ingestion = stranger.upload(item(1, "OTHER-1")).json()["ingestionId"]
    fresh = unpublished.ingestion_of(new_id())
    for unknown in (ingestion, fresh, "x", "\u00e9", ingestion.upper(), ingestion.replace("-", "")):
        answered = retailer.call(STATUS, {"ingestionId": unknown})
        assert (answered.status_code, answered.json()) == (400, {"errorMsg": "Invalid ingestionId"})
        assert answered.headers["x-amzn-errortype"] == "InvalidRequestException"


@ONE_STORE
@pytest.mark.parametrize("document", [
    b"", b"{", {}, [], {"ingestionId": ""}, {"ingestionId": 5}, {"ingestionId": "x" * 256},
], ids=range(7))
def test_a_question_that_is_none_is_refused(retailer, document):
    """As a request that does not fit the model."""
    answered = retailer.call(STATUS, document)
    assert (answered.status_code, answered.json()) == (400, {"errorMsg": "Invalid request body"})
    assert answered.headers["x-amzn-errortype"] == "BadRequestException"


@ONE_STORE
def test_batches_of_other_protocols_are_none_of_its_own(retailer):
    """Though they are the same merchant's."""
    batch = retailer.gate.shop.send([{"id": "A-1"}], merchant=retailer.merchant)
    assert retailer.call(STATUS, {"ingestionId": unpublished.ingestion_of(batch)}).status_code == 400


def _link(retailer) -> str:
    accepted = retailer.upload(item(1)).json()["ingestionId"]
    retailer.gate.shop.work()
    return retailer.status(accepted)["reportDownloadLink"]


def _get(link: str) -> httpx.Response:
    return httpx.get(link, trust_env=False)


def test_a_link_is_good_for_an_hour(retailer, monkeypatch):
    """Then it answers as one of S3 does."""
    link = _link(retailer)
    assert _get(link).status_code == 200
    for minutes, status in ((59, 200), (61, 403)):
        monkeypatch.setattr(report, "now", lambda minutes=minutes: now() + timedelta(minutes=minutes))
        assert _get(link).status_code == status
    answered = _get(link)
    assert answered.headers["content-type"] == "application/xml"
    assert "<Code>AccessDenied</Code><Message>Request has expired</Message>" in answered.text
    assert "<X-Amz-Expires>3600</X-Amz-Expires><Expires>" in answered.text
    assert "<ServerTime>" in answered.text


@ONE_STORE
def test_a_link_that_was_changed_is_none(retailer, stranger):
    """Any of its parts; and one report's signature is not another's."""
    link, other = _link(retailer), _link(retailer)
    for name in ("X-Amz-Signature", "X-Amz-Date", "X-Amz-Expires", "X-Amz-Credential", "X-Amz-Algorithm"):
        parts = dict(parse_qsl(urlsplit(link).query))
        last = "0" if parts[name][-1] != "0" else "1"
        for value in ("", parts[name][:-1] + last, "\u00e9", parts[name] + "0" * 80):
            changed = f"{link.partition('?')[0]}?{urlencode({**parts, name: value})}"
            answered = _get(changed)
            assert answered.status_code in (400, 403), (name, value)
            assert answered.text.startswith('<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>')
    swapped = f"{link.partition('?')[0]}?{other.partition('?')[2]}"
    assert "<Code>SignatureDoesNotMatch</Code>" in _get(swapped).text
    elsewhere = link.replace(f"/{retailer.merchant}/", f"/{stranger.merchant}/")
    assert "<Code>SignatureDoesNotMatch</Code>" in _get(elsewhere).text
    assert "<Code>AccessDenied</Code><Message>Access Denied</Message>" in _get(link.partition("?")[0]).text


@ONE_STORE
def test_a_path_of_no_report_is_no_key(retailer):
    """As S3 says it."""
    answered = _get(f"{retailer.gate.url}/v1/catalog/reports/acme/x")
    assert answered.status_code == 404
    assert "<Code>NoSuchKey</Code>" in answered.text
