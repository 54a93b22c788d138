"""Amazon Just Walk Out Catalog: uploads and archives of items, signed with Signature Version 4.

An upload replaces whole items, so that one that is received twice has the same effect, and is repeated freely. So is an
archive; the second one reports items as archived already, which is no error here. Item errors are in the report of an
ingestion, whose form Amazon has not published: what cannot be read of it is told.
"""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar

from goodsgate.model.counting import counted
from goodsgate.model.issue import Issue
from goodsgate.push.contract import (
    Platform,
    PlatformConnection,
    PushRequest,
    RefusedError,
    RequestOutcome,
    RequestReceipt,
    SentRequest,
    SourceRecord,
    UnitError,
    WireUnit,
    places_by_name,
)
from goodsgate.push.signing import check_signing, sign_request
from goodsgate.push.transport import encode_json
from goodsgate.push.values import GTIN_TYPES, missing, split_money, text_of, texts_of, too_long

SERVICE = "execute-api"
CHARACTERS_MAX = 255
BARCODES_MAX = 50
IMAGES_MAX = 8
FIELD_OF_MEMBER = {
    "item_sku": "/id", "external_product_id": "/gtin", "external_product_id_type": "/gtin",
    "additional_external_product_information": "/gtin", "item_name": "/title", "standard_price": "/price",
    "brand_name": "/brand", "product_category": "/product_type", "product_subcategory": "/product_type",
    "color_name": "/color", "size_name": "/size", "main_image_url": "/image_link",
}
OPTIONAL = ("product_tax_code", "product_category", "product_subcategory", "color_name", "size_name")
"""Members that a record may have under the platform's own names."""
TERMINAL = {"DONE", "CANCELLED", "FATAL"}
REPEATED_ARCHIVE = "ALREADY_ARCHIVED"
_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-[0-9]")


class JustWalkOutCatalog(Platform):
    """The catalogue of a retailer."""

    SETTINGS: ClassVar[Mapping[str, str]] = {
        "stores": "ids of the stores, between commas; every item is uploaded to each of them",
        "region": "the region of the signature; by default that of the address, else AWS_REGION, else us-east-1",
    }
    OPTIONAL_CREDENTIALS = ("AWS_SESSION_TOKEN",)
    REQUEST_SECONDS_MIN = 1 / 10
    UNITS_MAX = 10_000
    BYTES_MAX = 9_500_000

    def __init__(self, connection: PlatformConnection) -> None:
        super().__init__(connection)
        self._stores = [store.strip() for store in self.setting("stores").split(",") if store.strip()]

    def connect(self) -> None:
        """Sign from now on; there is no login. Raises ExtraMissingError."""
        check_signing()
        host = self.transport.base_url.partition("://")[2].partition(".")[0]
        default = host if _REGION.fullmatch(host) else os.environ.get("AWS_REGION") or "us-east-1"
        region = self.settings.get("region") or default
        self.transport.sign = lambda request: sign_request(
            request, access_key=self.credentials["AWS_ACCESS_KEY_ID"],
            secret_key=self.credentials["AWS_SECRET_ACCESS_KEY"],
            session_token=self.credentials.get("AWS_SESSION_TOKEN"), service=SERVICE, region=region,
        )

    def units(self, records: Iterable[SourceRecord]) -> Iterator[WireUnit]:
        """Yield an item for each record and store, and a SKU for each deletion."""
        for record in records:
            if record.is_deletion:
                yield WireUnit(
                    name=record.sku, numbers=(record.number,), body=encode_json(record.sku), is_deletion=True
                )
                continue
            own = text_of(record.members.get("store_id"))
            for store in [own] if own else self._stores:
                item = _item_of(record, store)
                yield WireUnit(
                    name=f"{record.sku}\t{store}", numbers=(record.number,), body=encode_json(item),
                    issues=tuple(_issues_of(item)),
                )

    def send(self, request: PushRequest) -> RequestReceipt:
        """Upload items, or archive SKUs in all stores."""
        entries = b",".join(unit.body for unit in request.units)
        if request.operation == "delete":
            stores = encode_json(self._stores)
            path, content = "archive", b'{"itemSkus":[%b],"allApplicableStores":%b}' % (entries, stores)
        else:
            path, content = "upload", b'{"catalogItems":[%b]}' % entries
        document = self.transport.request("POST", f"/v1/catalog/{path}", content=content).document()
        ingestion = document.get("ingestionId")
        if not isinstance(ingestion, str):
            raise RefusedError("the answer has no ingestionId. Is --base-url right?", status=502)
        return RequestReceipt(ids=[ingestion])

    def status(self, sent: SentRequest) -> RequestOutcome | None:
        """Return the errors of the report once the ingestion has ended."""
        ingestion = sent.receipt.ids[0]
        document = self.transport.request(
            "POST", "/v1/catalog/getCatalogUploadStatus", json={"ingestionId": ingestion}
        ).document()
        status = document.get("processingStatus")
        if status not in TERMINAL:
            return None
        link = document.get("reportDownloadLink")
        report: object = None
        if isinstance(link, str) and link:
            report = self.transport.request("GET", link, authorized=False).json()
        if status != "DONE":
            return RequestOutcome(errors=[
                UnitError(index=at, message=f"ingestion {ingestion} ended {status}") for at in range(len(sent.names))
            ])
        return _outcome_of(report, sent, ingestion)


