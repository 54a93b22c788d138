"""Transcripts of a protocol: requests, and what must hold of their responses; data of each protocol's package.

Texts of a transcript may hold ``${name}``: a credential, a value that an earlier step saved, a variable of the
transcript, or one that differs in every run: ``run`` (eight characters) and ``run_upc`` (a UPC). A text that is nothing
else stands for the value itself, so that a number stays one.

An expected JSON value is compared by what it holds: members that it does not name are free, lists have its length. A
text that begins with ``~ `` is a regular expression for the whole value. An object whose members begin with ``$`` is
a condition: ``$type``, ``$absent``, ``$length``, ``$contains`` (each of these values is in the list), ``$one_of``.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from goodsgate.cli.protocol_choice import protocol_folders

VARIABLE = re.compile(r"\$\{(\w+)\}")
PATTERN = "~ "
TYPES: dict[str, tuple[type, ...]] = {
    "text": (str,), "number": (int, float), "boolean": (bool,), "list": (list,), "object": (dict,),
    "null": (type(None),),
}
SHOWN_CHARACTERS_MAX = 200

Variables = Mapping[str, Any]


class UnknownVariableError(LookupError):
    """A text names a variable that has no value, because nothing gave it one or an earlier step failed."""


class RequestTemplate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A request of a step."""

    method: str
    path: str
    """Below the base URL, or a whole URL."""
    query: dict[str, Any] = {}
    headers: dict[str, str] = {}
    json: Any = UNSET
    text: str | UnsetType = UNSET
    """The body as it is; `json` is the other way to give one."""
    credentials: bool = True
    """Whether the request carries the credentials of the client."""


