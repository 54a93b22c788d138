"""Fast path of a schema: a typed decode that accepts most valid records; all others go to the rules, which decide.

The types are stricter than the schema: what they accept is valid, what they reject may be valid. What types cannot
express (references, and relations between members) is checked afterwards.
"""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from goodsgate.model.fields import INT64_MAX
from goodsgate.model.json_text import UNREADABLE_JSON, read_json
from goodsgate.rules.attributes import CACHED_CATEGORIES_MAX, check_requirements, requirements_by_name
from goodsgate.rules.context import Issues, RuleContext
from goodsgate.rules.member_access import TYPED_MEMBERS, TypedRecord, attribute_of
from goodsgate.rules.reference_rules import is_known_hs_code
from goodsgate.rules.typed_decoder import TIMESTAMP, Shallow

Node = Mapping[str, Any]
Record = dict[str, Any] | TypedRecord
AcceptValid = Callable[[bytes], Record | None]
decode_members: Callable[[bytes], dict[str, Any]] = read_json
Check = Callable[[Any], bool]
"""Whether a value is valid."""
CheckMaker = Callable[[RuleContext], Check | None]
"""Makes the check under a context; None if there is nothing to check."""

FORMS: dict[str, Any] = {
    # visible ASCII without blanks, and without the plus sign of a number that a spreadsheet has rounded
    "identity": Annotated[str, Meta(min_length=1, max_length=255, pattern=r"^[!-*,-~]+\Z")],
    "name": Annotated[str, Meta(min_length=1, max_length=255, pattern=r"^[!-~]+\Z")]
    | Annotated[int, Meta(ge=-INT64_MAX, le=INT64_MAX)],
    "hs_code": Annotated[str, Meta(pattern=r"^(?:[0-9]{4}|[0-9]{6}|[0-9]{8})\Z")],
    "url": Annotated[str, Meta(max_length=2000, pattern=r"^https?://[a-z0-9][a-z0-9.-]*[a-z0-9]/[A-Za-z0-9/._~-]*\Z")],
    "moment": Annotated[str, Meta(pattern=rf"^{TIMESTAMP}\Z")],
    "yes_no": bool | Literal["Yes", "No", "yes", "no", "true", "false"],
}


DEPTH = 10
"""Maximum nesting that the types accept: no schema has more than six levels, and no free member more than four."""


class SchemaFastPath:
    """The types of one schema, and the checks after them."""

    def __init__(self, node: Node) -> None:
        self._decode: Callable[[bytes], Any] = msgspec.json.Decoder(_struct(node)).decode
        self._checks = [*_checks(node, ())]
        self._can_map = _maps_texts_only(node)

    def compile(self, context: RuleContext) -> AcceptValid:
        """Return a function that returns a certainly valid record, or None for one that the rules must check."""
        decode, can_map = self._decode, self._can_map
        checks = [_at_path(steps, check) for steps, make in self._checks if (check := make(context)) is not None]

        def accept(document: bytes) -> Record | None:
            if b"\\u0000" in document:
                return None
            try:
                record: TypedRecord = decode(document)
            except UNREADABLE_JSON:
                return None
            for check in checks:
                if not check(record):
                    return None
            return record if can_map else decode_members(document)

        return accept


def _maps_texts_only(node: Node) -> bool:
    """Return whether the mapping reads only texts that the schema names; numbers could change their notation."""
    mapping = node["x-record"]
    index = mapping.get("index", {}).values()
    named = [*mapping["key"], *mapping.get("requires", ()), *(rule["path"] for rule in index)]
    flags = [rule["path"].rpartition("/")[0] + f"/{rule['if_true']}" for rule in index if "if_true" in rule]
    return all(_kind(node, path.strip("/")) == "string" for path in named) and all(
        _kind(node, path.strip("/")) == "boolean" for path in flags
    )


def _kind(node: Node, path: str) -> object:
    """Return the type at a path; None if the schema does not name it, or if it is a form that may be a number."""
    for step in path.split("/"):
        node = node.get("items", {}) if step == "*" else node.get("properties", {}).get(step, {})
    return node.get("type") if node.get("x-form") != "name" else None


