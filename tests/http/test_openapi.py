"""How parameters of a contract are read: tables of texts and values."""

import contextlib
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goodsgate.engine.refusal import Refusal
from goodsgate.http.openapi import OpenApiDocument, Parameter

YAML = b"""
openapi: 3.1.0
paths:
  /things/{thing}/{rest}:
    parameters:
      - {name: thing, in: path, required: true, x-refusal: item_unknown, schema: {$ref: "#/components/schemas/Name"}}
      - {name: rest, in: path, required: true, x-slashes: true, schema: {type: string, minLength: 1}}
    get:
      operationId: thing
      security: [{key: [read]}]
      parameters:
        - {name: limit, in: query, schema: {type: integer, minimum: 1, maximum: 10, default: 5}}
        - {name: q, in: query, schema: {type: string, maxLength: 3}}
        - {name: X-Header, in: header, schema: {type: string}}
components:
  schemas:
    Name: {type: string, pattern: "^[a-z]+$"}
"""
CONTRACT = OpenApiDocument(YAML)
(PATH,) = CONTRACT.paths
OPERATION = PATH.operations["GET"]


def _read(text, **schema):
    return Parameter(name="p", schema=schema).read(text)


@pytest.mark.parametrize(("text", "schema", "value"), [
    ("true", {"type": "boolean"}, True),
    ("false", {"type": "boolean"}, False),
    ("0", {"type": "integer", "minimum": 0, "maximum": 9}, 0),
    ("9", {"type": "integer", "minimum": 0, "maximum": 9}, 9),
    ("-3", {"type": "integer", "minimum": -3, "maximum": 9}, -3),
    ("0.25", {"type": "number", "minimum": 0, "maximum": 1}, 0.25),
    ("1e-3", {"type": "number", "minimum": 0, "maximum": 1}, 0.001),
    ("a", {"type": "string", "enum": ["a", "b"]}, "a"),
    ("1, 2", {"type": "array", "maxItems": 2, "items": {"type": "integer", "minimum": 0, "maximum": 9}}, [1, 2]),
    ("a,,b", {"type": "array", "maxItems": 3, "items": {"type": "string"}}, ["a", "", "b"]),
    ("abc", {"type": "string", "minLength": 3, "maxLength": 3, "pattern": "^[a-c]+$"}, "abc"),
    ("2026-01-31T08:15:00Z", {"type": "string", "format": "date-time"}, datetime(2026, 1, 31, 8, 15, tzinfo=UTC)),
    ("2026-01-31T10:15:00+02:00", {"type": "string", "format": "date-time"}, datetime(2026, 1, 31, 8, 15, tzinfo=UTC)),
])
def test_a_valid_text_becomes_a_value(text, schema, value):
    """The value has the type of the schema."""
    assert _read(text, **schema) == value


@pytest.mark.parametrize(("text", "schema"), [
    ("True", {"type": "boolean"}), ("1", {"type": "boolean"}), ("", {"type": "boolean"}),
    ("10", {"type": "integer", "minimum": 0, "maximum": 9}), ("-1", {"type": "integer", "minimum": 0, "maximum": 9}),
    ("1.0", {"type": "integer", "minimum": 0, "maximum": 9}), ("+1", {"type": "integer", "minimum": 0, "maximum": 9}),
    ("1_0", {"type": "integer", "minimum": 0, "maximum": 99}), ("٣", {"type": "integer", "minimum": 0, "maximum": 9}),
    ("9" * 5000, {"type": "integer", "minimum": 0, "maximum": 9}),
    ("", {"type": "integer", "minimum": 0, "maximum": 9}),
    ("nan", {"type": "number", "minimum": 0, "maximum": 1}), ("inf", {"type": "number", "minimum": 0, "maximum": 1}),
    ("1e999", {"type": "number", "minimum": 0, "maximum": 1}), ("0x1", {"type": "number", "minimum": 0, "maximum": 1}),
    ("1,,2", {"type": "array", "maxItems": 3, "items": {"type": "integer", "minimum": 0, "maximum": 9}}),
    ("1,2", {"type": "array", "maxItems": 1, "items": {"type": "integer", "minimum": 0, "maximum": 9}}),
    ("c", {"type": "string", "enum": ["a", "b"]}), ("", {"type": "string", "minLength": 1}),
    ("abcd", {"type": "string", "maxLength": 3}), ("abc\n", {"type": "string", "pattern": "^abc$"}),
    ("2026-01-31", {"type": "string", "format": "date-time"}), ("now", {"type": "string", "format": "date-time"}),
    ("2026-01-31T08:15:00", {"type": "string", "format": "date-time"}),
    ("2026-02-31T08:15:00Z", {"type": "string", "format": "date-time"}),
])
def test_an_invalid_text_is_an_error_that_says_what_is_expected(text, schema):
    """The operation turns the ValueError into a refusal."""
    with pytest.raises(ValueError, match=r"\w"):
        _read(text, **schema)


