"""Global products and datasets: nobody has published more of them than their names, so they are here in a minimal form.

Global products are items of a collection of their own, worked as all products are. A dataset is a resource, its values
in it.
"""

from typing import Any

import msgspec
import orjson
from starlette.responses import Response

from goodsgate.http.context import ServerContext
from goodsgate.http.json_batches import join_records, submit_body
from goodsgate.model.batch import Kind, Policy, Strictness, Verb, now
from goodsgate.model.catalogue import Resource
from goodsgate.protocols.mircate.answers import answer, bad, busy, missing
from goodsgate.protocols.mircate.guesses import PROTOCOL
from goodsgate.protocols.mircate.jobs import FREQUENCY, TOTAL
from goodsgate.protocols.mircate.pim.guesses import (
    DATASET_BYTES_MAX,
    DATASET_SORT,
    DATASETS_MAX,
    GLOBAL_COLLECTION,
    PRODUCTS_BYTES_MAX,
)
from goodsgate.protocols.mircate.pim.records import check_depth, taken_apart
from goodsgate.protocols.mircate.transport import Asked, Method
from goodsgate.store.contract import NameTakenError, ResourcesFullError

UPSERT = Policy(schema="mircate/GlobalProduct", duplicates=Strictness.OFF, references=Strictness.OFF)
REMOVAL = msgspec.structs.replace(UPSERT, verb=Verb.DELETE)
MARK = "sku"
UNKNOWN = "Dataset not found!"
TRIES = 5
"""After which somebody else is quicker for too long."""


class GlobalProducts:
    """Receive Products, Get Global Products, Remove Global Products."""

    def __init__(self, context: ServerContext) -> None:
        self._context = context

    def methods(self) -> dict[str, Method]:
        """By operation id."""
        return {
            "receive_products": Method(work=self.receive, bytes_max=PRODUCTS_BYTES_MAX),
            "remove_global_products": Method(work=self.remove), "get_global_products": Method(work=self.get),
        }

    def receive(self, asked: Asked) -> Response:
        """Many products, acknowledged."""
        return self._handed_in(asked, UPSERT)

    def remove(self, asked: Asked) -> Response:
        """Many, by their sku."""
        return self._handed_in(asked, REMOVAL)

    def get(self, asked: Asked) -> Response:
        """A page of them, by sku."""
        offset, size = int(asked.arguments.get("pageFrom", 0)), int(asked.arguments.get("pageSize", 50))
        store, shelf = self._context.store, (asked.merchant, Kind.PRODUCT, GLOBAL_COLLECTION)
        total, rows = store.list_index(*shelf, MARK, offset=offset, limit=max(size, 1))
        found = [store.item(*shelf, key) for _, key in rows[:size]]
        products = [orjson.loads(item.document) for item in found if item is not None]
        return answer({"pageFrom": offset, "pageSize": size, "totalProducts": total, "products": products})

    def _handed_in(self, asked: Asked, policy: Policy) -> Response:
        records = taken_apart(asked.content)
        format, body = join_records(records)
        submission = self._context.engine.submit(
            merchant=asked.merchant, kind=Kind.PRODUCT, collection=GLOBAL_COLLECTION, policy=policy, format=format,
            label=f"global {policy.verb} {len(records)}", protocol=PROTOCOL, protocol_data={TOTAL: str(len(records)),
                FREQUENCY: "0"},
        )
        return answer({"batchId": submit_body(submission, body, self._context).id})


class Datasets:
    """Create, Update, Delete, Value Upsert, Value Delete, List Sources, List Values."""

    def __init__(self, context: ServerContext) -> None:
        self._store = context.store

    def methods(self) -> dict[str, Method]:
        """By operation id."""
        return {
            "dataset_create": Method(work=self.create), "dataset_update": Method(work=self.update),
            "dataset_delete": Method(work=self.delete), "dataset_value_upsert": Method(work=self.put_values),
            "dataset_value_delete": Method(work=self.drop_values), "dataset_list_sources": Method(work=self.sources),
            "dataset_list_values": Method(work=self.values),
        }

    def create(self, asked: Asked) -> Response:
        """An empty one."""
        try:
            made = self._store.add_resource(
                asked.merchant, DATASET_SORT, name=asked.arguments["name"], body=b"{}", resources_max=DATASETS_MAX
            )
        except NameTakenError as fault:
            raise bad("Dataset already exist!") from fault
        except ResourcesFullError as fault:
            raise bad(f"There are {DATASETS_MAX} datasets, which is as many as there may be.") from fault
        return answer({"datasetId": str(made.number)})

    def update(self, asked: Asked) -> Response:
        """Another name."""
        try:
            self._put(asked, lambda held: msgspec.structs.replace(held, name=asked.arguments["name"]))
        except NameTakenError as fault:
            raise bad("Dataset already exist!") from fault
        return answer()

    def delete(self, asked: Asked) -> Response:
        """With its values."""
        self._put(asked, lambda held: msgspec.structs.replace(held, expires_at=now()))
        return answer()

    def put_values(self, asked: Asked) -> Response:
        """Values by their keys."""
        check_depth(asked.arguments)
        given = {one["key"]: one["value"] for one in asked.arguments["values"]}
        self._change(asked, lambda held: {**held, **given})
        return answer()

    def drop_values(self, asked: Asked) -> Response:
        """By their keys; those that are not there are gone already."""
        gone = set(asked.arguments["keys"])
        self._change(asked, lambda held: {key: value for key, value in held.items() if key not in gone})
        return answer()

    def sources(self, asked: Asked) -> Response:
        """All of them."""
        found = self._store.resources(asked.merchant, DATASET_SORT, limit=DATASETS_MAX)
        return answer({"sources": [{"datasetId": str(one.number), "name": one.name} for one in found]})

    def values(self, asked: Asked) -> Response:
        """A page, by key."""
        offset, size = int(asked.arguments.get("pageFrom", 0)), int(asked.arguments.get("pageSize", 50))
        held = sorted(orjson.loads(self._resource(asked).body).items())
        page = [{"key": key, "value": value} for key, value in held[offset : offset + size]]
        return answer({"values": page, "pageFrom": offset, "pageSize": size, "total": len(held)})

    def _resource(self, asked: Asked) -> Resource:
        id = asked.arguments["datasetId"]
        found = self._store.resource(asked.merchant, DATASET_SORT, int(id)) if id.isdecimal() else None
        if found is None or found.expires_at is not None:
            raise missing(UNKNOWN)
        return found

    def _change(self, asked: Asked, change: Any) -> None:
        def changed(held: Resource) -> Resource:
            body = orjson.dumps(change(orjson.loads(held.body)))
            if len(body) > DATASET_BYTES_MAX:
                raise bad(f"A dataset may have {DATASET_BYTES_MAX} bytes.")
            return msgspec.structs.replace(held, body=body)

        self._put(asked, changed)

    def _put(self, asked: Asked, change: Any) -> None:
        for _ in range(TRIES):
            if self._store.put_resource(change(self._resource(asked))) is not None:
                return
        raise busy()
