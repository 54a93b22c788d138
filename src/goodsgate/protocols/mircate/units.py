"""Units of stock and prices, as they come and as they are worked: each with its SKU and its channel."""

import re

import msgspec

from goodsgate.protocols.mircate.answers import bad
from goodsgate.protocols.mircate.guesses import CHANNEL


class _Heads(msgspec.Struct):
    """What of a unit is looked at before it is worked; any JSON."""

    sku: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    productId: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    channel: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class _Listed(msgspec.Struct):
    products: list[msgspec.Raw]


_decode_listed = msgspec.json.Decoder(_Listed).decode
_decode_heads = msgspec.json.Decoder(_Heads).decode
_NUMBER = re.compile(rb"-?[0-9.eE+-]+")


def units_of(content: bytes) -> list[bytes]:
    """The entries of ``products``, each as it is written and with what it lacks behind."""
    try:
        found = _decode_listed(content).products
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as fault:
        raise bad(f"The body is not valid JSON: {fault}.") from fault
    return [filled(bytes(unit)) for unit in found]


def filled(unit: bytes) -> bytes:
    """The last of two members of one name counts; what is no object is left to be rejected when it is worked."""
    if unit[:1] != b"{":
        return unit
    try:
        heads = _decode_heads(unit)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return unit
    more = []
    if _is_empty(heads.sku) and not _is_empty(heads.productId):
        more.append(b'"sku":' + _as_text(heads.productId))
    elif not _is_empty(heads.sku) and _NUMBER.fullmatch(_raw(heads.sku)):
        more.append(b'"sku":' + _as_text(heads.sku))
    if _is_empty(heads.channel):
        more.append(b'"channel":' + msgspec.json.encode(CHANNEL))
    if not more:
        return unit
    own = unit[:-1].rstrip()
    return b"".join([own, b"" if own == b"{" else b",", b",".join(more), b"}"])


def _raw(value: msgspec.Raw | msgspec.UnsetType) -> bytes:
    return bytes(value) if isinstance(value, msgspec.Raw) else b"null"


def _is_empty(value: msgspec.Raw | msgspec.UnsetType) -> bool:
    return _raw(value) in (b"null", b'""')


def _as_text(value: msgspec.Raw | msgspec.UnsetType) -> bytes:
    """Ids that are numbers are kept as they are written."""
    raw = _raw(value)
    return b'"%s"' % raw if _NUMBER.fullmatch(raw) else raw
