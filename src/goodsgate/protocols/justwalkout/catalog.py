"""Items on their way in, and out of the active catalogue: taken apart, made durable, acknowledged."""

from typing import Annotated, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType
from starlette.responses import Response

from goodsgate.http.context import ServerContext
from goodsgate.http.endpoints import ApiRequest, Handler
from goodsgate.http.json_batches import joined, submit_body
from goodsgate.model.batch import Kind, Policy, Strictness, Verb
from goodsgate.model.catalogue import Scope
from goodsgate.protocols.justwalkout import guesses
from goodsgate.protocols.justwalkout.access import Account, Gateway, wrong

Text = Annotated[str, Meta(max_length=255)]
Needed = Annotated[str, Meta(min_length=1, max_length=255)]
Optional = Text | UnsetType

T = TypeVar("T")


class Barcode(msgspec.Struct):
    """A further one of an item."""

    external_product_id: Needed
    external_product_id_type: Optional = UNSET


class Item(msgspec.Struct):
    """What is looked at before an upload is accepted; other members pass."""

    item_sku: Needed
    external_product_id: Needed
    item_name: Needed
    store_id: Needed
    external_product_id_type: Optional = UNSET
    additional_external_product_information: Annotated[list[Barcode], Meta(max_length=50)] | UnsetType = UNSET
    standard_price: Optional = UNSET
    brand_name: Optional = UNSET
    product_tax_code: Optional = UNSET
    product_category: Optional = UNSET
    product_subcategory: Optional = UNSET
    color_name: Optional = UNSET
    size_name: Optional = UNSET
    main_image_url: Optional = UNSET
    other_image_url1: Optional = UNSET
    other_image_url2: Optional = UNSET
    other_image_url3: Optional = UNSET
    other_image_url4: Optional = UNSET
    other_image_url5: Optional = UNSET
    other_image_url6: Optional = UNSET
    other_image_url7: Optional = UNSET
    other_image_url8: Optional = UNSET


class Upload(msgspec.Struct):
    """Body of an upload."""

    items: list[msgspec.Raw] = msgspec.field(name="catalogItems")


class Looked(msgspec.Struct):
    """The same, every item looked at."""

    items: Annotated[list[Item], Meta(min_length=1)] = msgspec.field(name="catalogItems")


class Archive(msgspec.Struct):
    """Body of an archive."""

    skus: Annotated[list[Needed], Meta(min_length=1)] = msgspec.field(name="itemSkus")
    stores: Annotated[list[Text], Meta(min_length=1)] = msgspec.field(name="allApplicableStores")


class Catalog:
    """Handlers of uploads and archives."""

    def __init__(self, context: ServerContext, gateway: Gateway) -> None:
        self._context = context
        self._gateway = gateway

    def handlers(self) -> dict[str, Handler]:
        """By operation id."""
        return {"upload": self.upload, "upload_cart": self.upload_cart, "archive": self.archive}

    async def upload(self, request: ApiRequest) -> Response:
        """POST /v1/catalog/upload."""
        account, body = await self._gateway.admit(request, Scope.SUBMIT)
        return await self._context.run_in_thread(self._uploaded, account, body, "UPLOAD", guesses.COLLECTION)

    async def upload_cart(self, request: ApiRequest) -> Response:
        """POST /v1/catalog/cart/upload."""
        account, body = await self._gateway.admit(request, Scope.SUBMIT)
        return await self._context.run_in_thread(self._uploaded, account, body, "CART_UPLOAD", guesses.CART_COLLECTION)

    async def archive(self, request: ApiRequest) -> Response:
        """POST /v1/catalog/archive."""
        account, body = await self._gateway.admit(request, Scope.SUBMIT)
        return await self._context.run_in_thread(self._archived, account, body)

    def _uploaded(self, account: Account, body: bytes, operation: str, collection: str) -> Response:
        records = taken_apart(body, account.stores)
        policy = Policy(schema="justwalkout/CatalogItem", references=Strictness.OFF, notify=_notify(account))
        return self._accepted(account, records, policy, operation=operation, collection=collection)

    def _archived(self, account: Account, body: bytes) -> Response:
        archive: Archive = _decoded(body, _decode_archive)
        if len(archive.skus) > guesses.ITEMS_MAX:
            raise wrong(guesses.ITEMS_TOO_MANY)
        if not account.stores <= set(archive.stores):
            raise wrong(guesses.STORES_LACKING.format(stores=", ".join(sorted(account.stores))))
        records = [msgspec.json.encode({"item_sku": sku, "catalogStatus": "ARCHIVED"}) for sku in archive.skus]
        policy = Policy(
            verb=Verb.UPDATE, schema="justwalkout/Archival", references=Strictness.OFF, notify=_notify(account)
        )
        return self._accepted(account, records, policy, operation="ARCHIVE", collection=guesses.COLLECTION)

    def _accepted(self, account: Account, records: list[bytes], policy: Policy, *, operation: str, collection: str,
                  ) -> Response:
        format, body = joined(records)
        submission = self._context.engine.submit(
            merchant=account.merchant, kind=Kind.PRODUCT, collection=collection, policy=policy, format=format,
            label=f"{operation.lower()} {len(records)}", protocol="justwalkout", facts={"operation": operation},
        )
        batch = submit_body(submission, body, self._context)
        return answer({"ingestionId": guesses.ingestion_of(batch.id)}, status=201)


def taken_apart(body: bytes, stores: frozenset[str]) -> list[bytes]:
    """Each item as it is written; raises body_invalid with the published texts, the first that applies."""
    upload: Upload = _decoded(body, _decode_upload)
    if len(upload.items) > guesses.ITEMS_MAX:
        raise wrong(guesses.ITEMS_TOO_MANY)
    looked: Looked = _decoded(body, _decode_looked)
    distinct = {item.store_id for item in looked.items}
    if not distinct <= stores:
        raise wrong(guesses.STORE_WRONG if len(distinct) == 1 else guesses.STORES_WRONG)
    return [bytes(item) for item in upload.items]


_decode_upload = msgspec.json.Decoder(Upload)
_decode_looked = msgspec.json.Decoder(Looked)
_decode_archive = msgspec.json.Decoder(Archive)


def _decoded(body: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as fault:
        raise wrong(guesses.BODY_WRONG) from fault


def _notify(account: Account) -> str | None:
    return guesses.TOPIC if account.queue else None


def answer(words: object, *, status: int = 200) -> Response:
    """Words as JSON that nobody keeps."""
    content = msgspec.json.encode(words)
    return Response(content, status_code=status, media_type="application/json", headers={"cache-control": "no-store"})