class ExpectedResponse(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What must hold of the response of a step."""

    status: int
    headers: dict[str, Any] = {}
    json: Any = UNSET
    text: str | UnsetType = UNSET
    """Regular expression that the body contains."""


class Step(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A request and its response."""

    name: str
    request: RequestTemplate
    response: ExpectedResponse
    save: dict[str, str] = {}
    """Variable → JSON pointer in the response, or ``header:Name``."""
    repeat_seconds: float = 0
    """Time in which the request is repeated until the response is as expected."""


class Transcript(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A conversation of a client with a server."""

    title: str
    steps: list[Step]
    variables: dict[str, Any] = {}


class Credential(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A value with which a client proves who it is."""

    value: str
    """What it is in a stand-in: a text with variables."""
    description: str


class SignatureScheme(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How requests are signed with AWS Signature Version 4; the credentials have the names that AWS clients read."""

    service: str
    region: str


class StandInSetup(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a stand-in has before its client calls it."""

    first_request: str
    """A shell command."""
    steps: list[Step]
    """Requests that add a few products."""
    settings: dict[str, str] = {}
    """Settings of the merchant."""
    locations: list[str] = []
    starter: bool = False
    """Whether the starter set of reference data is loaded."""


class ProtocolClient(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a client calls a protocol, read from ``client.yaml`` in its package."""

    title: str
    url: str
    """Environment variable with the base URL."""
    credentials: dict[str, Credential]
    """Environment variable → credential."""
    stand_in: StandInSetup
    login: list[Step] = []
    """Requests that every conversation begins with."""
    headers: dict[str, str] = {}
    signature: SignatureScheme | None = None


def load_client(protocol: str) -> ProtocolClient:
    """Return how a client calls a protocol."""
    return msgspec.yaml.decode((protocol_folders()[protocol] / "client.yaml").read_bytes(), type=ProtocolClient)


def load_transcripts(protocol: str) -> dict[str, Transcript]:
    """Return the transcripts of a protocol by name."""
    paths = sorted((protocol_folders()[protocol] / "transcripts").iterdir(), key=lambda path: path.name)
    return {
        path.name.removesuffix(".yaml"): msgspec.yaml.decode(path.read_bytes(), type=Transcript)
        for path in paths if path.name.endswith(".yaml")
    }


def substitute(template: Any, variables: Variables) -> Any:
    """Return a value with its variables replaced. Raises UnknownVariableError."""
    if isinstance(template, dict):
        return {name: substitute(value, variables) for name, value in template.items()}
    if isinstance(template, list):
        return [substitute(value, variables) for value in template]
    if not isinstance(template, str):
        return template
    whole = VARIABLE.fullmatch(template)
    if whole:
        return _value_of(whole[1], variables)
    return VARIABLE.sub(lambda found: str(_value_of(found[1], variables)), template)


def _value_of(name: str, variables: Variables) -> Any:
    try:
        return variables[name]
    except KeyError:
        raise UnknownVariableError(name) from None


def differences(expected: Any, actual: Any, path: str = "") -> Iterator[str]:
    """Yield a line for each place in which a JSON value is not as expected."""
    if isinstance(expected, dict) and expected and all(name.startswith("$") for name in expected):
        for name, wanted in expected.items():
            yield from _unmet_condition(name, wanted, actual, path)
    elif isinstance(expected, dict):
        if not isinstance(actual, dict):
            yield f"{path or 'body'}: {shorten(actual)}, expected an object"
            return
        for name, wanted in expected.items():
            below = f"{path}/{name}"
            if name in actual:
                yield from differences(wanted, actual[name], below)
            elif wanted != {"$absent": True}:
                yield f"{below}: missing, expected {shorten(wanted)}"
    elif isinstance(expected, list):
        if not isinstance(actual, list) or len(actual) != len(expected):
            yield f"{path or 'body'}: {shorten(actual)}, expected a list of {len(expected)}: {shorten(expected)}"
            return
        for at, (wanted, value) in enumerate(zip(expected, actual, strict=True)):
            yield from differences(wanted, value, f"{path}/{at}")
    elif isinstance(expected, str) and expected.startswith(PATTERN):
        if not isinstance(actual, str) or not re.fullmatch(expected.removeprefix(PATTERN), actual, re.S):
            yield f"{path or 'body'}: {shorten(actual)}, expected a text like {expected.removeprefix(PATTERN)}"
    elif isinstance(actual, bool) is not isinstance(expected, bool) or actual != expected:
        yield f"{path or 'body'}: {shorten(actual)}, expected {shorten(expected)}"


def _unmet_condition(name: str, wanted: Any, actual: Any, path: str) -> Iterator[str]:
    place = path or "body"
    match name:
        case "$absent":
            yield f"{place}: {shorten(actual)}, expected none"
        case "$type":
            is_flag = isinstance(actual, bool) and wanted != "boolean"
            if is_flag or not isinstance(actual, TYPES[wanted]):
                yield f"{place}: {shorten(actual)}, expected {wanted}"
        case "$length":
            if not isinstance(actual, list | str | dict) or len(actual) != wanted:
                yield f"{place}: {shorten(actual)}, expected {wanted} elements"
        case "$one_of":
            if all(any(differences(each, actual)) for each in wanted):
                yield f"{place}: {shorten(actual)}, expected one of {shorten(wanted)}"
        case "$contains":
            for each in wanted:
                if not isinstance(actual, list) or all(any(differences(each, value)) for value in actual):
                    yield f"{place}: {shorten(actual)}, expected to contain {shorten(each)}"
        case _:
            raise ValueError(f"{name} is no condition")


def shorten(value: Any) -> str:
    """Return a value as one line of JSON."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= SHOWN_CHARACTERS_MAX else f"{text[:SHOWN_CHARACTERS_MAX]}…"


def resolve_pointer(document: Any, pointer: str) -> Any:
    """Return the value at a JSON pointer. Raises LookupError if there is none."""
    value = document
    for token in pointer.split("/")[1:]:
        if isinstance(value, list) and token.isdecimal() and int(token) < len(value):
            value = value[int(token)]
        elif isinstance(value, dict) and token in value:
            value = value[token]
        else:
            raise LookupError(f"the response has no {pointer}")
    return value