@given(st.text(), st.sampled_from(["boolean", "integer", "number", "string"]))
def test_any_text_is_read_or_refused(text, kind):
    """Reading returns a value or raises ValueError."""
    with contextlib.suppress(ValueError):
        _read(text, type=kind, minimum=-5, maximum=5, maxLength=5)


@given(st.binary(max_size=60))
def test_any_query_is_read_or_refused(query):
    """All parameters have a value or None, or the query is refused."""
    try:
        seen = set(OPERATION.query(query))
    except Refusal as refused:
        seen = {refused.code}
    assert seen in ({"limit", "q"}, {"parameter_invalid"})


def test_absent_parameters_have_their_default():
    """The value is None if the document has no default."""
    assert OPERATION.query(b"") == {"limit": 5, "q": None}
    assert OPERATION.query(b"q=a%20b&limit=7") == {"limit": 7, "q": "a b"}


@pytest.mark.parametrize("query", [b"limit=1&limit=1", b"other=1", b"limit", b"q=abcd", b"=1", b"q=&" * 100])
def test_the_refusal_of_a_query_names_the_parameter(query):
    """It is unknown, repeated or out of bounds."""
    with pytest.raises(Refusal) as refused:
        OPERATION.query(query)
    assert refused.value.code == "parameter_invalid"


def test_a_path_template_becomes_a_pattern_of_the_router():
    """A parameter with slashes takes the rest of the path."""
    assert PATH.pattern == "/things/{thing}/{rest:path}"
    assert PATH.allow == "GET, HEAD, OPTIONS"
    assert OPERATION.permission == "read"
    assert PATH.values({"thing": "cup", "rest": "a/b"}) == {"thing": "cup", "rest": "a/b"}


@pytest.mark.parametrize(("values", "code"), [
    ({"thing": "Cup", "rest": "a"}, "item_unknown"), ({"thing": "cup", "rest": ""}, "not_found"),
])
def test_an_invalid_path_parameter_raises_the_refusal_of_the_document(values, code):
    """The document names the code of the refusal."""
    with pytest.raises(Refusal) as refused:
        PATH.values(values)
    assert refused.value.code == code


LENIENT = OpenApiDocument(YAML.replace(b"paths:", b"x-unknown-parameters: ignored\npaths:").replace(
    b"- {name: q, in: query, schema: {type: string, maxLength: 3}}",
    b"- {name: q, in: query, required: true, schema: {type: array, maxItems: 3, items: {type: string}}}",
)).paths[0].operations["GET"]


def test_a_document_may_ignore_unknown_parameters():
    """Repeated ones are ignored as well; a list may be given in several parts."""
    assert LENIENT.query(b"other=1&other=2&q=a&q=b,c") == {"limit": 5, "q": ["a", "b", "c"]}


def test_a_parameter_may_be_required():
    """The refusal names the missing parameter."""
    with pytest.raises(Refusal) as refused:
        LENIENT.query(b"limit=1")
    assert refused.value.details["parameter"] == "q"


PART = b"""
tags: [{name: more}]
paths:
  /things/{thing}/more:
    parameters: [{name: thing, in: path, required: true, schema: {$ref: "#/components/schemas/Name"}}]
    get: {operationId: more, security: []}
components:
  schemas:
    More: {type: object}
"""


def test_the_paths_of_a_part_come_before_those_of_the_document():
    """Its components are joined, and one document is served."""
    whole = OpenApiDocument(YAML, [PART])
    assert [path.operations["GET"].id for path in whole.paths] == ["more", "thing"]
    assert whole.paths[0].values({"thing": "cup"}) == {"thing": "cup"}
    assert {*whole.document["components"]["schemas"]} == {"Name", "More"}
    assert OpenApiDocument(whole.yaml).document == whole.document
