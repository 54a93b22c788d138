"""OpenAPI documents of the protocols: paths, parameters and scopes that the endpoints enforce.

The YAML is the only definition of a parameter; handlers receive values that were checked against it.
"""

import math
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any
from urllib.parse import parse_qsl, unquote

import msgspec
import yaml

from goodsgate.engine.refusal import Refusal
from goodsgate.http.problems import refuse

METHODS = ("get", "post", "put", "patch", "delete")
PARAMETERS_MAX = 64
"""Maximum number of query parameters of a request."""
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_INTEGER = re.compile(r"-?[0-9]{1,18}")
_NUMBER = re.compile(r"-?[0-9]{1,40}(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,3})?")


class Parameter(msgspec.Struct, frozen=True, kw_only=True):
    """A parameter of a path or a query."""

    name: str
    schema: dict[str, Any]
    slashes: bool = False
    """Whether a path parameter takes the rest of the path, slashes included."""
    refusal: str = "not_found"
    """Code of the refusal if a path parameter is invalid."""
    required: bool = False
    """Whether a query must have the parameter."""

    is_hex_uuid: bool = False
    """Whether a path parameter of 32 hex digits may be written as a UUID."""
    is_lenient: bool = False
    """Whether booleans may be written in any case, or as 1 and 0."""

    def read(self, text: str) -> object:
        """Return the value of a text in a request. Raises ValueError with a description of what is expected.

        No text holds NUL, which no name and no key does and not every database accepts.
        """
        schema = self.schema
        if "\0" in text:
            raise ValueError("text without the character NUL")
        if "enum" in schema and text not in schema["enum"]:
            raise ValueError(f"one of {', '.join(schema['enum'])}")
        match schema["type"]:
            case "boolean":
                if self.is_lenient:
                    text = {"1": "true", "0": "false"}.get(text, text.lower())
                if text not in ("true", "false"):
                    raise ValueError("true or false")
                return text == "true"
            case "integer" | "number" as kind:
                return _read_number(text, schema, whole=kind == "integer")
            case "array":
                return self._read_list(text)
            case _:
                return _read_text(text, schema)

    def _read_list(self, text: str) -> list[object]:
        """Return the values of a comma-separated list; blanks around the commas are ignored."""
        parts = [part.strip() for part in text.split(",")]
        if len(parts) > self.schema["maxItems"]:
            raise ValueError(f"at most {self.schema['maxItems']} values")
        item = Parameter(name=self.name, schema=self.schema["items"])
        return [item.read(part) for part in parts]


def _read_number(text: str, schema: dict[str, Any], *, whole: bool) -> int | float:
    bounds = f"{'an integer' if whole else 'a number'} from {schema['minimum']} to {schema['maximum']}"
    if not (_INTEGER if whole else _NUMBER).fullmatch(text):
        raise ValueError(bounds)
    value = int(text) if whole else float(text)
    if not math.isfinite(value) or not schema["minimum"] <= value <= schema["maximum"]:
        raise ValueError(bounds)
    return value


