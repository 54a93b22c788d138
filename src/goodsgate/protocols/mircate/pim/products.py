"""Products on their way in: through the lane, one by one with an answer, or many as a batch."""

from collections.abc import Awaitable
from typing import Any

import msgspec
from starlette.responses import Response

from goodsgate.http.context import ServerContext
from goodsgate.http.json_batches import join_records, submit_body
from goodsgate.http.long_poll import DocumentCache
from goodsgate.model.batch import FINAL_STATES, Kind, Policy, State, Strictness, Verb
from goodsgate.protocols.mircate.answers import answer, bad, missing
from goodsgate.protocols.mircate.guesses import PROTOCOL
from goodsgate.protocols.mircate.jobs import FREQUENCY, TOTAL, Jobs
from goodsgate.protocols.mircate.pim.guesses import (
    COLLECTION,
    PREFIX,
    PRODUCT_BYTES_MAX,
    PRODUCTS_BYTES_MAX,
    SYNCHRONOUS_SECONDS_MAX,
)
from goodsgate.protocols.mircate.pim.listing import times_of, token_of
from goodsgate.protocols.mircate.pim.records import id_of, key_of, refusal, taken_apart, with_id
from goodsgate.protocols.mircate.pim.unused import HAD, TOPIC, own_images
from goodsgate.protocols.mircate.transport import Asked, Method

UPSERT = Policy(
    verb=Verb.UPDATE, schema="mircate/ProductRecord", update_creates=True, duplicates=Strictness.OFF,
    references=Strictness.OFF
)
REMOVAL = Policy(
    verb=Verb.DELETE, schema="mircate/ProductRemoval", duplicates=Strictness.OFF, references=Strictness.OFF
)


class Outcome(msgspec.Struct, frozen=True):
    """What became of a batch of one product."""

    ended: bool
    refused: dict[str, Any] | None = None
    """The body that says why."""
    unknown: bool = False
    """There is no such product."""


class Products:
    """Upsert Product, Bulk Product Upsert, Check Batch Status, Delete Product."""

    def __init__(self, context: ServerContext) -> None:
        self._context = context
        self._jobs = Jobs(context)
        self._documents = DocumentCache(context.change_signal, self._make)

    def methods(self) -> dict[str, Method]:
        """By operation id."""
        return {
            "upsert_product": Method(work=self.upsert, bytes_max=PRODUCT_BYTES_MAX),
            "bulk_product_upsert": Method(work=self.bulk, bytes_max=PRODUCTS_BYTES_MAX),
            "pim_check_batch_status": Method(work=self.status), "delete_product": Method(work=self.delete),
        }

    def upsert(self, asked: Asked) -> Awaitable[Response]:
        """One product; answered when it is held, or not."""
        self._context.change_signal.admit()
        batch = self.submit_body(asked, [with_id(asked.content)], UPSERT)
        return self._upserted(asked, batch)

    async def _upserted(self, asked: Asked, batch: str) -> Response:
        outcome = await self.outcome(asked.merchant, batch)
        if not outcome.ended:
            return answer({"batchId": batch}, status=202)
        if outcome.refused is not None:
            return answer(outcome.refused, status=400)
        return await self._context.run_in_thread(self._held, asked)

    def _held(self, asked: Asked) -> Response:
        key = id_of(asked.arguments)
        item = self._context.store.item(asked.merchant, Kind.PRODUCT, COLLECTION, key) if key is not None else None
        if item is None:  # somebody deleted it since
            raise missing()
        return answer({"meta": {**times_of(dict(item.index_entries)), "updateToken": token_of(item.document)}})

    def bulk(self, asked: Asked) -> Response:
        """Many products, acknowledged."""
        records = [with_id(product) for product in taken_apart(asked.content)]
        return answer({"batchId": self.submit_body(asked, records, UPSERT)})

    def submit_body(self, asked: Asked, records: list[bytes], policy: Policy, *, image: str = "") -> str:
        """Make records with ids durable as one batch, of which one may bring an image; its id."""
        format, body = join_records(records)
        facts = {TOTAL: str(len(records)), FREQUENCY: "0"}
        images = own_images(asked, self._context.store, [key for record in records if (key := key_of(record))], image)
        if images:
            facts[HAD] = ",".join(images)
            policy = msgspec.structs.replace(policy, notify=TOPIC)
        submission = self._context.engine.submit(
            merchant=asked.merchant, kind=Kind.PRODUCT, collection=COLLECTION, policy=policy, format=format,
            label=f"{policy.verb} {len(records)}", protocol=PROTOCOL, protocol_data=facts,
        )
        return submit_body(submission, body, self._context).id

    def status(self, asked: Asked) -> Response:
        """The seven members of a batch of products."""
        batch = self._context.store.batch(asked.merchant, asked.arguments["batchId"])
        if batch is None or batch.protocol != PROTOCOL or batch.kind is not Kind.PRODUCT:
            raise missing()
        return answer(self._jobs.words(batch, 0, int(batch.protocol_data[TOTAL])))

    # -- one product that somebody waits for --------------------------------------------------------------------------

    def delete(self, asked: Asked) -> Awaitable[Response]:
        """By its id."""
        id = asked.arguments.get("id") or asked.arguments.get("sku")
        if not id:
            raise bad("'id' required!")
        self._context.change_signal.admit()
        batch = self.submit_body(asked, [msgspec.json.encode({"id": id})], REMOVAL)
        return self._deleted(asked, batch)

    async def _deleted(self, asked: Asked, batch: str) -> Response:
        outcome = await self.outcome(asked.merchant, batch)
        if not outcome.ended:
            return answer({"batchId": batch}, status=202)
        if outcome.unknown:
            raise missing()
        if outcome.refused is not None:
            return answer({"message": outcome.refused["message"].removeprefix(PREFIX)}, status=400)
        return answer()

    async def outcome(self, merchant: str, batch: str) -> Outcome:
        """What became of a batch of one, as far as is known after a few seconds."""
        with self._context.change_signal.session():
            seconds = min(SYNCHRONOUS_SECONDS_MAX, self._context.config.wait_seconds_max)
            document = await self._documents.wait_for_change(merchant, batch, since=None, seconds=seconds)
        return msgspec.json.decode(document.body, type=Outcome)

    async def _make(self, merchant: str, batch: str) -> tuple[bytes, bool]:
        outcome = await self._context.run_in_thread(self._look, merchant, batch)
        return msgspec.json.encode(outcome), outcome.ended

    def _look(self, merchant: str, batch: str) -> Outcome:
        found = self._context.engine.batch(merchant, batch)
        if found.state not in FINAL_STATES:
            return Outcome(ended=False)
        if found.counts.rejected:
            finding = self._context.store.rejected_records(merchant, batch, limit=1)[0]
            unknown = any(told.code == "item_missing" for told in finding.issues)
            return Outcome(ended=True, unknown=unknown, refused=refusal(finding))
        if found.state is not State.FINISHED:
            return Outcome(ended=True, refused={"message": "The product was not worked; send it again."})
        return Outcome(ended=True)
