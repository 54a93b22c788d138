"""Uploads and archives: the request is checked, split into records, and accepted as a batch."""

from typing import Annotated, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType
from starlette.responses import Response

from goodsgate.http.context import ServerContext
from goodsgate.http.endpoints import ApiRequest, Handler
from goodsgate.http.json_batches import join_records, submit_body
from goodsgate.model.batch import Kind, Policy, Strictness, Verb
from goodsgate.model.catalogue import Scope
from goodsgate.model.json_text import UNREADABLE_JSON
from goodsgate.protocols.justwalkout import unpublished
from goodsgate.protocols.justwalkout.access import RequestAuthenticator, RetailerAccount, bad_request
from goodsgate.protocols.justwalkout.responses import json_response

Text = Annotated[str, Meta(max_length=255)]
RequiredText = Annotated[str, Meta(min_length=1, max_length=255)]
OptionalText = Text | UnsetType

T = TypeVar("T")


class AdditionalBarcode(msgspec.Struct):
    """One of the further barcodes of an item."""

    external_product_id: RequiredText
    external_product_id_type: OptionalText = UNSET


class CatalogItem(msgspec.Struct):
    """The members of an item that are checked before an upload is accepted; others are kept unchecked."""

    item_sku: RequiredText
    external_product_id: RequiredText
    item_name: RequiredText
    store_id: RequiredText
    external_product_id_type: OptionalText = UNSET
    additional_external_product_information: Annotated[list[AdditionalBarcode], Meta(max_length=50)] | UnsetType = UNSET
    standard_price: OptionalText = UNSET
    brand_name: OptionalText = UNSET
    product_tax_code: OptionalText = UNSET
    product_category: OptionalText = UNSET
    product_subcategory: OptionalText = UNSET
    color_name: OptionalText = UNSET
    size_name: OptionalText = UNSET
    main_image_url: OptionalText = UNSET
    other_image_url1: OptionalText = UNSET
    other_image_url2: OptionalText = UNSET
    other_image_url3: OptionalText = UNSET
    other_image_url4: OptionalText = UNSET
    other_image_url5: OptionalText = UNSET
    other_image_url6: OptionalText = UNSET
    other_image_url7: OptionalText = UNSET
    other_image_url8: OptionalText = UNSET


class RawCatalogUpload(msgspec.Struct):
    """The body of an upload, each item as the client wrote it."""

    items: list[msgspec.Raw] = msgspec.field(name="catalogItems")


class CatalogUpload(msgspec.Struct):
    """The body of an upload, each item decoded and checked."""

    items: Annotated[list[CatalogItem], Meta(min_length=1)] = msgspec.field(name="catalogItems")


class ArchiveRequest(msgspec.Struct):
    """The body of an archive."""

    skus: Annotated[list[RequiredText], Meta(min_length=1)] = msgspec.field(name="itemSkus")
    stores: Annotated[list[Text], Meta(min_length=1)] = msgspec.field(name="allApplicableStores")


class CatalogHandlers:
    """Handlers of uploads and archives."""

    def __init__(self, context: ServerContext, authenticator: RequestAuthenticator) -> None:
        self._context = context
        self._authenticator = authenticator

    def handlers(self) -> dict[str, Handler]:
        """Return the handlers by operation id."""
        return {"upload": self.upload, "upload_cart": self.upload_cart, "archive": self.archive}

    async def upload(self, request: ApiRequest) -> Response:
        """Answer POST /v1/catalog/upload."""
        account, body = await self._authenticator.authenticate(request, Scope.SUBMIT)
        return await self._context.run_in_thread(
            self._accept_upload, account, body, "UPLOAD", unpublished.COLLECTION
        )

    async def upload_cart(self, request: ApiRequest) -> Response:
        """Answer POST /v1/catalog/cart/upload."""
        account, body = await self._authenticator.authenticate(request, Scope.SUBMIT)
        return await self._context.run_in_thread(
            self._accept_upload, account, body, "CART_UPLOAD", unpublished.CART_COLLECTION
        )

    async def archive(self, request: ApiRequest) -> Response:
        """Answer POST /v1/catalog/archive."""
        account, body = await self._authenticator.authenticate(request, Scope.SUBMIT)
        return await self._context.run_in_thread(self._accept_archive, account, body)

    def _accept_upload(self, account: RetailerAccount, body: bytes, operation: str, collection: str) -> Response:
        records = split_items(body, account.stores)
        policy = Policy(schema="justwalkout/CatalogItem", references=Strictness.OFF, notify=_notify(account))
        return self._submit(account, records, policy, operation=operation, collection=collection)

    def _accept_archive(self, account: RetailerAccount, body: bytes) -> Response:
        archive: ArchiveRequest = _decode(body, _archive_decoder)
        if len(archive.skus) > unpublished.ITEMS_MAX:
            raise bad_request(unpublished.ITEMS_TOO_MANY)
        if not account.stores <= set(archive.stores):
            raise bad_request(unpublished.STORES_LACKING.format(stores=", ".join(sorted(account.stores))))
        records = [msgspec.json.encode({"item_sku": sku, "catalogStatus": "ARCHIVED"}) for sku in archive.skus]
        policy = Policy(
            verb=Verb.UPDATE, schema="justwalkout/Archival", references=Strictness.OFF, notify=_notify(account)
        )
        return self._submit(account, records, policy, operation="ARCHIVE", collection=unpublished.COLLECTION)

    def _submit(self, account: RetailerAccount, records: list[bytes], policy: Policy, *, operation: str,
                collection: str) -> Response:
        format, body = join_records(records)
        submission = self._context.engine.submit(
            merchant=account.merchant, kind=Kind.PRODUCT, collection=collection, policy=policy, format=format,
            label=f"{operation.lower()} {len(records)}", protocol="justwalkout", protocol_data={"operation": operation},
        )
        batch = submit_body(submission, body, self._context)
        return json_response({"ingestionId": unpublished.ingestion_of(batch.id)}, status=201)


STORES_IN_REASON = 10


def split_items(body: bytes, stores: frozenset[str]) -> list[bytes]:
    """Return each item of an upload as the client wrote it.

    Raises body_invalid with the first published text that applies.
    """
    upload: RawCatalogUpload = _decode(body, _raw_upload_decoder)
    if len(upload.items) > unpublished.ITEMS_MAX:
        raise bad_request(unpublished.ITEMS_TOO_MANY)
    decoded: CatalogUpload = _decode(body, _upload_decoder)
    store_ids = {item.store_id for item in decoded.items}
    if not store_ids <= stores:
        unknown = f"not a store of the merchant: {', '.join(sorted(store_ids - stores)[:STORES_IN_REASON])}"
        raise bad_request(unpublished.STORE_WRONG if len(store_ids) == 1 else unpublished.STORES_WRONG, unknown)
    return [bytes(item) for item in upload.items]


_raw_upload_decoder = msgspec.json.Decoder(RawCatalogUpload)
_upload_decoder = msgspec.json.Decoder(CatalogUpload)
_archive_decoder = msgspec.json.Decoder(ArchiveRequest)


def _decode(body: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    try:
        return decoder.decode(body)
    except UNREADABLE_JSON as fault:
        raise bad_request(unpublished.BODY_WRONG, str(fault)) from fault


def _notify(account: RetailerAccount) -> str | None:
    return unpublished.TOPIC if account.queue else None
