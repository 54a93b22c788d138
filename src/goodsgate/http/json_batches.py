"""Records of a JSON request, submitted as one batch."""

from goodsgate.engine import Submission
from goodsgate.http.context import ServerContext
from goodsgate.model.batch import Batch


def join_records(records: list[bytes]) -> tuple[str, bytes]:
    """Return format and body of a batch: NDJSON, which is read fastest, unless a record spans several lines."""
    lines = b"\n".join(records)
    if lines.count(b"\n") == len(records) - 1 and b"\r" not in lines:
        return "ndjson", lines
    return "json", b"[%s]" % b",".join(records)


def submit_body(submission: Submission, content: bytes, context: ServerContext) -> Batch:
    """Submit a body and return the batch; nothing remains of a body that is refused."""
    try:
        submission.write(content)
        batch = submission.finish().batch
    except BaseException:
        submission.abort()
        context.metrics.submissions.labels("refused").inc()
        raise
    assert batch is not None
    context.metrics.body_bytes.inc(len(content))
    context.metrics.submissions.labels("accepted").inc()
    return batch
