"""Products on their way in: through the lane, one by one with an answer, or many as a batch."""

from collections.abc import Awaitable
from typing import Any

import msgspec
from starlette.responses import Response

from goodsgate.faces.door import Door
from goodsgate.faces.handing import hand_in, joined
from goodsgate.faces.mircate.answers import answer, bad, missing
from goodsgate.faces.mircate.guesses import FACE
from goodsgate.faces.mircate.jobs import FREQUENCY, TOTAL, Jobs
from goodsgate.faces.mircate.pim.guesses import (
    COLLECTION,
    PREFIX,
    PRODUCT_BYTES_MAX,
    PRODUCTS_BYTES_MAX,
    SYNCHRONOUS_SECONDS_MAX,
)
from goodsgate.faces.mircate.pim.listing import times_of, token_of
from goodsgate.faces.mircate.pim.records import id_of, key_of, refusal, taken_apart, with_id
from goodsgate.faces.mircate.pim.unused import HAD, TOPIC, own_images
from goodsgate.faces.mircate.transport import Asked, Method
from goodsgate.faces.watching import Documents
from goodsgate.model.batch import ENDED, Kind, Policy, State, Treatment, Verb

UPSERT = Policy(
    verb=Verb.UPDATE, schema="mircate/ProductRecord", makes=True, duplicates=Treatment.OFF, references=Treatment.OFF
)
REMOVAL = Policy(
    verb=Verb.DELETE, schema="mircate/ProductRemoval", duplicates=Treatment.OFF, references=Treatment.OFF
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

    def __init__(self, door: Door) -> None:
        self._door = door
        self._jobs = Jobs(door)
        self._documents = Documents(door.pulse, self._make)

    def methods(self) -> dict[str, Method]:
        """By operation id."""
        return {
            "upsert_product": Method(work=self.upsert, bytes_max=PRODUCT_BYTES_MAX),
            "bulk_product_upsert": Method(work=self.bulk, bytes_max=PRODUCTS_BYTES_MAX),
            "pim_check_batch_status": Method(work=self.status), "delete_product": Method(work=self.delete),
        }

    def upsert(self, asked: Asked) -> Awaitable[Response]:
        """One product; answered when it is held, or not."""
        self._door.pulse.admit()
        batch = self.hand_in(asked, [with_id(asked.content)], UPSERT)
        return self._upserted(asked, batch)

    async def _upserted(self, asked: Asked, batch: str) -> Response:
        outcome = await self.outcome(asked.merchant, batch)
        if not outcome.ended:
            return answer({"batchId": batch}, status=202)
        if outcome.refused is not None:
            return answer(outcome.refused, status=400)
        return await self._door.hop(self._held, asked)

    def _held(self, asked: Asked) -> Response:
        key = id_of(asked.arguments)
        item = self._door.store.item(asked.merchant, Kind.PRODUCT, COLLECTION, key) if key is not None else None
        if item is None:  # somebody deleted it since
            raise missing()
        return answer({"meta": {**times_of(dict(item.marks)), "updateToken": token_of(item.document)}})

    def bulk(self, asked: Asked) -> Response:
        """Many products, acknowledged."""
        records = [with_id(product) for product in taken_apart(asked.content)]
        return answer({"batchId": self.hand_in(asked, records, UPSERT)})

    def hand_in(self, asked: Asked, records: list[bytes], policy: Policy, *, image: str = "") -> str:
        """Make records with ids durable as one batch, of which one may bring an image; its id."""
        format, body = joined(records)
        facts = {TOTAL: str(len(records)), FREQUENCY: "0"}
        images = own_images(asked, self._door.store, [key for record in records if (key := key_of(record))], image)
        if images:
            facts[HAD] = ",".join(images)
            policy = msgspec.structs.replace(policy, notify=TOPIC)
        submission = self._door.engine.submit(
            merchant=asked.merchant, kind=Kind.PRODUCT, collection=COLLECTION, policy=policy, format=format,
            label=f"{policy.verb} {len(records)}", face=FACE, facts=facts,
        )
        return hand_in(submission, body, self._door).id

    def status(self, asked: Asked) -> Response:
        """The seven members of a batch of products."""
        batch = self._door.store.batch(asked.merchant, asked.arguments["batchId"])
        if batch is None or batch.face != FACE or batch.kind is not Kind.PRODUCT:
            raise missing()
        return answer(self._jobs.words(batch, 0, int(batch.facts[TOTAL])))

    # -- one product that somebody waits for --------------------------------------------------------------------------

    def delete(self, asked: Asked) -> Awaitable[Response]:
        """By its id."""
        id = asked.arguments.get("id") or asked.arguments.get("sku")
        if not id:
            raise bad("'id' required!")
        self._door.pulse.admit()
        batch = self.hand_in(asked, [msgspec.json.encode({"id": id})], REMOVAL)
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
        with self._door.pulse.session():
            seconds = min(SYNCHRONOUS_SECONDS_MAX, self._door.config.wait_seconds_max)
            document = await self._documents.changed(merchant, batch, since=None, seconds=seconds)
        return msgspec.json.decode(document.body, type=Outcome)

    async def _make(self, merchant: str, batch: str) -> tuple[bytes, bool]:
        outcome = await self._door.hop(self._look, merchant, batch)
        return msgspec.json.encode(outcome), outcome.ended

    def _look(self, merchant: str, batch: str) -> Outcome:
        found = self._door.engine.batch(merchant, batch)
        if found.state not in ENDED:
            return Outcome(ended=False)
        if found.counts.rejected:
            finding = self._door.store.rejected(merchant, batch, limit=1)[0]
            unknown = any(told.code == "item_missing" for told in finding.issues)
            return Outcome(ended=True, unknown=unknown, refused=refusal(finding))
        if found.state is not State.FINISHED:
            return Outcome(ended=True, refused={"message": "The product was not worked; send it again."})
        return Outcome(ended=True)
