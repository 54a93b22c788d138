"""Fynd Konnect: products, prices and stock of a seller.

A create that is received twice fails the second time, and so does a delete; they are never repeated blindly. Before
each write the platform is asked which of the products exist: what exists is updated, which may be repeated, what does
not is created. So a write whose answer was lost is looked at, and sent again in the form that fits. Prices and stock
are absolute, so that they may be repeated; their answer is final, there is no status to ask for.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, ClassVar

from goodsgate.model.batch import Kind
from goodsgate.model.issue import issue
from goodsgate.model.json_text import read_json
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
    unnamed_rejections,
)
from goodsgate.push.konnect_products import FIELD_OF_MEMBER, OWN, as_update, prices_of, product_units
from goodsgate.push.transport import encode_json
from goodsgate.push.values import missing, read_number, split_money, text_of

PRODUCTS_MAX, LEVELS_MAX = 100, 500
"""Products, and prices or stock levels, of one request."""
PRODUCTS, STATUS = "/v3/catalog/product", "/v3/catalog/status"
METHODS = {"create": "POST", "update": "PUT", "delete": "DELETE"}
DEFAULTS = (
    "template", "brand", "product_type", "country_of_origin", "tax_rule", "hs_code", "description", *OWN,
)
FIELD_OF_LEVEL = {
    "sku": "/id", "location_id": "/location", "esp": "/sale_price", "mrp": "/price", "currency": "/price",
    "quantity": "/quantity",
}
ENDED, FAILED = ("COMPLETED", "PARTIAL", "FAILED"), "FAILED"
_PLACE = re.compile(r"\[(\d+)\]")


class FyndKonnect(Platform):
    """The catalogue, prices and stock of a seller."""

    KINDS = (Kind.PRODUCT, Kind.PRICE, Kind.STOCK)
    SETTINGS: ClassVar[Mapping[str, str]] = {
        "template": "the slug of the template of products that name none",
        "location": "the location of prices and stock that name none",
        **{name: "the value of products that have none" for name in DEFAULTS if name != "template"},
    }
    TRIES_AGAIN = True
    UNITS_MAX = PRODUCTS_MAX
    BYTES_MAX = 8_000_000

    def __init__(self, connection: PlatformConnection) -> None:
        super().__init__(connection)
        self._current: dict[str, Mapping[str, Any]] = {}
        """Item code → product, as the platform had it when it was last asked."""

    def units_max(self) -> int:
        """Return the published number of entries of a request."""
        return self.UNITS_MAX if self.kind is Kind.PRODUCT else LEVELS_MAX

    def connect(self) -> None:
        """Exchange the credentials for a token, which is renewed when it has expired."""
        self.transport.log_in = self._log_in
        self._log_in()

    def _log_in(self) -> None:
        answer = self.transport.request("GET", "/aggregator/v1/token", authorized=False, params={
            "username": self.credentials["KONNECT_USERNAME"], "password": self.credentials["KONNECT_PASSWORD"],
        }).document()
        token = answer.get("access_token") or answer.get("token")
        if not isinstance(token, str):
            raise RefusedError("the answer has no token. Is --base-url right?", status=502)
        self.transport.headers["x-access-token"] = token

    # -- records ------------------------------------------------------------------------------------------------------

    def units(self, records: Iterable[SourceRecord]) -> Iterator[WireUnit]:
        """Yield products with their sizes, or prices or stock levels of a location."""
        if self.kind is Kind.PRODUCT:
            return product_units(records, self.settings)
        return (self._level(record) for record in records)

    def _level(self, record: SourceRecord) -> WireUnit:
        location = record.location or self.settings.get("location", "")
        level: dict[str, Any] = {"location_id": location, "sku": record.sku}
        issues = [] if location else [missing("/location")]
        if record.is_deletion:
            issues.append(issue("verb_unknown", value="delete", expected="upsert"))
        elif self.kind is Kind.PRICE:
            mrp, esp = prices_of(record.members)
            price = split_money(record.members.get("price"))
            level |= {"esp": esp, "mrp": mrp, "currency": price[1] if price else ""}
            issues += [] if mrp is not None and price else [missing("/price")]
        else:
            level["quantity"] = read_number(record.members.get("quantity"))
            issues += [missing("/quantity")] if level["quantity"] is None else []
        return WireUnit(
            name=f"{record.sku}@{location}", numbers=(record.number,), body=encode_json(level), issues=tuple(issues)
        )

    # -- requests -----------------------------------------------------------------------------------------------------

    def plan(self, units: Sequence[WireUnit], places: Sequence[int]) -> Iterator[PushRequest]:
        """Yield a request for each operation and template, by what the platform has."""
        if self.kind is not Kind.PRODUCT:
            yield PushRequest(operation="set", units=[units[at] for at in places], places=places)
            return
        self._current = self._look_up([units[at].name for at in places])

        def form(at: int) -> tuple[str, str]:
            exists = units[at].name in self._current
            if units[at].is_deletion:
                return "delete" if exists else "absent", units[at].group
            return "update" if exists else "create", units[at].group

        for (operation, _), chosen in groupby(sorted(places, key=lambda at: (form(at), at)), key=form):
            own = [*chosen]
            yield PushRequest(
                operation=operation, units=[units[at] for at in own], places=own, may_repeat=operation == "update"
            )

    def _look_up(self, codes: Sequence[str]) -> dict[str, Mapping[str, Any]]:
        document = self.transport.request(
            "GET", PRODUCTS, params={"item_code": ",".join(codes), "page_size": "200"}
        ).document()
        found = [each for each in document.get("items") or [] if isinstance(each, Mapping)]
        wanted = {*codes}
        return {str(each["item_code"]): each for each in found if str(each.get("item_code")) in wanted}

    def send(self, request: PushRequest) -> RequestReceipt:
        """Send products, prices or stock."""
        if request.operation == "absent":
            return RequestReceipt(outcome=RequestOutcome(errors=[
                UnitError(index=at, path="/id", message="there is no such product to delete", is_warning=True)
                for at in range(len(request.units))
            ]))
        if request.operation == "set":
            return self._set_levels(request)
        bodies = [read_json(unit.body) for unit in request.units]
        if request.operation != "create":
            bodies = [self._with_identity(body, request.operation) for body in bodies]
        document = self.transport.request(
            METHODS[request.operation], PRODUCTS, may_repeat=request.may_repeat,
            json={"template": request.units[0].group, "products": bodies},
        ).document()
        trace = document.get("trace_id")
        if not isinstance(trace, str) or not trace:
            raise RefusedError("the answer has no trace_id. Is --base-url right?", status=502)
        return RequestReceipt(ids=[trace])

    def _with_identity(self, body: dict[str, Any], operation: str) -> dict[str, Any]:
        current = self._current.get(body["item_code"], {})
        if operation == "update":
            return as_update(body, current)
        brand = current.get("brand")
        names = {"slug": current.get("slug"), "brand": brand.get("name") if isinstance(brand, Mapping) else brand}
        return {**body, **{name: text for name, text in names.items() if isinstance(text, str) and text}}

    def _set_levels(self, request: PushRequest) -> RequestReceipt:
        path = "/ims/v3/price" if self.kind is Kind.PRICE else "/ims/v3/inventory"
        content = b"[%b]" % b",".join(unit.body for unit in request.units)
        document = self.transport.request("PUT", path, content=content).document()
        data, meta = document.get("data"), document.get("meta")
        if not isinstance(data, Mapping):
            raise RefusedError("the answer has no data. Is --base-url right?", status=502)
        names = [unit.name for unit in request.units]
        errors = [*_level_errors(data.get("errors"), names)]
        failed, named = int(data.get("failed_count") or 0), len({error.index for error in errors})
        id = str(meta.get("ack_id") or "") if isinstance(meta, Mapping) else ""
        return RequestReceipt(ids=[id] if id else [], outcome=_outcome(errors, failed, named, names))

    # -- results ------------------------------------------------------------------------------------------------------

    def status(self, sent: SentRequest) -> RequestOutcome | None:
        """Return the failed records of a write once it has ended."""
        trace = sent.receipt.ids[0]
        try:
            document = self.transport.request("GET", STATUS, params={"trace_id": trace}).document()
        except RefusedError as error:
            if error.status != 404:
                raise
            return RequestOutcome(problem=f"the platform does not know the write {trace}: {error}")
        stage = str(document.get("stage") or "").upper()
        if stage not in ENDED:
            return None
        raw_meta = document.get("meta")
        meta: Mapping[str, Any] = raw_meta if isinstance(raw_meta, Mapping) else {}
        errors = [*_failed_records(meta.get("failed_records"), document.get("errors"), sent.names)]
        named = len({error.index for error in errors})
        failed = int(meta.get("failed") or document.get("failed") or 0)
        if stage == FAILED and not named:
            text = str(document.get("message") or "the whole write failed")
            return RequestOutcome(errors=[UnitError(index=at, message=text) for at in range(len(sent.names))])
        return _outcome(errors, failed, named, sent.names)

    def try_again(self, sent: SentRequest, outcome: RequestOutcome) -> Sequence[int]:
        """Return created products that exist, and deleted ones that do not: the first of two requests did it."""
        failed = sorted({error.index for error in outcome.errors if not error.is_warning})
        if sent.operation not in ("create", "delete") or not failed:
            return ()
        existing = self._look_up([sent.names[at] for at in failed])
        return [at for at in failed if (sent.names[at] in existing) is (sent.operation == "create")]


def _outcome(errors: list[UnitError], failed: int, named: int, names: Sequence[str]) -> RequestOutcome:
    if failed > named == 0 and failed >= len(names):
        return RequestOutcome(errors=[UnitError(index=at, message="no reason was given") for at in range(len(names))])
    left = failed - named
    return RequestOutcome(errors=errors, problem=unnamed_rejections(left) if left > 0 else "")


def _level_errors(errors: object, names: Sequence[str]) -> Iterator[UnitError]:
    places = places_by_name(names)
    for entry in errors if isinstance(errors, list) else ():
        if not isinstance(entry, Mapping):
            continue
        sku, location = text_of(entry.get("sku")), text_of(entry.get("location_id"))
        found = places.get(f"{sku}@{location}") or [
            at for at, name in enumerate(names) if sku and name.rpartition("@")[0] == sku
        ]
        index = entry.get("index")
        if not found and isinstance(index, int) and 0 <= index < len(names):
            found = [index]
        named = text_of(entry.get("field")) or text_of(entry.get("message")).partition(":")[0]
        field = FIELD_OF_LEVEL.get(named, "")
        for at in found:
            yield UnitError(index=at, message=_message(entry), path=field)


def _failed_records(records: object, by_code: object, names: Sequence[str]) -> Iterator[UnitError]:
    """Yield the errors of a status in either published form."""
    places = places_by_name(names)
    entries = records if isinstance(records, list) else []
    for entry in entries:
        if not isinstance(entry, Mapping):
            continue
        code, index = text_of(entry.get("item_code")), entry.get("index")
        found = places.get(code, [])[:1]
        if isinstance(index, int) and 0 <= index < len(names) and code in ("", names[index]):
            found = [index]
        details = entry.get("errors")
        for at in found:
            listed = [each for each in details if isinstance(each, Mapping)] if isinstance(details, list) else []
            for each in listed or [entry]:
                path, part = _field_of(text_of(each.get("field")))
                yield UnitError(index=at, message=_message(each), path=path, part=part)
    if not entries and isinstance(by_code, Mapping):
        for name, text in by_code.items():
            place = _PLACE.search(name)
            found = places.get(name) or ([int(place[1])] if place and int(place[1]) < len(names) else [])
            for at in found:
                yield UnitError(index=at, message=text_of(text))


def _message(entry: Mapping[str, Any]) -> str:
    text, code = text_of(entry.get("message")) or text_of(entry.get("reason")), text_of(entry.get("code"))
    return f"{text.removesuffix('.')} ({code})" if text and code and code not in text else text or code


def _field_of(member: str) -> tuple[str, int]:
    """Return the field of a record for ``sizes[1].price``, and which of the records of the product it is about."""
    place = _PLACE.search(member) if member.startswith("sizes[") else None
    name = _PLACE.sub("", member)
    while name and name not in FIELD_OF_MEMBER and "." in name:
        name = name.rpartition(".")[0]
    path = FIELD_OF_MEMBER.get(name, f"/{name}" if name and name not in ("record", "sizes") else "")
    return path, int(place[1]) if place else 0


PLATFORM = FyndKonnect
