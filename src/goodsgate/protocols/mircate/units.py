"""Units of stock and prices, completed with the SKU and channel that they lack."""

import re

import msgspec

from goodsgate.model.json_text import UNREADABLE_JSON
from goodsgate.protocols.mircate.responses import bad_request
from goodsgate.protocols.mircate.unpublished import CHANNEL


class _UnitKeys(msgspec.Struct):
    """The members of a unit that identify it; any JSON."""

    sku: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    productId: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    channel: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class _UnitList(msgspec.Struct):
    products: list[msgspec.Raw]


_decode_list = msgspec.json.Decoder(_UnitList).decode
_decode_keys = msgspec.json.Decoder(_UnitKeys).decode
_NUMBER = re.compile(rb"-?[0-9.eE+-]+")


def split_units(content: bytes) -> list[bytes]:
    """Return the entries of ``products`` as they are written, each completed by what it lacks."""
    try:
        units = _decode_list(content).products
    except UNREADABLE_JSON as fault:
        raise bad_request(f"The body is not valid JSON: {fault}.") from fault
    return [complete_unit(bytes(unit)) for unit in units]


def complete_unit(unit: bytes) -> bytes:
    """Append the SKU or channel that a unit lacks; of two members of one name, the last counts.

    What is not an object stays as it is and is rejected later.
    """
    if unit[:1] != b"{":
        return unit
    try:
        keys = _decode_keys(unit)
    except UNREADABLE_JSON:
        return unit
    missing = []
    if _is_empty(keys.sku) and not _is_empty(keys.productId):
        missing.append(b'"sku":' + _as_text(keys.productId))
    elif not _is_empty(keys.sku) and _NUMBER.fullmatch(_raw(keys.sku)):
        missing.append(b'"sku":' + _as_text(keys.sku))
    if _is_empty(keys.channel):
        missing.append(b'"channel":' + msgspec.json.encode(CHANNEL))
    if not missing:
        return unit
    body = unit[:-1].rstrip()
    return b"".join([body, b"" if body == b"{" else b",", b",".join(missing), b"}"])


def _raw(value: msgspec.Raw | msgspec.UnsetType) -> bytes:
    return bytes(value) if isinstance(value, msgspec.Raw) else b"null"


def _is_empty(value: msgspec.Raw | msgspec.UnsetType) -> bool:
    return _raw(value) in (b"null", b'""')


def _as_text(value: msgspec.Raw | msgspec.UnsetType) -> bytes:
    """Return an id as a JSON text; numbers keep their spelling."""
    raw = _raw(value)
    return b'"%s"' % raw if _NUMBER.fullmatch(raw) else raw
