"""Edits of items by a person, and the locks that they leave."""

from collections.abc import Callable
from functools import partial

import msgspec
from starlette.responses import Response

from goodsgate.engine.edits import ItemName, edit_item, editor_name, find_editable, unlock_fields
from goodsgate.http.context import ServerContext
from goodsgate.http.endpoints import ApiRequest, Handler, decode_json
from goodsgate.model.batch import Batch, Kind
from goodsgate.model.catalogue import item_key
from goodsgate.protocols.native.batches import SubmittedBatch, batch_accepted, encode_batch
from goodsgate.protocols.native.idempotency import request_key
from goodsgate.store.contract import Idempotency

Members = dict[str, msgspec.Raw]


class EditHandlers:
    """Handlers of edits and locks."""

    def __init__(self, context: ServerContext) -> None:
        self._context = context
        self._engine = context.engine

    def handlers(self) -> dict[str, Handler]:
        """Return the handlers by operation id."""
        return {"edit_item": self.edit_item, "unlock_item": self.unlock_item}

    async def edit_item(self, request: ApiRequest) -> Response:
        """Handle PATCH /v1/collections/{collection}/items/{key}."""
        content, name = await request.read_body(self._context), named_item(request)

        def edit(*, editor: str, idempotency: Idempotency[Batch] | None) -> Batch:
            find_editable(self._engine.store, name)  # before the body: strangers learn nothing of an item
            members: Members = decode_json(content, Members)
            return edit_item(self._engine, name, members, editor=editor, idempotency=idempotency)

        return await self._submit(request, content, edit)

    async def unlock_item(self, request: ApiRequest) -> Response:
        """Handle DELETE /v1/collections/{collection}/locks/{key}."""
        field = request.query["field"]
        names = [field] if field is not None else []
        return await self._submit(request, b"", partial(unlock_fields, self._engine, named_item(request), names))

    async def _submit(self, request: ApiRequest, content: bytes, submit: Callable[..., Batch]) -> Response:
        key, caller = request_key(request, content), request.caller
        assert caller is not None

        def act() -> bytes:
            idempotency = key.answered_by(encode_batch) if key is not None else None
            editor = editor_name(self._engine.store, caller.merchant, caller.key_id)
            return encode_batch(submit(editor=editor, idempotency=idempotency))

        body = await self._context.run_in_thread(self._engine.answer_once, key, act)
        return batch_accepted(body, msgspec.json.decode(body, type=SubmittedBatch).id)


def named_item(request: ApiRequest) -> ItemName:
    """Return which item the path and the query name: one of prices or stock may be `sku@location`."""
    kind, key = Kind(request.query["kind"]), request.path["key"]
    if kind is not Kind.PRODUCT:
        sku, separator, location = key.rpartition("@")
        key = item_key(sku, location) if separator else key
    return ItemName(request.merchant, kind, request.path["collection"], key)
