"""Mircate: stock and prices of a merchant, and products of its PIM.

Stock and prices are absolute, and an upsert of products merges: a request that is received twice has the same effect,
and is repeated freely. Mircate has published the status of a batch and its limit of 500 units; the members of most
bodies are not published, and are those that this gate's own protocol reads (see its README).
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any, ClassVar
from urllib.parse import quote

from goodsgate.model.batch import Kind
from goodsgate.model.counting import counted
from goodsgate.model.issue import Issue, issue
from goodsgate.push.contract import (
    ConfigurationError,
    Platform,
    PlatformConnection,
    PushRequest,
    RefusedError,
    RequestOutcome,
    RequestReceipt,
    RequestRecordedError,
    SentRequest,
    SourceRecord,
    UnitError,
    WireUnit,
    places_by_name,
    unnamed_rejections,
)
from goodsgate.push.transport import encode_json
from goodsgate.push.values import missing, plain_number, read_number, split_money, text_of, texts_of

PROJECT_OF_PLATFORM = "5p1hp1d2t"
ENDED = frozenset({"DONE", "FAILED", "CANCELLED", "COMPLETED", "SUCCESS", "ERROR"})
"""Values of `batchStatus` after which it does not change; the vendor has not published them."""
SKU = re.compile(r"[A-Za-z0-9_]{1,100}")
IMAGES = ("IMAGE", "IMAGE_LIST")


class Mircate(Platform):
    """Stock, prices and products of one project."""

    KINDS = (Kind.PRODUCT, Kind.PRICE, Kind.STOCK)
    SETTINGS: ClassVar[Mapping[str, str]] = {
        "channel": "the channel of stock and prices whose records name no location",
        "family": "the family of products that name none",
        "status": "the status of products that name none: DRAFT, ACTIVE (default) or ARCHIVED",
        "locale": "the locale of localizable attributes, such as en_US",
        "scope": "the channel of scopable attributes",
        "frequency": "seconds between two units that Mircate pushes on, 0 to 10",
        "platform_project": f"the first part of the path of every call; by default {PROJECT_OF_PLATFORM}",
    }
    UNITS_MAX = 500
    BYTES_MAX = 8_000_000

    def __init__(self, connection: PlatformConnection) -> None:
        super().__init__(connection)
        self._project = quote(self.credentials["MIRCATE_PROJECT"], safe="")
        self._attributes: dict[str, dict[str, Mapping[str, Any]]] = {}
        """Family → code of an attribute → its definition."""

    def connect(self) -> None:
        """Send the key from now on, and read the families of products."""
        self.transport.headers["x-api-key"] = self.credentials["MIRCATE_API_KEY"]
        if self.kind is not Kind.PRODUCT:
            return
        document = self._call("GET", "PIMAPI/getProductSettings").document()
        settings = document.get("productSettings")
        if not isinstance(settings, Mapping):
            raise RefusedError("the answer has no productSettings. Is --base-url right?", status=502)
        definitions = {str(each["code"]): each for each in settings.get("attributes") or []}
        for family in settings.get("families") or []:
            codes = [str(each["attribute"]) for each in family.get("attributes") or []]
            self._attributes[str(family["code"])] = {code: definitions[code] for code in codes if code in definitions}
        family = self.settings.get("family", "")
        if family and family not in self._attributes:
            raise ConfigurationError(f"the project has no family {family!r}; it has {', '.join(self._attributes)}")

    def _call(self, method: str, call: str, body: object = None, *, instance: str | None = None,
              accepts: frozenset[int] = frozenset()) -> Any:
        project = self.settings.get("platform_project") or PROJECT_OF_PLATFORM
        path = f"/{project}/CALL/{call}/{self._project if instance is None else quote(instance, safe='')}"
        content = body if isinstance(body, bytes) else None
        return self.transport.request(
            method, path, json=None if isinstance(body, bytes) else body, content=content, accepts=accepts
        )

    # -- records ------------------------------------------------------------------------------------------------------

    def units(self, records: Iterable[SourceRecord]) -> Iterator[WireUnit]:
        """Yield stock or prices of a channel, or products with the attributes of their family."""
        make = self._product if self.kind is Kind.PRODUCT else self._level
        return (make(record) for record in records)

    def _level(self, record: SourceRecord) -> WireUnit:
        channel = record.location or self.settings.get("channel", "")
        level: dict[str, Any] = {"sku": record.sku, "channel": channel}
        issues = [] if channel else [missing("/location")]
        if not record.is_deletion and self.kind is Kind.STOCK:
            level["stock"] = read_number(record.members.get("quantity"))
            issues += [missing("/quantity")] if level["stock"] is None else []
        elif not record.is_deletion:
            price, discounted = (split_money(record.members.get(name)) for name in ("price", "sale_price"))
            if price is None:
                issues.append(missing("/price"))
            else:
                level |= {"price": plain_number(price[0]), "currency": price[1]}
                level |= {"discountedPrice": plain_number(discounted[0])} if discounted else {}
        return WireUnit(
            name=f"{record.sku}@{channel}", numbers=(record.number,), body=encode_json(level),
            is_deletion=record.is_deletion, issues=tuple(issues),
        )

    def _product(self, record: SourceRecord) -> WireUnit:
        members, issues = record.members, list[Issue]()
        if not SKU.fullmatch(record.sku):
            issues.append(issue("text_form", "/id", value=record.sku, expected="up to 100 letters, digits and _"))
        product: dict[str, Any] = {"id": record.sku}
        if not record.is_deletion:
            family = text_of(members.get("family")) or self.settings.get("family", "")
            if not family:
                issues.append(missing("/family"))
            elif family not in self._attributes:
                expected = ", ".join(self._attributes) or "a family of the project"
                issues.append(issue("value_not_allowed", "/family", value=family, expected=expected))
            product = {"dataType": "PRODUCT", "data": {
                "sku": record.sku, "family": family, "enabled": True,
                "status": text_of(members.get("status")) or self.settings.get("status") or "ACTIVE",
                "attributes": [*self._attribute_values(self._attributes.get(family, {}), members)],
            }}
        return WireUnit(
            name=record.sku, numbers=(record.number,), body=encode_json(product), is_deletion=record.is_deletion,
            issues=tuple(issues),
        )

    def _attribute_values(self, attributes: Mapping[str, Mapping[str, Any]], members: Mapping[str, Any],
                          ) -> Iterator[dict[str, Any]]:
        own = members.get("attributes")
        further = own if isinstance(own, Mapping) else {}
        for code, definition in attributes.items():
            type = str(definition.get("type"))
            value = members.get(code, further.get(code))
            if code == "sku" or value in (None, "") or type in IMAGES:
                continue
            entry: dict[str, Any] = {"value": _attribute_value(value, type)}
            if definition.get("localizable"):
                entry["locale"] = self.setting("locale")
            if definition.get("scopable"):
                entry["scope"] = self.setting("scope")
            yield {"code": code, "data": [entry]}

    # -- requests -----------------------------------------------------------------------------------------------------

    def send(self, request: PushRequest) -> RequestReceipt:
        """Send stock, prices or products, or remove them."""
        if request.operation == "delete" and self.kind is Kind.PRODUCT:
            return self._delete_products(request)
        content = b'{"products":[%b]' % b",".join(unit.body for unit in request.units)
        if request.operation == "delete":
            call = "MerchantAPI/removeMyProducts"
        elif self.kind is Kind.PRODUCT:
            call = "PIMAPI/bulkProductUpsert"
        else:
            call = "MerchantAPI/receiveStock" if self.kind is Kind.STOCK else "MerchantAPI/receivePrice"
            content += b',"bulkOperationId":' + encode_json(self.push_id)
            frequency = read_number(self.settings.get("frequency"))
            content += b"" if frequency is None else b',"frequency":%d' % int(frequency)
        document = self._call("POST", call, content + b"}").document()
        listed = document.get("batchIds")
        ids = [str(each) for each in listed] if isinstance(listed, list) else []
        if not ids and "batchId" in document:
            ids = [str(document["batchId"])]
        if not ids and request.operation != "delete":
            raise RefusedError("the answer has no batchId. Is --base-url right?", status=502)
        return RequestReceipt(ids=ids, outcome=None if ids else RequestOutcome())

    def _delete_products(self, request: PushRequest) -> RequestReceipt:
        errors, recorded = list[UnitError](), list[RequestRecordedError]()
        for at, unit in enumerate(request.units):
            try:
                answer = self._call("POST", "PIMAPI/deleteProduct", unit.body, accepts=frozenset({400, 404}))
            except RequestRecordedError as error:
                recorded.append(error)
                continue
            if answer.status == 404:
                errors.append(UnitError(index=at, path="/id", message="there is no such product", is_warning=True))
            elif answer.status == 400:
                errors.append(UnitError(index=at, message=text_of(answer.document().get("message"))))
        if recorded:
            raise recorded[0]
        return RequestReceipt(outcome=RequestOutcome(errors=errors))

    # -- results ------------------------------------------------------------------------------------------------------

    def status(self, sent: SentRequest) -> RequestOutcome | None:
        """Return the failed products of a batch once it has ended."""
        errors: list[UnitError] = []
        failed = successful = 0
        for id in sent.receipt.ids:
            try:
                if self.kind is Kind.PRODUCT:
                    document = self._call("POST", "PIMAPI/checkBatchStatus", {"batchId": id}).document()
                else:
                    document = self._call("GET", "MerchantImportJob/checkBatchStatus", instance=id).document()
            except RefusedError as error:
                if error.status != 404:
                    raise
                return RequestOutcome(problem=f"the platform does not know the batch {id}: {error}")
            if not _has_ended(document):
                return None
            failed += int(document.get("failCount") or 0)
            successful += int(document.get("successCount") or 0)
            errors += _failed_products(document.get("failedProducts"), sent.names)
        problems = []
        named = len({error.index for error in errors})
        if failed > named:
            problems.append(unnamed_rejections(failed - named))
        if sent.operation != "delete" and (left := len(sent.names) - failed - successful) > 0:
            problems.append(f"{counted(left, 'record')} of batch {', '.join(sent.receipt.ids)} not processed")
        return RequestOutcome(errors=errors, problem="; ".join(problems))


def _attribute_value(value: object, type: str) -> object:
    match type:
        case "PRICE":
            money = split_money(value)
            return plain_number(money[0]) if money else _number_or_text(value)
        case "NUMBER":
            return _number_or_text(value)
        case "BOOLEAN":
            return {"yes": True, "true": True, "no": False, "false": False}.get(text_of(value).lower(), value)
        case "MULTISELECT":
            return texts_of(value)
        case _:
            return text_of(value)


def _number_or_text(value: object) -> object:
    number = read_number(value)
    return text_of(value) if number is None else plain_number(Decimal(number))


def _has_ended(document: Mapping[str, Any]) -> bool:
    done, _, total = str(document.get("ratio") or "").partition("/")
    is_complete = done.isdecimal() and done == total
    return is_complete or str(document.get("batchStatus") or "").upper() in ENDED


def _failed_products(entries: object, names: list[str]) -> Iterator[UnitError]:
    places = places_by_name(names)
    for entry in entries if isinstance(entries, list) else ():
        if not isinstance(entry, Mapping):
            continue
        sku, channel, index = text_of(entry.get("sku")), text_of(entry.get("channel")), entry.get("index")
        found = places.get(f"{sku}@{channel}") or places.get(sku) or []
        if not found and isinstance(index, int) and 0 <= index < len(names):
            found = [index]
        for at in found:
            yield UnitError(index=at, message=text_of(entry.get("message")))


PLATFORM = Mircate