def _item_of(record: SourceRecord, store: str) -> dict[str, Any]:
    members = record.members
    barcodes = texts_of(members.get("external_product_id") or members.get("gtin"))
    item: dict[str, Any] = {
        "item_sku": record.sku, "item_name": text_of(members.get("title")), "store_id": store,
        "external_product_id": barcodes[0] if barcodes else "",
    }
    type = text_of(members.get("external_product_id_type")) or GTIN_TYPES.get(len(item["external_product_id"]), "")
    if type:
        item["external_product_id_type"] = type
    if barcodes[1:]:
        item["additional_external_product_information"] = [_barcode(each) for each in barcodes[1:]]
    price = split_money(members.get("price"))
    categories = [part.strip() for part in (texts_of(members.get("product_type")) or [""])[0].split(">")]
    images = texts_of(members.get("additional_image_link"))[:IMAGES_MAX]
    optional = {
        "standard_price": f"{price[0]:f}" if price else "", "brand_name": text_of(members.get("brand")),
        "product_tax_code": text_of(members.get("tax_category")), "product_category": categories[0],
        "product_subcategory": categories[-1] if len(categories) > 1 else "",
        "color_name": text_of(members.get("color")), "size_name": text_of(members.get("size")),
        "main_image_url": text_of(members.get("image_link")),
        **{f"other_image_url{at}": image for at, image in enumerate(images, 1)},
    }
    optional |= {name: text_of(members[name]) for name in OPTIONAL if members.get(name)}
    return item | {name: text for name, text in optional.items() if text}


def _barcode(text: str) -> dict[str, str]:
    type = GTIN_TYPES.get(len(text))
    return {"external_product_id": text} | ({"external_product_id_type": type} if type else {})


def _issues_of(item: Mapping[str, Any]) -> Iterator[Issue]:
    """Yield why the platform would refuse the whole request for this item."""
    for name in ("item_name", "external_product_id", "store_id"):
        if not item[name]:
            yield missing(FIELD_OF_MEMBER.get(name, f"/{name}"))
    for name, text in item.items():
        if isinstance(text, str) and len(text) > CHARACTERS_MAX:
            yield too_long(_field_of(name), text, CHARACTERS_MAX)
    further = item.get("additional_external_product_information", ())
    if len(further) > BARCODES_MAX:
        yield too_long("/gtin", f"{len(further)} further barcodes", BARCODES_MAX)


def _field_of(member: str) -> str:
    if member.startswith("other_image_url"):
        return "/additional_image_link"
    return FIELD_OF_MEMBER.get(member, f"/{member}" if member else "")


def _outcome_of(report: object, sent: SentRequest, ingestion: str) -> RequestOutcome:
    """Return the issues of a report: those of its entries that name an item, by its SKU or its place."""
    entries = report.get("issues") if isinstance(report, Mapping) else None
    if not isinstance(entries, list):
        return RequestOutcome(problem=f"the report of ingestion {ingestion} has an unknown form; read it in the portal")
    errors: list[UnitError] = []
    unknown = 0
    places = places_by_name(sent.names)
    for entry in filter(lambda each: isinstance(each, Mapping), entries):
        if sent.operation == "delete" and entry.get("code") == REPEATED_ARCHIVE:
            continue
        found = _places_of(entry, sent.names, places)
        unknown += not found
        code, message = entry.get("code"), entry.get("message")
        errors += [
            UnitError(
                index=at, path=_field_of(str(entry.get("attributeName") or "")),
                message=f"{str(message).removesuffix('.')} ({code})" if message and code else str(message or code),
                is_warning=str(entry.get("severity")).upper() == "WARNING",
            ) for at in found
        ]
    problem = f"the report of ingestion {ingestion} has {counted(unknown, 'issue')} of unknown items" if unknown else ""
    return RequestOutcome(errors=errors, problem=problem)


def _places_of(entry: Mapping[str, Any], names: list[str], places: Mapping[str, list[int]]) -> list[int]:
    """Return the places of the items that an entry is about; its index is taken only if it fits the SKU."""
    sku, store = str(entry.get("item_sku") or ""), str(entry.get("store_id") or "")
    index = entry.get("index")
    if isinstance(index, int) and 0 <= index < len(names) and names[index].partition("\t")[0] == sku:
        return [index]
    exact = places.get(f"{sku}\t{store}") or places.get(sku)
    return exact or [at for at, name in enumerate(names) if sku and name.partition("\t")[0] == sku]


PLATFORM = JustWalkOutCatalog
