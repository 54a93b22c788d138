"""The seven line errors with their texts, and the splitting of lines: the dossier, section 5."""

import json

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goodsgate.protocols.productsup.decoding import decode_error
from goodsgate.protocols.productsup.upload_validation import LINE_BYTES_MAX, LineChecker, check_line
from tests import effort
from tests.factories import NOW

CONTROL = "Control character error, possibly incorrectly encoded"
VECTORS = [
    (b'{"id":"123""name":"Product"}', "Syntax error"),
    (b'{"id":"1","name":"P}', CONTROL),
    (b'{"id":123"}', CONTROL),
    (b'{"id":"1", name":"P"}', "Syntax error"),
    (b'{"id":"1","name":"a\tb"}', CONTROL),
    (b'{"id":"1","name":"caf\xe9"}', "Malformed UTF-8 characters, possibly incorrectly encoded"),
    (b'{"id":"1","name":"\\ud800"}', "Single unpaired UTF-16 surrogate in unicode escape"),
    (b'{"id":"1"]', "State mismatch (invalid or malformed JSON)"),
    (b'{"id":"1"', "Syntax error"),
    (b'{"id":34SKJDF42DF}', "Syntax error"),
    (b"{'id':'1'}", "Syntax error"),
    (b'{"id":"1",}', "Syntax error"),
    (b'{"id":"1"} x', "Syntax error"),
    (b'{"id":01}', "Syntax error"),
    (b'\xef\xbb\xbf{"id":"1"}', "Syntax error"),
    (b'{"id":"1","a":"\\q"}', "Syntax error"),
    (b'{"id":"1","a":"\\u12"}', "Syntax error"),
    (b'{"id":"1"}\x01', CONTROL),
    (b'\xff{"id":"1"}', "Malformed UTF-8 characters, possibly incorrectly encoded"),
    (b"[1}", "State mismatch (invalid or malformed JSON)"),
    (b'{"id":"1","a":' + b"[" * 512 + b"]" * 512 + b"}", "Maximum stack depth exceeded"),
    (b"{}", "Empty Product Attributes"),
    (b'{"id":"","name":null}', "Empty Product Attributes"),
    (b"[]", "Empty Product Attributes"),
    (b"null", "Empty Product Attributes"),
    (b'""', "Empty Product Attributes"),
    (b" ", "Empty Payload line"),
    (b"", "Empty Payload line"),
    (b"\t \r", "Empty Payload line"),
    (b'{"name":"x"}', 'Missing "id" attribute'),
    (b'{"id":null,"name":"x"}', 'Missing "id" attribute'),
    (b'{"id":"","name":"x"}', 'Missing "id" attribute'),
    (b"5", 'Missing "id" attribute'),
    (b'[{"id":1}]', 'Missing "id" attribute'),
    (b'{"id":"%s"}' % (b"x" * LINE_BYTES_MAX), "Product payload is too large"),
    (b'{"id":"1"}' + b" " * LINE_BYTES_MAX, "Product payload is too large"),
    (b'{"id":"1"}', None),
    (b'{"id":0}', None),
    (b'{"id":"0"}', None),
    (b'{"id":7824796324,"price":4.5,"more":{"a":[1]},"none":null}', None),
    (b' \t{"id":"A-1","title":"T\xe2\x82\xac"} \r', None),
    (b'{"id":"1","a":' + b"[" * 511 + b"]" * 511 + b"}", None),
    (b'{"id":"%s"}' % (b"x" * (LINE_BYTES_MAX - 9)), None),
]


@pytest.mark.parametrize(("line", "message"), VECTORS, ids=lambda value: repr(value)[:40])
def test_a_line_gets_its_message(line: bytes, message: str | None) -> None:
    """Each message matches the dossier letter by letter."""
    assert check_line(line) == message


@settings(deadline=None, max_examples=effort.examples(300))
@given(st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4), max_leaves=8,
), st.booleans())
def test_the_decoder_accepts_all_json(value: object, ascii: bool) -> None:
    """Any valid JSON text is accepted."""
    text = json.dumps(value, ensure_ascii=ascii, indent=1 if ascii else None)
    assert decode_error(text.encode("utf-8", "surrogatepass")) is None


@settings(deadline=None, max_examples=effort.examples(500))
@given(st.binary(max_size=30) | st.text('{}[]:,"\\u1d8tfn 0.-e', max_size=20).map(str.encode))
def test_the_decoder_accepts_nothing_else(line: bytes) -> None:
    """It agrees with the fast decoder, except for numbers beyond all bounds, which are not tested."""
    try:
        orjson.loads(line)
    except orjson.JSONDecodeError:
        assert decode_error(line) is not None
    else:
        assert decode_error(line) is None


@settings(deadline=None, max_examples=effort.examples(100))
@given(st.lists(st.sampled_from([line for line, _ in VECTORS if len(line) < 100]), max_size=12), st.booleans(),
       st.lists(st.integers(1, 30), min_size=1))
def test_it_does_not_matter_how_a_body_is_split(lines: list[bytes], ends: bool, cuts: list[int]) -> None:
    """A body in pieces and a whole body give the same report; a final newline begins no line."""
    body = b"\n".join(lines) + (b"\n" if ends and lines else b"")
    expected = body.split(b"\n") if body else []
    if body.endswith(b"\n"):
        expected.pop()
    whole, pieces = LineChecker(), LineChecker()
    whole.write(body)
    at = turn = 0
    while at < len(body):
        size = cuts[turn % len(cuts)]
        pieces.write(body[at : at + size])
        at, turn = at + size, turn + 1
    stage = whole.end(NOW)
    assert stage == pieces.end(NOW)
    messages_by_line = [check_line(line) for line in expected]
    assert stage.successes == messages_by_line.count(None)
    assert stage.failures == len(messages_by_line) - messages_by_line.count(None) + (not body)
    messages = [*dict.fromkeys(filter(None, messages_by_line))] if body else ["Empty payload"]
    assert [error.message for error in stage.errors] == messages
    for error in stage.errors if body else ():
        assert error.occurrences == messages_by_line.count(error.message)
        assert error.example.lineNumber == messages_by_line.index(error.message) + 1


def test_the_captured_bodies_of_real_clients_have_no_errors() -> None:
    """They have CRLF line ends, or blanks around lines."""
    vendor = b'{"id":"A-1","title":"T\xe2\x82\xac"}\r\n{"id":"A-2","title":null}\r\n'
    spring = b'{"id":"1","name":"Test","price":"100"} \n {"id":"2","name":"Test 2","price":"200"} \n'
    for body in (vendor, spring):
        lines = LineChecker()
        lines.write(body)
        stage = lines.end(NOW)
        assert (stage.status, stage.successes, stage.failures, stage.errors) == ("success", 2, 0, [])


def test_the_smoke_test_of_a_partial_upload() -> None:
    """This is number 8 of the dossier, section 17."""
    lines = LineChecker()
    lines.write(b'{"id":"1"}\n{}\n\n{"name":"x"}\n{"id":"1""a":2}\n')
    stage = lines.end(NOW)
    assert (stage.status, stage.successes, stage.failures) == ("warning", 1, 4)
    assert [(error.occurrences, error.example.lineNumber) for error in stage.errors] == [(1, 2), (1, 3), (1, 4), (1, 5)]
    assert stage.errors[3].example.value == '{"id":"1""a":2}'
