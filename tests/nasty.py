"""The nastiest values that clients send: what no page, report or status may fail at."""

from collections.abc import Iterator


def _lists(levels: int) -> bytes:
    return b"[" * levels + b"]" * levels


def _objects(levels: int) -> bytes:
    return b'{"a":' * levels + b"1" + b"}" * levels


VALUES: dict[str, bytes] = {
    "not_utf8": b'"a\xff\xfeb"', "cut_character": b'"\xc3"', "surrogate_bytes": b'"\xed\xa0\x80"',
    "lone_surrogate": b'"\\ud800"', "lists_300": _lists(300), "lists_1000": _lists(1_000), "lists_1500": _lists(1_500),
    "lists_100000": _lists(100_000), "objects_300": _objects(300), "objects_1000": _objects(1_000),
    "digits_400": b"9" * 400, "digits_5000": b"9" * 5_000, "digits_after_point": b"-1." + b"9" * 400,
    "huge": b"1e400", "minus_huge": b"-1e400", "not_a_number": b"NaN", "nul": b'"a\\u0000b"', "raw_nul": b'"a\x00b"',
    "controls": b'"\\u0001\\u001b[31m\\u007f\\u0085"', "bidi": '"\u202eabc\u2066"'.encode(),
    "long": b'"%s"' % (b"x" * 40_000),
    "html": b'"</td></table><script>alert(1)</script>"', "formula": b'"=cmd|\' /C calc\'!A0"',
    "separators": '"\u2028\u2029\r\n"'.encode(),
    "emoji": '"\U0001F600\uffff"'.encode(), "template": b'"{{ 7*7 }}{% raw %}${7*7}%s%(x)s{0}"', "nothing": b"null",
}
"""Name → a value of JSON, valid or not."""


def records(*members: str, base: bytes = b'"sku":"%s","title":"T","price":"1 EUR"') -> Iterator[bytes]:
    """Yield records that have one of the values under one of the members, as a name, or in place of the record.

    `base` contains the other members; its ``%s`` is replaced by the key.
    """
    for name, value in VALUES.items():
        for member in members:
            yield b"{%s,\"%s\":%s}" % (base.replace(b"%s", f"{name}-{member}".encode()), member.encode(), value)
        if value[:1] == b'"':
            yield b"{%s,%s:1}" % (base.replace(b"%s", f"{name}-name".encode()), value)
        yield value
