"""What happens to a record. Start reading here.

A **submission** comes in through a protocol. `receive` writes its bytes to the store as they arrive and seals them:
from then on there is a **batch**, durable, queued in the **lane** of its merchant and kind, and its id is answered.

A `worker` claims the head of a lane. It opens the batch's `source` (a payload, a fix that was sent back, or what an
earlier round rejected) and takes one stretch of records after the other. `shape` turns the submitter's names into
ours; `check` runs the rules over every document and hashes it; `apply` goes through the records in order, compares
with what is held and gives each its **result**; `portion` puts results, **issues**, counts and writes together, and
the store commits them at once or not at all. Then the worker looks whether somebody else waits, and goes on.

`report` reads it all back: who asks gets counts, groups of issues, each record's result, and a file that can be
corrected and sent back as a fix, which is one more **round** of the same batch.

    receive → check → apply → report        worker drives the middle two
"""

from goodsgate.engine.desk import Engine
from goodsgate.engine.receive import Receipt, Submission
from goodsgate.engine.refusal import REFUSALS, Refusal
from goodsgate.engine.report import Report
from goodsgate.engine.worker import Worker

__all__ = ["REFUSALS", "Engine", "Receipt", "Refusal", "Report", "Submission", "Worker"]
