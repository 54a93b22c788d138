"""The processing stage of batches that were cancelled or broken, or whose reports are deleted."""

from typing import Any

import pytest

from goodsgate.model.batch import Batch, Counts, Kind, Policy, State
from goodsgate.protocols.productsup.batches import CLEAR, DELETE, UPDATE
from goodsgate.protocols.productsup.processing import NOT_STORED, processing_stage
from goodsgate.protocols.productsup.upload_validation import ErrorExample, StageError, StageReport
from goodsgate.store.contract import Retention
from tests.factories import NOW
from tests.protocols.productsup.client import NDJSON, Productsup, Site, upload

CANCELLED = "The import was cancelled"


def _attributes(sender: Productsup, where: str) -> dict[str, Any]:
    """Return the attributes of a batch, after a check that its numbers of errors agree."""
    attributes: dict[str, Any] = sender.get(where).json()["data"]["attributes"]
    stages = [stage for stage in attributes["stages"].values() if stage is not None]
    for stage in stages:
        assert stage["errorCount"] == sum(problem["occurrences"] for problem in stage["errors"])
    assert attributes["errorCount"] == sum(stage["errorCount"] for stage in stages)
    return attributes


@pytest.mark.parametrize(("method", "path", "body", "lost"), [
    ("POST", "", b'{"id":"1"}\n{}\n{"id":"2"}', 2), ("DELETE", "", b'{"id":"1"}', 1), ("DELETE", "/1", b"", 1),
    ("DELETE", "?all=true", b"", 1),
])
def test_an_upload_that_an_operator_cancels(sender: Productsup, method: str, path: str, body: bytes, lost: int) -> None:
    """Each record that was not imported is an error of the processing stage, and so the batch has failed."""
    stream, site = sender.create_stream(), Site(sender)
    site.source(stream)
    sent = sender.request(method, f"/streams/{stream}/products{path}", content=body, headers=NDJSON)
    assert sent.status_code == 202, sent.text
    where, store = sent.headers["content-location"], sender.gate.shop.store
    assert store.cancel(sender.merchant, where.rpartition("/")[2].replace("-", ""))
    sender.gate.shop.work()
    attributes = _attributes(sender, where)
    assert attributes["status"] == "failed"
    processing = attributes["stages"]["processing"]
    assert (processing["status"], processing["successCount"], processing["errorCount"]) == ("failure", 0, lost)
    assert [problem["message"] for problem in processing["errors"]] == [CANCELLED]


UPLOAD = StageReport(completed_at=NOW, successes=5, failures=1, errors=[
    StageError("Syntax error", 1, ErrorExample(2, "{")),
])
RAW_UPLOAD = StageReport(completed_at=NOW, successes=6, failures=0, errors=[])


@pytest.mark.parametrize(("state", "policy", "counts", "expected", "stage"), [
    (State.CANCELLED, UPDATE, Counts(created=3, rejected=1, cancelled=2), None, (3, [(CANCELLED, 2)])),
    (State.BROKEN, UPDATE, Counts(created=3, rejected=1), None, (3, [("The import failed", 2)])),
    (State.CANCELLED, UPDATE, Counts(updated=5, rejected=1), None, (5, [])),
    (State.CANCELLED, UPDATE, Counts(created=3, rejected=1, cancelled=2), UPLOAD,
        (3, [("Syntax error", 1), (CANCELLED, 2)])),
    (State.CANCELLED, DELETE, Counts(), None, (0, [(CANCELLED, 5)])),
    (State.CANCELLED, CLEAR, Counts(deleted=4), None, (4, [(CANCELLED, 1)])),
    (State.FINISHED, CLEAR, Counts(deleted=9), None, (9, [])),
    (State.FINISHED, UPDATE, Counts(created=5, rejected=1), None, (5, [])),
])
def test_an_import_that_was_stopped(state: State, policy: Policy, counts: Counts, expected: StageReport | None,
                                    stage: tuple[int, list[tuple[str, int]]]) -> None:
    """What was imported before is a success, everything else an error."""
    batch = _batch(state, policy, counts)
    upload = RAW_UPLOAD if expected is not None else UPLOAD
    report = processing_stage(None, batch, upload, expected)  # type: ignore[arg-type]  # there are no issues to read
    assert report is not None
    assert (report.successes, [(error.message, error.occurrences) for error in report.errors]) == stage
    assert report.failures == sum(error.occurrences for error in report.errors)


def _batch(state: State, policy: Policy, counts: Counts) -> Batch:
    return Batch(
        merchant="acme", id="0" * 32, kind=Kind.PRODUCT, collection="productsup-1", policy=policy, format="ndjson",
        content_encoding="identity", label="", protocol="productsup", state=state, counts=counts, total=6,
        bytes_total=1, bytes_done=1, position=None, rounds=1, received_at=NOW, started_at=NOW, finished_at=NOW,
    )


def test_errors_agree_after_the_report_is_deleted(sender: Productsup) -> None:
    """As long as the batch is known, the errors of each stage add up to their number."""
    stream, site = sender.create_stream(), Site(sender)
    site.source(stream)
    where = upload(sender, stream, b'{"id":"1"}\n{"id":"%s"}\n{}\n{"id":"\\u0000"}' % (b"x" * 300))
    site.start()
    shop = sender.gate.shop
    shop.work()
    before = _attributes(sender, where)
    assert len(before["stages"]["processing"]["errors"]) == 2
    past = Retention(
        payload_seconds=0, report_seconds=0, batch_seconds=10**6, answer_seconds=10**6, tombstone_seconds=10**6
    )
    while shop.store.sweep(past, steps_max=10).reports:
        pass
    after = _attributes(sender, where)
    processing = after["stages"]["processing"]
    assert [(problem["message"], problem["occurrences"]) for problem in processing["errors"]] == [(NOT_STORED, 2)]
    assert {**before, "stages": {**before["stages"], "processing": processing}} == after
