"""A protocol's ``openapi.yaml`` as the running protocol obeys it: its paths, their parameters and the scope each needs.

What a parameter may be is written once, in the YAML; handlers get values that were checked against it.
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
"""Query parameters of one request."""
_INTEGER = re.compile(r"-?[0-9]{1,18}")
_NUMBER = re.compile(r"-?[0-9]{1,40}(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,3})?")


class Parameter(msgspec.Struct, frozen=True, kw_only=True):
    """One parameter of a path or a query."""

    name: str
    schema: dict[str, Any]
    slashes: bool = False
    """A path parameter that takes the rest of the path."""
    refusal: str = "not_found"
    """How a path is answered whose parameter does not fit."""
    required: bool = False
    """Of a query."""

    def read(self, text: str) -> object:
        """Turn the text of a request into a value; raises ValueError with what is expected."""
        schema = self.schema
        if "enum" in schema and text not in schema["enum"]:
            raise ValueError(f"one of {', '.join(schema['enum'])}")
        match schema["type"]:
            case "boolean":
                if text not in ("true", "false"):
                    raise ValueError("true or false")
                return text == "true"
            case "integer" | "number" as kind:
                return _number(text, schema, whole=kind == "integer")
            case "array":
                return self._entries(text)
            case _:
                return _text(text, schema)


    def _entries(self, text: str) -> list[object]:
        """Values with commas, and blanks that do not count, between them."""
        parts = [part.strip() for part in text.split(",")]
        if len(parts) > self.schema["maxItems"]:
            raise ValueError(f"at most {self.schema['maxItems']} values")
        one = Parameter(name=self.name, schema=self.schema["items"])
        return [one.read(part) for part in parts]


def _number(text: str, schema: dict[str, Any], *, whole: bool) -> int | float:
    bounds = f"{'an integer' if whole else 'a number'} from {schema['minimum']} to {schema['maximum']}"
    if not (_INTEGER if whole else _NUMBER).fullmatch(text):
        raise ValueError(bounds)
    value = int(text) if whole else float(text)
    if not math.isfinite(value) or not schema["minimum"] <= value <= schema["maximum"]:
        raise ValueError(bounds)
    return value


def _text(text: str, schema: dict[str, Any]) -> str | datetime:
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
    scope: str | None
    """What a key must have; None for everyone."""
    parameters: dict[str, Parameter]
    """Those of the query."""
    ignores: bool = False
    """Whether parameters that the contract does not know are passed over."""

    def query(self, query_string: bytes) -> dict[str, Any]:
        """Values of all parameters, defaults filled in; None for those that have none. Raises parameter_invalid."""
        values: dict[str, Any] = {name: parameter.schema.get("default") for name, parameter in self.parameters.items()}
        try:
            given = parse_qsl(
                query_string.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=PARAMETERS_MAX
            )
        except ValueError as fault:
            raise Refusal("parameter_invalid", "The query is not percent-encoded UTF-8.") from fault
        texts: dict[str, str] = {}
        for name, text in given:
            parameter = self.parameters.get(name)
            if parameter is None and self.ignores:
                continue
            if name not in texts:
                texts[name] = text
            elif parameter is not None and parameter.schema["type"] == "array":
                texts[name] = f"{texts[name]},{text}"
            else:
                raise Refusal("parameter_invalid", f"The parameter {name} is repeated.", parameter=name)
        values.update((name, self._value(name, text)) for name, text in texts.items())
        for name, parameter in self.parameters.items():
            if parameter.required and name not in texts:
                raise Refusal("parameter_invalid", f"The parameter {name} is missing.", parameter=name)
        return values

    def _value(self, name: str, text: str) -> object:
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
    """As the contract writes it: ``/v1/batches/{batch}``."""
    parameters: dict[str, Parameter]
    operations: dict[str, Operation]
    """By method, in capitals."""

    @property
    def pattern(self) -> str:
        """The template as the router wants it."""
        return re.sub(
            r"\{(\w+)\}", lambda name: f"{{{name[1]}:path}}" if self.parameters[name[1]].slashes else name[0],
            self.template,
        )

    @property
    def allow(self) -> str:
        """Methods for the ``Allow`` header."""
        methods = {*self.operations, "OPTIONS"} | ({"HEAD"} if "GET" in self.operations else set())
        return ", ".join(sorted(methods))

    def values(self, given: Mapping[str, str]) -> dict[str, str]:
        """Path parameters, checked; raises the refusal that the contract names for each."""
        for name, text in given.items():
            parameter = self.parameters[name]
            try:
                parameter.read(text)
            except ValueError as fault:
                raise refuse(parameter.refusal) from fault
        return dict(given)


class _Plain(yaml.SafeDumper):
    """Without anchors, which only those understand who wrote them."""

    def ignore_aliases(self, _data: Any) -> bool:
        """Of nothing."""
        return True


def _loaded(text: bytes) -> dict[str, Any]:
    document: dict[str, Any] = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 – both are safe loaders
    return document


class OpenApiDocument:
    """An OpenAPI document and what a protocol needs of it."""

    def __init__(self, text: bytes, parts: Sequence[bytes] = ()) -> None:
        """`parts` are documents whose paths stand before those of the whole, and whose tags and components join its."""
        self.document: dict[str, Any] = _loaded(text)
        for part in parts:
            self._join(_loaded(part))
        self.yaml = text if not parts else yaml.dump(self.document, Dumper=_Plain, sort_keys=False).encode()
        self.paths = [self._path(template, self.resolved(node)) for template, node in self.document["paths"].items()]

    def _join(self, part: dict[str, Any]) -> None:
        whole = self.document
        whole["paths"] = {**part["paths"], **whole["paths"]}
        whole["tags"] = [*whole.get("tags", ()), *part.get("tags", ())]
        for kind, named in part.get("components", {}).items():
            held = whole.setdefault("components", {}).setdefault(kind, {})
            assert not held.keys() & named, f"two of these: {kind} {held.keys() & named}"
            held.update(named)

    @cached_property
    def json(self) -> bytes:
        """The document as JSON."""
        return msgspec.json.encode(self.document)

    def resolved(self, node: Any) -> Any:
        """The node that a ``$ref`` leads to, or the node itself."""
        while isinstance(node, dict) and "$ref" in node:
            found: Any = self.document
            for part in node["$ref"].removeprefix("#/").split("/"):
                found = found[unquote(part)]
            node = found
        return node

    def _whole(self, node: Any) -> Any:
        """The node with all references in it resolved; it must not refer to itself."""
        found = self.resolved(node)
        if isinstance(found, dict):
            return {name: self._whole(inner) for name, inner in found.items()}
        return [self._whole(inner) for inner in found] if isinstance(found, list) else found

    def records(self, protocol: str) -> dict[str, dict[str, Any]]:
        """``protocol/Component`` → schema of the records that are held to it while they are worked."""
        schemas: dict[str, dict[str, Any]] = self.document.get("components", {}).get("schemas", {})
        return {f"{protocol}/{name}": self._record(protocol, node) for name,
            node in schemas.items() if "x-record" in node}

    def _record(self, protocol: str, node: dict[str, Any]) -> dict[str, Any]:
        """Return the schema of one record; where its mapping refers to another schema, by name."""
        mapping = {
            word: f"{protocol}/{told['$ref'].rpartition('/')[2]}" if isinstance(told, dict) and "$ref" in told else told
            for word, told in node["x-record"].items()
        }
        return {**self._whole({name: inner for name, inner in node.items() if name != "x-record"}), "x-record": mapping}

    def _parameter(self, node: dict[str, Any]) -> Parameter:
        return Parameter(
            name=node["name"], schema=self._whole(node["schema"]), slashes=node.get("x-slashes", False),
            refusal=node.get("x-refusal", "not_found"), required=node["in"] == "query" and node.get("required", False),
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
        scopes = [scope for way in node["security"] for needed in way.values() for scope in needed]
        return Operation(
            id=node["operationId"], method=method.upper(), scope=scopes[0] if scopes else None,
            parameters={each["name"]: self._parameter(each) for each in own if each["in"] == "query"},
            ignores=self.document.get("x-unknown-parameters") == "ignored",
        )
