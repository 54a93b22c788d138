"""Product writes: the body is split into records, stored as a batch, and acknowledged."""

import msgspec
from starlette.responses import Response

from goodsgate.auth import Caller
from goodsgate.http.context import ServerContext
from goodsgate.http.endpoints import ApiRequest, Handler
from goodsgate.http.json_batches import join_records, submit_body
from goodsgate.http.problems import refuse
from goodsgate.model.batch import Duplicates, Kind, Policy, Strictness, Verb
from goodsgate.model.json_text import UNREADABLE_JSON
from goodsgate.protocols.konnect.bodies import read_body, split_array
from goodsgate.protocols.konnect.responses import json_response
from goodsgate.protocols.konnect.trace_ids import new_batch_id, to_trace_id
from goodsgate.protocols.konnect.unpublished import COLLECTION, company_id, is_strict

PRODUCTS_MAX = 100
"""Published for create; update and delete have the same limit."""
TEMPLATE_CHARACTERS_MAX = 200

_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class ProductWriteHandlers:
    """Handlers of POST, PUT and DELETE."""

    def __init__(self, context: ServerContext) -> None:
        self._context = context

    def handlers(self) -> dict[str, Handler]:
        """Return the handlers by operation id."""
        return {
            "create_products": self.create, "update_products": self.update, "delete_products": self.delete,
        }

    async def create(self, request: ApiRequest) -> Response:
        """Handle POST /v3/catalog/product."""
        return await self._write(request, Verb.CREATE, "konnect/NewProduct")

    async def update(self, request: ApiRequest) -> Response:
        """Handle PUT /v3/catalog/product."""
        schema = "konnect/StrictProductChange" if is_strict(request.caller) else "konnect/ProductChange"
        return await self._write(request, Verb.UPDATE, schema)

    async def delete(self, request: ApiRequest) -> Response:
        """Handle DELETE /v3/catalog/product, which has a body."""
        return await self._write(request, Verb.DELETE, "konnect/ProductRemoval")

    async def _write(self, request: ApiRequest, verb: Verb, schema: str) -> Response:
        content = await read_body(request, self._context)
        acknowledgement = await self._context.run_in_thread(
            self._submit, request.caller, request.merchant, content, verb, schema
        )
        return json_response(acknowledgement)

    def _submit(self, caller: Caller | None, merchant: str, content: bytes, verb: Verb, schema: str,
                ) -> dict[str, object]:
        records = split_products(content)
        policy = Policy(verb=verb, schema=schema, duplicates=Duplicates.OFF, references=Strictness.REFUSE)
        format, body = join_records(records)
        submission = self._context.engine.submit(
            merchant=merchant, kind=Kind.PRODUCT, collection=COLLECTION, policy=policy, format=format,
            label=f"{verb} {len(records)}", protocol="konnect", protocol_data={"total": str(len(records))},
            id=new_batch_id(),
        )
        batch = submit_body(submission, body, self._context)
        return {
            "trace_id": to_trace_id(batch.id), "total": len(records), "success": len(records), "failed": 0,
            "status": "SUCCESS", "errors": {}, "stage": "RUNNING", "company_id": company_id(caller),
        }


def split_products(content: bytes) -> list[bytes]:
    """Return each product as received, with the request's template appended; raise body_invalid."""
    try:
        members = _decode_members(content)
    except msgspec.ValidationError as fault:
        raise refuse("body_invalid", "The body must be an object.") from fault
    except UNREADABLE_JSON as fault:
        raise refuse("body_invalid", f"The body is not valid JSON: {fault}.") from fault
    template = _template(members.get("template"))
    products = split_array(bytes(members.get("products", b"null")), member="products")
    if not products:
        raise refuse("body_invalid", "products must be a non-empty array.", member="products")
    if len(products) > PRODUCTS_MAX:
        raise refuse("body_invalid", f"products may hold at most {PRODUCTS_MAX}.", member="products")
    return [_with_template(bytes(product), template) for product in products]


def _template(raw: msgspec.Raw | None) -> bytes:
    try:
        template = msgspec.json.decode(raw, type=str) if raw is not None else ""
    except UNREADABLE_JSON:
        template = ""
    if not 0 < len(template) <= TEMPLATE_CHARACTERS_MAX:
        raise refuse("body_invalid", "template must be the slug of a template.", member="template")
    return msgspec.json.encode(template)


def _with_template(product: bytes, template: bytes) -> bytes:
    """Append the template; of two members with one name the last counts, so the request's template wins."""
    if product[:1] != b"{":
        raise refuse("body_invalid", "products must hold objects.", member="products")
    own = product[:-1].rstrip()
    return own + (b"" if own == b"{" else b",") + b'"template":' + template + b"}"
