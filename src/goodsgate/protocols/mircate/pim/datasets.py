"""Datasets: named values under keys, each dataset a resource.

The vendor has published only the names of the operations, so the forms are minimal.
"""

import re
from collections.abc import Callable
from typing import Any

import msgspec
from starlette.responses import Response

from goodsgate.http.context import ServerContext
from goodsgate.model.batch import now
from goodsgate.model.catalogue import Resource
from goodsgate.model.json_text import read_json, write_json
from goodsgate.protocols.mircate.dispatcher import CallMethod, MethodCall, page_bounds
from goodsgate.protocols.mircate.pim.records import check_depth
from goodsgate.protocols.mircate.pim.unpublished import DATASET_BYTES_MAX, DATASET_TYPE, DATASETS_MAX
from goodsgate.protocols.mircate.responses import bad_request, instance_busy, json_response, not_found
from goodsgate.store.contract import NameTakenError, ResourcesFullError

_NUMBER = re.compile(r"[0-9]{1,18}")

UNKNOWN = "Dataset not found!"
ATTEMPTS_MAX = 5
"""Attempts to store a change while other processes are faster."""


class DatasetMethods:
    """Methods Create, Update, Delete, Value Upsert, Value Delete, List Sources and List Values."""

    def __init__(self, context: ServerContext) -> None:
        self._store = context.store

    def methods(self) -> dict[str, CallMethod]:
        """Return the methods by operation id."""
        return {
            "dataset_create": CallMethod(work=self.create), "dataset_update": CallMethod(work=self.update),
            "dataset_delete": CallMethod(work=self.delete), "dataset_value_upsert": CallMethod(work=self.put_values),
            "dataset_value_delete": CallMethod(work=self.delete_values),
            "dataset_list_sources": CallMethod(work=self.sources),
            "dataset_list_values": CallMethod(work=self.values),
        }

    def create(self, call: MethodCall) -> Response:
        """Create an empty dataset."""
        try:
            resource = self._store.add_resource(
                call.merchant, DATASET_TYPE, name=call.arguments["name"], body=b"{}", resources_max=DATASETS_MAX
            )
        except NameTakenError as fault:
            raise bad_request("Dataset already exist!") from fault
        except ResourcesFullError as fault:
            raise bad_request(f"There are {DATASETS_MAX} datasets, which is as many as there may be.") from fault
        return json_response({"datasetId": str(resource.number)})

    def update(self, call: MethodCall) -> Response:
        """Rename a dataset."""
        try:
            self._put(call, lambda resource: msgspec.structs.replace(resource, name=call.arguments["name"]))
        except NameTakenError as fault:
            raise bad_request("Dataset already exist!") from fault
        return json_response()

    def delete(self, call: MethodCall) -> Response:
        """Delete a dataset with its values."""
        self._put(call, lambda resource: msgspec.structs.replace(resource, expires_at=now()))
        return json_response()

    def put_values(self, call: MethodCall) -> Response:
        """Put values by their keys."""
        check_depth(call.arguments)
        added = {entry["key"]: entry["value"] for entry in call.arguments["values"]}
        self._change_values(call, lambda values: {**values, **added})
        return json_response()

    def delete_values(self, call: MethodCall) -> Response:
        """Delete values by their keys; unknown keys are ignored."""
        removed = set(call.arguments["keys"])
        self._change_values(call, lambda values: {key: value for key, value in values.items() if key not in removed})
        return json_response()

    def sources(self, call: MethodCall) -> Response:
        """Return all datasets."""
        resources = self._store.resources(call.merchant, DATASET_TYPE, limit=DATASETS_MAX)
        sources = [{"datasetId": str(resource.number), "name": resource.name} for resource in resources]
        return json_response({"sources": sources})

    def values(self, call: MethodCall) -> Response:
        """Return a page of values, ordered by key."""
        offset, size = page_bounds(call.arguments)
        entries = sorted(read_json(self._resource(call).body).items())
        page = [{"key": key, "value": value} for key, value in entries[offset : offset + size]]
        return json_response({"values": page, "pageFrom": offset, "pageSize": size, "total": len(entries)})

    def _resource(self, call: MethodCall) -> Resource:
        id = call.arguments["datasetId"]
        resource = self._store.resource(call.merchant, DATASET_TYPE, int(id)) if _NUMBER.fullmatch(id) else None
        if resource is None or resource.expires_at is not None:
            raise not_found(UNKNOWN)
        return resource

    def _change_values(self, call: MethodCall, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        def with_values(resource: Resource) -> Resource:
            body = write_json(change(read_json(resource.body)))
            if len(body) > DATASET_BYTES_MAX:
                raise bad_request(f"A dataset may have {DATASET_BYTES_MAX} bytes.")
            return msgspec.structs.replace(resource, body=body)

        self._put(call, with_values)

    def _put(self, call: MethodCall, change: Callable[[Resource], Resource]) -> None:
        for _ in range(ATTEMPTS_MAX):
            if self._store.put_resource(change(self._resource(call))) is not None:
                return
        raise instance_busy()
