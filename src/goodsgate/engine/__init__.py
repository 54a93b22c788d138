"""What happens to a record. Start reading here.

A client submits records through a protocol. `receive` writes the bytes to the store as they arrive; when all have
arrived they are a **batch**: durable, with an id, queued in the **lane** of its merchant, kind and
collection.

A `worker` claims the oldest **round** of a lane and works it **chunk** by chunk:

    for chunk in reader.chunks():                       # bytes → records
        checked = validator.check(chunk)                # records → documents, keys, issues
        changes = apply(checked, view)                  # documents → results and changes of items
        store.commit(claim, build_commit(changes))      # one transaction, fenced by the lease

Four files do it; read them in this order:

1. `reader` opens the round (a payload, a fix, or the rejected records of a retry) and yields its chunks.
2. `validator` maps the submitter's names to fields, runs the rules over every record, and computes keys and hashes.
3. `apply` compares the records, in order, with the current items, gives each a **result**, and collects the changes.
4. `scheduling` is the loop above, one class for each way to run it: one step after the other, the next chunk prepared
   while the last one commits, one record for each claim. It also halves a chunk that fails, until the record at fault
   stands alone, and deletes what a full feed no longer contains.

Beside them, `mapping_resolution` chooses how names are resolved: `table_header` and `table_mapping` for a table, by its
header, once; `member_mapping` for JSON, record by record; both by a profile. `groups` completes the rows of a product
that stands on several of them, `catalogue_view` looks up current items, `chunk_commit` puts together what the store
commits, and `small_batches` commits many small rounds at once. Records with a schema of their own are applied by
`apply_schema`. `api` is what protocols call; `report` writes what became of each record to a file that can be corrected
and sent back as a fix, which is one more round of the same batch.
"""

from goodsgate.engine.api import Engine
from goodsgate.engine.receive import Receipt, Submission
from goodsgate.engine.refusal import REFUSALS, Refusal
from goodsgate.engine.report import Report
from goodsgate.engine.worker import Worker

__all__ = ["REFUSALS", "Engine", "Receipt", "Refusal", "Report", "Submission", "Worker"]
