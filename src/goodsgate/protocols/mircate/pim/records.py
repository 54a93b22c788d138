"""Products of a request as records of a batch, and what became of them in the words of this protocol."""

from typing import Any

import msgspec
import orjson

from goodsgate.model.batch import Finding
from goodsgate.model.issue import Issue
from goodsgate.protocols.mircate.answers import TOO_DEEP, bad
from goodsgate.protocols.mircate.pim.guesses import DEPTH_KEPT_MAX, PREFIX, VALIDATION
from goodsgate.protocols.mircate.pim.product_rules import CODE, MODEL

_raws = msgspec.json.Decoder(list[msgspec.Raw])
_members = msgspec.json.Decoder(dict[str, msgspec.Raw])

SPELLED = {"text": "string", "a list": "array", "an object": "object", "true or false": "boolean", "a number": "number"}
"""What a schema of the gate expects, as the ancestor's validation calls it."""


def taken_apart(content: bytes) -> list[bytes]:
    """The products of a bulk request as they are written: of an object's ``products``, or of an array."""
    raw = content.strip()
    if raw[:1] == b"{":
        raw = bytes(_members.decode(raw)["products"])
    return [bytes(product) for product in _raws.decode(raw)]


def with_id(product: bytes) -> bytes:
    """The product with the id by which it is held behind it: the last of two members of one name counts."""
    own = product.strip()
    if own[:1] != b"{":
        return own  # no product at all; it is told so when it is worked
    body = own[:-1].rstrip()
    return body + (b"" if body == b"{" else b",") + b'"id":' + orjson.dumps(id_of(orjson.loads(own))) + b"}"


def key_of(record: bytes) -> str | None:
    """What a record that has its id is held under."""
    told = orjson.loads(record) if record[:1] == b"{" else {}
    key = told.get("id")
    return key if isinstance(key, str) else None


def id_of(product: dict[str, Any]) -> str | None:
    """What a product is known by, if it says so."""
    data = product.get("data")
    name = data.get("code" if product.get("dataType") == MODEL else "sku") if isinstance(data, dict) else None
    return name if isinstance(name, str) and name else None


def record_of(finding: Finding) -> dict[str, Any]:
    """The product that was rejected, as far as it is one."""
    try:
        record = orjson.loads(finding.raw or b"{}")
    except orjson.JSONDecodeError:
        return {}
    return record if isinstance(record, dict) else {}


def failed_product(finding: Finding) -> dict[str, str]:
    """An entry of ``failedProducts``: a text for every error, the one first that the ancestor would have stopped at."""
    record = record_of(finding)
    told = "; ".join(_text(told, record) for told in _errors(finding))
    return {"sku": id_of(record) or "", "channel": "", "message": told}


def refusal(finding: Finding) -> dict[str, Any]:
    """The body that a rejected product is answered with."""
    errors = _errors(finding)
    ours = [told for told in errors if told.code == CODE or told.path == "/id"]
    if ours:
        return {"message": PREFIX + _text(ours[0], record_of(finding))}
    return {"message": VALIDATION, "error": {"issues": [*map(_zod, errors)], "name": "ZodError"}}


def _errors(finding: Finding) -> list[Issue]:
    return [told for told in finding.issues if told.severity == "error"]


def _text(told: Issue, record: dict[str, Any]) -> str:
    if told.code == CODE:
        return told.expected or ""
    if told.path != "/id":
        return told.message.removesuffix(".")
    if told.code in ("field_missing", "item_unnamed"):
        return f"Product {'model code' if record.get('dataType') == MODEL else 'sku'} is not defined!"
    return "Invalid product sku or code!"


def _zod(told: Issue) -> dict[str, Any]:
    """An issue as the ancestor's validation words it."""
    path = [int(part) if part.isdigit() else part for part in told.path.split("/")[1:]]
    match told.code:
        case "field_missing":
            return {"code": "invalid_type", "received": "undefined", "path": path, "message": "Required"}
        case "field_type":
            expected = SPELLED.get(told.expected or "", told.expected)
            return {"code": "invalid_type", "expected": expected, "path": path, "message": f"Expected {expected}"}
        case "value_not_allowed":
            options = (told.expected or "").split(", ")
            return {"code": "invalid_enum_value", "options": options, "path": path, "message": "Invalid enum value"}
        case "text_form":
            return {"code": "invalid_string", "validation": "regex", "path": path, "message": "Invalid"}
        case "text_too_long" | "text_too_short" | "number_out_of_range":
            code = "too_big" if told.code == "text_too_long" else "too_small"
            return {"code": code, "path": path, "message": told.message.removesuffix(".")}
        case _:
            return {"code": "custom", "path": path, "message": told.message.removesuffix(".")}


def check_depth(value: object) -> None:
    """What is kept as a whole is read as a whole, by decoders that follow so far; raises what becomes 400."""
    level = [value]
    for _ in range(DEPTH_KEPT_MAX):
        level = [
            inner for outer in level if isinstance(outer, list | dict)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return
    raise bad(TOO_DEEP)


def shape_refused(message: str, issues: list[dict[str, Any]]) -> Exception:
    """400 in the ancestor's shape, of a definition; issues as AJV words them, see `validation`."""
    told = [_translated(one) for one in issues]
    refused = bad(message)
    refused.details["error"] = {"issues": told, "name": "ZodError"}
    return refused


def _translated(one: dict[str, Any]) -> dict[str, Any]:
    path = [int(part) if part.isdigit() else part for part in one["instancePath"].split("/")[1:]]
    params = one["params"]
    match one["keyword"]:
        case "required":
            path = [*path, params["missingProperty"]]
            return {"code": "invalid_type", "received": "undefined", "path": path, "message": "Required"}
        case "type":
            kinds = params["type"]
            return {"code": "invalid_type", "expected": kinds, "path": path, "message": f"Expected {kinds}"}
        case "enum":
            options = params["allowedValues"]
            return {"code": "invalid_enum_value", "options": options, "path": path, "message": "Invalid enum value"}
        case "pattern":
            return {"code": "invalid_string", "validation": "regex", "path": path, "message": "Invalid"}
        case "maxLength" | "maxItems" | "maximum":
            return {"code": "too_big", "maximum": params["limit"], "path": path, "message": one["message"]}
        case _:
            return {"code": "too_small", "minimum": params["limit"], "path": path, "message": one["message"]}
