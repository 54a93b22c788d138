"""A typed decode that lets good records of a schema pass; all others go to the rules, which know the truth.

The types are narrower than the schema: what they take is good, what they do not take is only doubtful. What types
cannot tell (references, and what one member says of another) is looked at afterwards.
"""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

import msgspec
import orjson
from msgspec import Meta

from goodsgate.rules.attributes import KNOWN_MAX, check_requirements, requirements_by_name
from goodsgate.rules.context import Issues, RuleContext
from goodsgate.rules.member_access import TYPED_MEMBERS, TypedRecord, attribute_of
from goodsgate.rules.reference_rules import hs_known
from goodsgate.rules.typed_decoder import TIMESTAMP, Shallow

Node = Mapping[str, Any]
Record = dict[str, Any] | TypedRecord
Acquit = Callable[[bytes], Record | None]
decode_members: Callable[[bytes], dict[str, Any]] = orjson.loads
Look = Callable[[Any], bool]
"""Whether nothing is wrong with a value."""
Make = Callable[[RuleContext], Look | None]
"""The look under some terms; None where there is nothing to look for."""

FORMS: dict[str, Any] = {
    # visible ASCII without blanks, and without the plus sign of a number that a spreadsheet has rounded
    "identity": Annotated[str, Meta(min_length=1, max_length=255, pattern=r"^[!-*,-~]+\Z")],
    "name": Annotated[str, Meta(min_length=1, max_length=255, pattern=r"^[!-~]+\Z")] | int,
    "hs_code": Annotated[str, Meta(pattern=r"^(?:[0-9]{4}|[0-9]{6}|[0-9]{8})\Z")],
    "url": Annotated[str, Meta(max_length=2000, pattern=r"^https?://[a-z0-9][a-z0-9.-]*[a-z0-9]/[A-Za-z0-9/._~-]*\Z")],
    "moment": Annotated[str, Meta(pattern=rf"^{TIMESTAMP}\Z")],
    "yes_no": bool | Literal["Yes", "No", "yes", "no", "true", "false"],
}


DEPTH = 10
"""Nesting that the types let pass, at most: no schema has more than six levels, and no free member more than four."""


class SchemaFastPath:
    """The types of one schema, and the looks behind them."""

    def __init__(self, node: Node) -> None:
        self._decode: Callable[[bytes], Any] = msgspec.json.Decoder(_struct(node)).decode
        self._looks = [*_looks(node, ())]
        self._can_map = _maps_texts_only(node)

    def under(self, context: RuleContext) -> Acquit:
        """Gives, under these terms, a record of which nothing is wrong; None for one that the rules must look at."""
        decode, can_map = self._decode, self._can_map
        looks = [_along(steps, look) for steps, made in self._looks if (look := made(context)) is not None]

        def acquit(document: bytes) -> Record | None:
            try:
                record: TypedRecord = decode(document)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                return None
            for look in looks:
                if not look(record):
                    return None
            return record if can_map else decode_members(document)

        return acquit


def _maps_texts_only(node: Node) -> bool:
    """Whether all that ties a record is text that the schema names: numbers are not written as they came."""
    told = node["x-record"]
    marks = told.get("index", {}).values()
    named = [*told["key"], *told.get("requires", ()), *(how["path"] for how in marks)]
    flags = [how["path"].rpartition("/")[0] + f"/{how['if_true']}" for how in marks if "if_true" in how]
    return all(_kind(node, path.strip("/")) == "string" for path in named) and all(
        _kind(node, path.strip("/")) == "boolean" for path in flags
    )


def _kind(node: Node, path: str) -> object:
    """The type of what lies at a path; None for what the schema does not name, or is a form that may be a number."""
    for step in path.split("/"):
        node = node.get("items", {}) if step == "*" else node.get("properties", {}).get(step, {})
    return node.get("type") if node.get("x-form") != "name" else None


def _along(steps: tuple[str, ...], look: Look) -> Look:
    """The look at all that lies at a path; there is nothing to see where a member on the way is absent."""
    if not steps:
        return look
    inner = _along(steps[1:], look)
    if steps[0] == "*":
        return lambda listed: all(map(inner, listed))
    read = TYPED_MEMBERS.getter(steps[0])

    def member(members: TypedRecord) -> bool:
        value = read(members)
        return value is None or inner(value)

    return member


