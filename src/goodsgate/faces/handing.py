"""Records that a face has in hand, made durable as one batch."""

from goodsgate.engine import Submission
from goodsgate.faces.door import Door
from goodsgate.model.batch import Batch


def joined(records: list[bytes]) -> tuple[str, bytes]:
    """Format and body of a batch: a record a line, which is read fastest, unless one is written over several lines."""
    lines = b"\n".join(records)
    if lines.count(b"\n") == len(records) - 1 and b"\r" not in lines:
        return "ndjson", lines
    return "json", b"[%s]" % b",".join(records)


def hand_in(submission: Submission, content: bytes, door: Door) -> Batch:
    """Make a body durable as a batch; nothing remains of one that is refused."""
    try:
        submission.write(content)
        batch = submission.finish().batch
    except BaseException:
        submission.abort()
        door.metrics.submissions.labels("refused").inc()
        raise
    assert batch is not None
    door.metrics.body_bytes.inc(len(content))
    door.metrics.submissions.labels("accepted").inc()
    return batch
