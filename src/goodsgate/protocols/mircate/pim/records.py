"""Products of a request as records of a batch, and their errors in the form of this protocol."""

import re
from typing import Any

import msgspec
import orjson

from goodsgate.model.finding import Finding
from goodsgate.model.issue import Issue
from goodsgate.model.json_text import read_json, read_members, read_value, write_json
from goodsgate.protocols.mircate.pim.product_rules import CODE, MODEL
from goodsgate.protocols.mircate.pim.unpublished import DEPTH_KEPT_MAX, PREFIX, VALIDATION
from goodsgate.protocols.mircate.responses import TOO_DEEP, bad_request

_POSITION = re.compile(r"[0-9]{1,9}")

_product_list = msgspec.json.Decoder(list[msgspec.Raw])
_bulk_request = msgspec.json.Decoder(dict[str, msgspec.Raw])

RENEWAL = "_renewal"
"""Member of a stored product that its last upsert set; not part of answers."""

TYPE_NAMES = {
    "text": "string", "a list": "array", "an object": "object", "true or false": "boolean", "a number": "number",
}
"""Expected type in an issue of the gate → its name in the ancestor's validation."""


def split_products(content: bytes) -> list[bytes]:
    """Return the products of a bulk request as they are written: of ``products``, or of an array."""
    raw = content.strip()
    if raw[:1] == b"{":
        raw = bytes(_bulk_request.decode(raw)["products"])
    return [bytes(product) for product in _product_list.decode(raw)]


def with_id(product: bytes, *, renewal: str | None = None) -> bytes:
    """Append the id under which a product is stored; of two members of one name, the last counts.

    A `renewal`, another one for each upsert, makes an upsert a change whatever it contains.
    """
    text = product.strip()
    if text[:1] != b"{":
        return text  # not an object: processing rejects it
    try:
        id = id_of(read_json(text))
    except orjson.JSONDecodeError:
        return text
    body = text[:-1].rstrip()
    members = b'"id":' + write_json(id)
    if renewal is not None:
        members += b',"%s":"%s"' % (RENEWAL.encode(), renewal.encode())
    return body + (b"" if body == b"{" else b",") + members + b"}"


def key_of(record: bytes) -> str | None:
    """Return the key of a record that has its id."""
    key = (read_members(record) or {}).get("id")
    key = read_value(key)
    return key if isinstance(key, str) else None


def id_of(product: dict[str, Any]) -> str | None:
    """Return the id that a product names, if it does."""
    data = product.get("data")
    name = data.get("code" if product.get("dataType") == MODEL else "sku") if isinstance(data, dict) else None
    return name if isinstance(name, str) and name else None


def rejected_record(finding: Finding) -> dict[str, Any]:
    """Return the product that was rejected; empty if it is not an object."""
    try:
        record = read_json(finding.raw or b"{}")
    except orjson.JSONDecodeError:
        return {}
    return record if isinstance(record, dict) else {}


def failed_product(finding: Finding) -> dict[str, str]:
    """Return an entry of ``failedProducts``: the text of each error, in the ancestor's order."""
    record = rejected_record(finding)
    message = "; ".join(_text(error, record) for error in _errors(finding))
    return {"sku": id_of(record) or "", "channel": "", "message": message}


def refusal_body(finding: Finding) -> dict[str, Any]:
    """Return the body of the answer to a rejected product."""
    errors = _errors(finding)
    own = [error for error in errors if error.code == CODE or error.path == "/id"]
    if own:
        return {"message": PREFIX + _text(own[0], rejected_record(finding))}
    return {"message": VALIDATION, "error": {"issues": [*map(_zod_issue, errors)], "name": "ZodError"}}


def _errors(finding: Finding) -> list[Issue]:
    return [issue for issue in finding.issues if issue.severity == "error"]


def _text(issue: Issue, record: dict[str, Any]) -> str:
    if issue.code == CODE:
        return issue.expected or ""
    if issue.path != "/id":
        return issue.message.removesuffix(".")
    if issue.code in ("field_missing", "item_unnamed"):
        return f"Product {'model code' if record.get('dataType') == MODEL else 'sku'} is not defined!"
    return "Invalid product sku or code!"


def _zod_issue(issue: Issue) -> dict[str, Any]:
    """Return an issue in the form of the ancestor's validation."""
    path = [int(part) if _POSITION.fullmatch(part) else part for part in issue.path.split("/")[1:]]
    match issue.code:
        case "field_missing":
            return {"code": "invalid_type", "received": "undefined", "path": path, "message": "Required"}
        case "field_type":
            expected = TYPE_NAMES.get(issue.expected or "", issue.expected)
            return {"code": "invalid_type", "expected": expected, "path": path, "message": f"Expected {expected}"}
        case "value_not_allowed":
            options = (issue.expected or "").split(", ")
            return {"code": "invalid_enum_value", "options": options, "path": path, "message": "Invalid enum value"}
        case "text_form":
            return {"code": "invalid_string", "validation": "regex", "path": path, "message": "Invalid"}
        case "text_too_long" | "text_too_short" | "number_out_of_range":
            code = "too_big" if issue.code == "text_too_long" else "too_small"
            return {"code": code, "path": path, "message": issue.message.removesuffix(".")}
        case _:
            return {"code": "custom", "path": path, "message": issue.message.removesuffix(".")}


def check_depth(value: object) -> None:
    """Refuse values that are nested too deeply for the decoders that read them later."""
    level = [value]
    for _ in range(DEPTH_KEPT_MAX):
        level = [
            inner for outer in level if isinstance(outer, list | dict)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return
    raise bad_request(TOO_DEEP)


def model_error(message: str, issues: list[dict[str, Any]]) -> Exception:
    """Return 400 for a definition, in the ancestor's form; the issues are those of `validation`."""
    refusal = bad_request(message)
    refusal.details["error"] = {"issues": [*map(_zod_issue_of_ajv, issues)], "name": "ZodError"}
    return refusal


def _zod_issue_of_ajv(issue: dict[str, Any]) -> dict[str, Any]:
    path = [int(part) if _POSITION.fullmatch(part) else part for part in issue["instancePath"].split("/")[1:]]
    params = issue["params"]
    match issue["keyword"]:
        case "required":
            path = [*path, params["missingProperty"]]
            return {"code": "invalid_type", "received": "undefined", "path": path, "message": "Required"}
        case "type":
            types = params["type"]
            return {"code": "invalid_type", "expected": types, "path": path, "message": f"Expected {types}"}
        case "enum":
            options = params["allowedValues"]
            return {"code": "invalid_enum_value", "options": options, "path": path, "message": "Invalid enum value"}
        case "pattern":
            return {"code": "invalid_string", "validation": "regex", "path": path, "message": "Invalid"}
        case "maxLength" | "maxItems" | "maximum":
            return {"code": "too_big", "maximum": params["limit"], "path": path, "message": issue["message"]}
        case _:
            return {"code": "too_small", "minimum": params["limit"], "path": path, "message": issue["message"]}