def _struct(node: Node) -> type:
    """Exactly these members: a record with others is looked at by the rules."""
    required = node.get("required", ())
    members: list[tuple[str, Any, Any]] = []
    for name, inner in node["properties"].items():
        if name in required:
            members.append((attribute_of(name), _type(inner, required=True), msgspec.NODEFAULT))
        else:
            members.append((attribute_of(name), _type(inner, required=False) | None, None))
    renamed = {attribute_of(name): name for name in node["properties"]}
    return msgspec.defstruct(
        "Record", members, bases=(TypedRecord,), rename=renamed, kw_only=True, gc=False, forbid_unknown_fields=True
    )


def _type(node: Node, *, required: bool) -> Any:
    if "x-form" in node:
        return FORMS[node["x-form"]]
    if "enum" in node:
        return Literal[tuple(node["enum"])]
    kinds = [node["type"]] if isinstance(node["type"], str) else node["type"]
    found: Any = None
    for kind in kinds:
        one = _one(kind, node, required=required)
        found = one if found is None else found | one
    return found


def _one(kind: str, node: Node, *, required: bool) -> Any:
    match kind:
        case "object":
            return _struct(node) if "properties" in node else dict[str, Shallow]
        case "array":
            entries: Any = _type(node["items"], required=True)
            least = node.get("minItems", 0)
            return Annotated[list[entries], Meta(min_length=least)]
        case "boolean":
            return bool
        case "integer" | "number":
            number: Any = int if kind == "integer" else float
            return Annotated[number, Meta(ge=node["minimum"])] if "minimum" in node else number
        case _:
            shortest = max(node.get("minLength", 0), int(required))
            return Annotated[str, Meta(min_length=shortest, max_length=node.get("maxLength"), pattern=_pattern(node))]


def _pattern(node: Node) -> str | None:
    """As a whole: `$` would let a line break pass."""
    pattern: str | None = node.get("pattern")
    return pattern[:-1] + r"\Z" if pattern is not None and pattern.endswith("$") else pattern


def _looks(node: Node, steps: tuple[str, ...]) -> list[tuple[tuple[str, ...], Make]]:
    """Path and look of everything in a node that its type does not tell."""
    found: list[tuple[tuple[str, ...], Make]] = []
    if "x-reference" in node:
        found.append((steps, _held(node["x-reference"])))
    if node.get("x-form") == "hs_code":
        found.append((steps, _hs_known))
    if "x-own-location" in node:
        found.append((steps, _own_location))
    for name, inner in node.get("properties", {}).items():
        if "x-at-most" in inner:
            found.append((steps, _at_most(name, inner["x-at-most"])))
        if "x-attributes-of" in inner:
            found.append((steps, _undemanding(inner["x-attributes-of"], attributes=name, fields=node["properties"])))
        found += _looks(inner, (*steps, name))
    if "items" in node:
        found += _looks(node["items"], (*steps, "*"))
    return found


def _held(told: Node) -> Make:
    kind, by, level = told["kind"], tuple(told["by"]), told.get("level")

    def made(context: RuleContext) -> Look | None:
        names = context.reference.listed(kind, by=by, level=level) if context.lookup_severity is not None else None
        if names is None:
            return None
        codes = names.codes
        return lambda value: (value if type(value) is str else str(value)) in codes

    return made


def _hs_known(context: RuleContext) -> Look:
    return lambda code: hs_known(code, context)


def _own_location(context: RuleContext) -> Look | None:
    location = context.location
    return None if location is None else lambda value: bool(value == location)


def _undemanding(category: str, *, attributes: str, fields: Node) -> Make:
    """Nothing is demanded in this category, or what is there does it; the rules look where something is missing."""

    def made(context: RuleContext) -> Look | None:
        if context.lookup_severity is None:
            return None
        read, given = TYPED_MEMBERS.getter(category), TYPED_MEMBERS.getter(attributes)
        demands_of = requirements_by_name(context.reference)
        content: dict[object, bool] = {}  # by category: whether records without attributes do what is demanded

        def look(record: TypedRecord) -> bool:
            named = read(record)
            if content.get(named) and not given(record):
                return True
            requirements = demands_of(named)
            if named not in content and len(content) < KNOWN_MAX:
                content[named] = not any(one.required or name in fields for name, one in requirements.items())
            if not requirements:
                return True
            found: Issues = []
            check_requirements(record, requirements, context, found, category=None, whole=True)
            return not found and not record.get("variants")  # which are looked into as plain ones only

        return look

    return made


def _at_most(name: str, other: str) -> Make:
    def look(members: TypedRecord) -> bool:
        value, bound = members.get(name), members.get(other)
        return value is None or bound is None or bool(value <= bound)

    return lambda _context: look
