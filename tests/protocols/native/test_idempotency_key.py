"""How the Idempotency-Key header is read, without a gate."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from goodsgate.engine.refusal import Refusal
from goodsgate.protocols.native.idempotency import idempotency_key


def _key(*values):
    return idempotency_key(Request({"type": "http", "headers": [(b"idempotency-key", value) for value in values]}))


@given(st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=255))
def test_every_string_of_a_structured_field_is_a_key(text):
    """The key is the string without the escapes of RFC 8941."""
    assert _key(b'"' + text.replace("\\", "\\\\").replace('"', '\\"').encode() + b'"') == text


@given(st.binary(max_size=300))
def test_any_header_is_a_key_or_refused(value):
    """A key has 1 to 255 printable characters."""
    try:
        key = _key(value)
    except Refusal as refused:
        key = refused.code
    assert 1 <= len(key) <= 255
    assert key.isascii()
    assert key.isprintable()


def test_without_the_header_there_is_no_key():
    """The header is optional."""
    assert _key() is None


@pytest.mark.parametrize(("value", "key"), [(b'  "a"\t', "a"), (b'"a\\\\b"', "a\\b"), (b"bare", "bare"), (b'" "', " ")])
def test_blanks_and_escapes_of_keys_are_removed(value, key):
    """The bare form has neither."""
    assert _key(value) == key