def _at_path(steps: tuple[str, ...], check: Check) -> Check:
    """Return the check of everything at a path; absent members on the way are valid."""
    if not steps:
        return check
    inner = _at_path(steps[1:], check)
    if steps[0] == "*":
        return lambda listed: all(map(inner, listed))
    read = TYPED_MEMBERS.getter(steps[0])

    def member(members: TypedRecord) -> bool:
        value = read(members)
        return value is None or inner(value)

    return member


def _struct(node: Node) -> type:
    """Return a Struct of exactly these members: a record with others is left to the rules."""
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
    union: Any = None
    for kind in kinds:
        one = _one(kind, node, required=required)
        union = one if union is None else union | one
    return union


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
            bounds = {limit: node[word] for word, limit in (("minimum", "ge"), ("maximum", "le")) if word in node}
            return Annotated[number, Meta(**bounds)] if bounds else number
        case _:
            shortest = max(node.get("minLength", 0), int(required))
            return Annotated[str, Meta(min_length=shortest, max_length=node.get("maxLength"), pattern=_pattern(node))]


def _pattern(node: Node) -> str | None:
    """Return the pattern for the whole text: `$` would accept a trailing line break."""
    pattern: str | None = node.get("pattern")
    return pattern[:-1] + r"\Z" if pattern is not None and pattern.endswith("$") else pattern


def _checks(node: Node, steps: tuple[str, ...]) -> list[tuple[tuple[str, ...], CheckMaker]]:
    """Return path and check of everything in a node that its type cannot express."""
    checks: list[tuple[tuple[str, ...], CheckMaker]] = []
    if "x-reference" in node:
        checks.append((steps, _reference(node["x-reference"])))
    if node.get("x-form") == "hs_code":
        checks.append((steps, _known_hs_code))
    if "x-own-location" in node:
        checks.append((steps, _own_location))
    for name, inner in node.get("properties", {}).items():
        if "x-at-most" in inner:
            checks.append((steps, _at_most(name, inner["x-at-most"])))
        if "x-attributes-of" in inner:
            checks.append((steps, _requirements(inner["x-attributes-of"], attributes=name, fields=node["properties"])))
        checks += _checks(inner, (*steps, name))
    if "items" in node:
        checks += _checks(node["items"], (*steps, "*"))
    return checks


def _reference(mapping: Node) -> CheckMaker:
    kind, by, level = mapping["kind"], tuple(mapping["by"]), mapping.get("level")

    def make(context: RuleContext) -> Check | None:
        names = context.reference.index(kind, by=by, level=level) if context.lookup_severity is not None else None
        if names is None:
            return None
        codes = names.codes
        return lambda value: (value if type(value) is str else str(value)) in codes

    return make


def _known_hs_code(context: RuleContext) -> Check:
    return lambda code: is_known_hs_code(code, context)


def _own_location(context: RuleContext) -> Check | None:
    location = context.location
    return None if location is None else lambda value: bool(value == location)


def _requirements(category: str, *, attributes: str, fields: Node) -> CheckMaker:
    """CheckMaker the check that a category's requirements are satisfied; if something is missing, the rules decide."""

    def make(context: RuleContext) -> Check | None:
        if context.lookup_severity is None:
            return None
        read, given = TYPED_MEMBERS.getter(category), TYPED_MEMBERS.getter(attributes)
        demands_of = requirements_by_name(context.reference)
        content: dict[object, bool] = {}  # by category: whether records without attributes do what is demanded

        def check(record: TypedRecord) -> bool:
            named = read(record)
            if content.get(named) and not given(record):
                return True
            requirements = demands_of(named)
            if named not in content and len(content) < CACHED_CATEGORIES_MAX:
                content[named] = not any(one.required or name in fields for name, one in requirements.items())
            if not requirements:
                return True
            issues: Issues = []
            check_requirements(record, requirements, context, issues, category=None, whole=True)
            return not issues and not record.get("variants")  # which are looked into as plain ones only

        return check

    return make


def _at_most(name: str, other: str) -> CheckMaker:
    def check(members: TypedRecord) -> bool:
        value, bound = members.get(name), members.get(other)
        return value is None or bound is None or bool(value <= bound)

    return lambda _context: check
