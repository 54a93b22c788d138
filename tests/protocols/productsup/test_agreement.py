"""The upload stage and the engine reject the same lines, whatever the bytes."""

import gzip
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from goodsgate.model.batch import State
from goodsgate.protocols.productsup.batches import UPDATE
from goodsgate.protocols.productsup.decoding import decode_error
from goodsgate.protocols.productsup.processing import UPLOAD_CODES
from goodsgate.protocols.productsup.raw_upload import RawUpload, UndecodableUploadError
from goodsgate.protocols.productsup.upload_validation import (
    BLANK_LINE,
    EMPTY_PAYLOAD,
    LINE_BYTES_MAX,
    LineChecker,
    StageReport,
)
from tests import effort
from tests.factories import NOW
from tests.protocols.productsup.test_lines import VECTORS
from tests.shop import Shop

SHORT = [line for line, _ in VECTORS if len(line) < 10_000 and b"[[" not in line]
MARK, WIDE = b"\xef\xbb\xbf", '{"id":"1","n":"é"}\n{"id":"2"}'
BODIES = [
    MARK + b'{"id":"1"}\n{"id":"2"}', b'{"id":"1","n":"caf\xe9"}\n{"id":"2","n":"\xe9\xe9\xe9"}\n{"id":"3"}',
    WIDE.encode("utf-16"), WIDE.encode("utf-16-le"), WIDE.encode("utf-16-be"), b'PK\x03\x04\n{"id":"1"}',
    b'\x1f\x8b\n{"id":"1"}', b'\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\n{"id":"1"}', b'\x0b\n\x0c\n{"id":"1"}\n\xa0',
    b'{"id":"1","n":"a\x00b"}\n\x00\n{"id":"2"}', b"\n" + b" " * (LINE_BYTES_MAX + 1) + b'\n{"id":"1"}\n',
    b"\xff" * (LINE_BYTES_MAX + 1) + b'\n{"id":"1"}', b'{"id":"1"}\n' + b" " * (LINE_BYTES_MAX + 9) + b'{"id":"2"}',
    b'{"id":null,"id":"1"}\n{"id":"1","id":null,"a":1}',
    b'{"id":1e400}\n{"id":"2","a":-1e999}\n{"id":"3"}',
    b'{"id":123456789012345678901234567890}\n{"id":"\\ud800"}\n{"id":"2","\\udc00":1}',
    b'{"id":true}\n{"id":[1]}\n{"id":{}}',
    b'{"id":NaN}\n{"id":"1","a":Infinity}\n{"id":"2"}', b'{"id":"_","_verb":"delete"}\n{"id":"2","_row":7}',
    b'{"id":"1"}\r\n\r\n \t\r\n{"id":"2"}\r', b'{"id":-0}\n{"id":0.0}\n{"id":1.0}\n{"id":1e2}',
]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory):
    """Return one shop for all bodies; each body goes into a collection of its own."""
    with Shop(tmp_path_factory.mktemp("agreement")) as opened:
        yield opened


def _check(body: bytes, sizes: list[int]) -> StageReport:
    """Return the upload stage of a body that arrives in pieces of these sizes, and then the rest."""
    lines = LineChecker()
    for size in sizes:
        lines.write(body[:size])
        body = body[size:]
    lines.write(body)
    return lines.end(NOW)


def _agree(shop: Shop, body: bytes, sizes: list[int], *, content_encoding: str = "identity") -> None:
    sent = gzip.compress(body) if content_encoding == "gzip" else body
    _compare(shop, sent, _check(body, sizes), format="ndjson", content_encoding=content_encoding)


def _compare(shop: Shop, sent: bytes, report: StageReport, *, format: str,
             content_encoding: str = "identity") -> None:
    policy = {name: getattr(UPDATE, name) for name in UPDATE.__struct_fields__ if name != "format"}
    batch = shop.send(sent, collection=f"c{id(sent)}", format=format, content_encoding=content_encoding, **policy)
    shop.work()
    found = shop.store.batch("acme", batch)
    assert found is not None
    assert found.state is State.FINISHED, shop.store.findings("acme", batch, limit=5)
    blank = sum(error.occurrences for error in report.errors if error.message in (BLANK_LINE, EMPTY_PAYLOAD))
    own = late = 0
    for finding in shop.store.findings("acme", batch, after=0, limit=1000):
        errors = [issue for issue in finding.issues if issue.severity == "error"]
        own += any(issue.code in UPLOAD_CODES for issue in errors)
        late += bool(errors) and not any(issue.code in UPLOAD_CODES for issue in errors)
    assert (own, found.counts.accounted - own) == (report.failures - blank, report.successes)
    assert found.counts.rejected == own + late


@pytest.mark.parametrize("content_encoding", ["identity", "gzip"])
@pytest.mark.parametrize("body", BODIES, ids=lambda body: repr(body)[:30])
def test_both_stages_agree_where_charsets_could_be_guessed(shop: Shop, body: bytes, content_encoding: str) -> None:
    """Byte order marks, Latin-1, UTF-16, other file types and ambiguous JSON make no difference."""
    _agree(shop, body, [], content_encoding=content_encoding)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3), max_leaves=5,
)
LINES = st.sampled_from(SHORT) | st.binary(max_size=12) | st.builds(
    lambda id, name, value: b'{"id":%s,%s:%s}' % tuple(_json(one) for one in (id, name, value)), VALUES,
    st.text(max_size=4), VALUES,
)


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")


@settings(deadline=None, max_examples=effort.examples(40), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(LINES, max_size=40), st.sampled_from([b"", MARK, b"\xff\xfe"]), st.lists(st.integers(0, 60), max_size=4)
)
def test_both_stages_agree_on_any_bytes(shop: Shop, lines: list[bytes], mark: bytes, sizes: list[int]) -> None:
    """It does not matter how the bytes are split."""
    body = mark + b"\n".join(lines)
    if body:
        _agree(shop, body, sizes)


@settings(deadline=None, max_examples=effort.examples(40), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(LINES.filter(lambda line: decode_error(line) is None) | VALUES.map(_json), max_size=30))
def test_the_expected_processing_of_an_array_is_correct(shop: Shop, elements: list[bytes]) -> None:
    """This covers arrays that decode as a whole and are not empty."""
    body = b"[" + b" ,\n".join(elements) + b"]"
    raw_upload = RawUpload("json")
    raw_upload.write(body)
    try:
        upload, expected = raw_upload.end(NOW)
    except UndecodableUploadError:
        return
    if upload.failures:
        return
    assert upload.successes == len(elements) == expected.successes + expected.failures
    _compare(shop, body, expected, format="json")