def _read_text(text: str, schema: dict[str, Any]) -> str | datetime:
    shortest, longest = schema.get("minLength", 0), schema.get("maxLength", math.inf)
    if not shortest <= len(text) <= longest:
        raise ValueError(f"{shortest} to {longest} characters")
    if "pattern" in schema and not re.fullmatch(schema["pattern"], text):
        raise ValueError(f"text like {schema['pattern']}")
    if schema.get("format") != "date-time":
        return text
    try:
        time = msgspec.convert(text, datetime)
    except msgspec.ValidationError:
        time = None
    if time is None or time.tzinfo is None:
        raise ValueError("a time like 2026-01-31T08:15:00Z")
    return time


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One method of one path."""

    id: str
    method: str
    permission: str | None
    """Permission that a key must have; None if no key is needed."""
    parameters: dict[str, Parameter]
    """Query parameters by name."""
    act: str | None = None
    """Action of the audit log; None: it has no entry there."""
    ignores_unknown: bool = False
    """Whether unknown query parameters are ignored."""
    ignores_empty: bool = False
    """Whether an empty query parameter is absent."""

    def query(self, query_string: bytes) -> dict[str, Any]:
        """Return the values of all query parameters: the default, or None, for those that are absent.

        Raises parameter_invalid.
        """
        try:
            pairs = parse_qsl(
                query_string.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=PARAMETERS_MAX
            )
        except ValueError as fault:
            raise Refusal("parameter_invalid", "The query is not percent-encoded UTF-8.") from fault
        texts: dict[str, str] = {}
        for name, text in pairs:
            parameter = self.parameters.get(name)
            if (parameter is None and self.ignores_unknown) or (not text and self.ignores_empty):
                continue
            if name not in texts:
                texts[name] = text
            elif parameter is not None and parameter.schema["type"] == "array":
                texts[name] = f"{texts[name]},{text}"
            else:
                raise Refusal("parameter_invalid", f"The parameter {name} is repeated.", parameter=name)
        values: dict[str, Any] = {}
        for name, text in texts.items():
            values[name] = self._read(name, text)
        for name, parameter in self.parameters.items():
            if name not in texts:
                if parameter.required:
                    raise Refusal("parameter_invalid", f"The parameter {name} is missing.", parameter=name)
                values[name] = parameter.schema.get("default")
        return values

    def _read(self, name: str, text: str) -> object:
        parameter = self.parameters.get(name)
        if parameter is None:
            raise Refusal(
                "parameter_invalid", f"Unknown parameter {name[:100]}.", parameter=name[:100],
                allowed=sorted(self.parameters),
            )
        try:
            return parameter.read(text)
        except ValueError as fault:
            detail = f"The parameter {name} must be {fault}."
            raise Refusal("parameter_invalid", detail, parameter=name, value=text[:200], expected=str(fault)) from fault


class Path(msgspec.Struct, frozen=True, kw_only=True):
    """One path template with its operations."""

    template: str
    """The path as in the document: ``/v1/batches/{batch}``."""
    parameters: dict[str, Parameter]
    operations: dict[str, Operation]
    """Operations by method, in capitals."""

    @property
    def pattern(self) -> str:
        """The template in the syntax of the router."""
        return re.sub(
            r"\{(\w+)\}", lambda name: f"{{{name[1]}:path}}" if self.parameters[name[1]].slashes else name[0],
            self.template,
        )

    @property
    def allow(self) -> str:
        """The value of the ``Allow`` header."""
        methods = {*self.operations, "OPTIONS"} | ({"HEAD"} if "GET" in self.operations else set())
        return ", ".join(sorted(methods))

    def values(self, texts: Mapping[str, str]) -> dict[str, str]:
        """Return the path parameters after checking them. Raises the refusal of the first one that is invalid."""
        values = dict(texts)
        for name, text in texts.items():
            parameter = self.parameters[name]
            if parameter.is_hex_uuid and _UUID.fullmatch(text):
                text = values[name] = text.replace("-", "").lower()
            try:
                parameter.read(text)
            except ValueError as fault:
                raise refuse(parameter.refusal) from fault
        return values


class _PlainDumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc] # one of two classes
    """Dumper that writes no anchors and aliases, which are hard to read."""

    def ignore_aliases(self, _data: Any) -> bool:
        """Write every value in full."""
        return True


def _parse(text: bytes) -> dict[str, Any]:
    document: dict[str, Any] = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 – both are safe loaders
    return document


class OpenApiDocument:
    """The OpenAPI document of a protocol."""

    def __init__(self, text: bytes, parts: Sequence[bytes] = ()) -> None:
        """Parse the document and join `parts` to it; the paths of the parts come first, so that they match first."""
        self.document: dict[str, Any] = _parse(text)
        for part in parts:
            self._join(_parse(part))
        self._text = text if not parts else None
        self.paths = [self._path(template, self.resolved(node)) for template, node in self.document["paths"].items()]

    def _join(self, part: dict[str, Any]) -> None:
        whole = self.document
        whole["paths"] = {**part["paths"], **whole["paths"]}
        whole["tags"] = [*whole.get("tags", ()), *part.get("tags", ())]
        for kind, components in part.get("components", {}).items():
            known = whole.setdefault("components", {}).setdefault(kind, {})
            assert not known.keys() & components, f"defined twice: {kind} {known.keys() & components}"
            known.update(components)

    @cached_property
    def yaml(self) -> bytes:
        """The document as YAML: as it was written, unless parts were joined to it."""
        if self._text is not None:
            return self._text
        return yaml.dump(self.document, Dumper=_PlainDumper, sort_keys=False).encode()

    @cached_property
    def json(self) -> bytes:
        """The document as JSON."""
        return msgspec.json.encode(self.document)

    @property
    def _is_lenient(self) -> bool:
        """Whether query parameters may be empty, and booleans may be written in other ways."""
        return self.document.get("x-query-values") == "lenient"

    def resolved(self, node: Any) -> Any:
        """Return the node that a ``$ref`` refers to, or the node itself."""
        while isinstance(node, dict) and "$ref" in node:
            target: Any = self.document
            for part in node["$ref"].removeprefix("#/").split("/"):
                target = target[unquote(part)]
            node = target
        return node

    def _expanded(self, node: Any) -> Any:
        """Return the node with all references in it resolved; it must not refer to itself."""
        target = self.resolved(node)
        if isinstance(target, dict):
            return {name: self._expanded(inner) for name, inner in target.items()}
        return [self._expanded(inner) for inner in target] if isinstance(target, list) else target

    def records(self, protocol: str) -> dict[str, dict[str, Any]]:
        """Return the schemas of records, by ``protocol/Component``; workers validate records against them."""
        schemas: dict[str, dict[str, Any]] = self.document.get("components", {}).get("schemas", {})
        return {f"{protocol}/{name}": self._record(protocol, node) for name,
            node in schemas.items() if "x-record" in node}

    def _record(self, protocol: str, node: dict[str, Any]) -> dict[str, Any]:
        """Return the schema of a record; its `merged_schema` gets the full name of the other schema.

        It is no ``$ref``, because tools that follow references everywhere would not end.
        """
        mapping = node["x-record"]
        if "merged_schema" in mapping:
            mapping = {**mapping, "merged_schema": f"{protocol}/{mapping['merged_schema']}"}
        schema = self._expanded({name: inner for name, inner in node.items() if name != "x-record"})
        return {**schema, "x-record": mapping}

    def _parameter(self, node: dict[str, Any]) -> Parameter:
        return Parameter(
            name=node["name"], schema=self._expanded(node["schema"]), slashes=node.get("x-slashes", False),
            refusal=node.get("x-refusal", "not_found"), required=node["in"] == "query" and node.get("required", False),
            is_hex_uuid=node.get("x-hex-uuid", False), is_lenient=self._is_lenient,
        )

    def _path(self, template: str, node: dict[str, Any]) -> Path:
        shared = [self.resolved(parameter) for parameter in node.get("parameters", [])]
        return Path(
            template=template,
            parameters={each["name"]: self._parameter(each) for each in shared if each["in"] == "path"},
            operations={
                method.upper(): self._operation(method, node[method]) for method in METHODS if method in node
            },
        )

    def _operation(self, method: str, node: dict[str, Any]) -> Operation:
        own = [self.resolved(parameter) for parameter in node.get("parameters", [])]
        needed = [permission for way in node["security"] for permissions in way.values() for permission in permissions]
        return Operation(
            id=node["operationId"], method=method.upper(), permission=needed[0] if needed else None,
            parameters={each["name"]: self._parameter(each) for each in own if each["in"] == "query"},
            act=node.get("x-audit"),
            ignores_unknown=self.document.get("x-unknown-parameters") == "ignored",
            ignores_empty=self._is_lenient,
        )
