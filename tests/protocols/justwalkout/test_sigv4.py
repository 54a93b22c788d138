"""Signature Version 4 against botocore's signer, AWS's published example, and requests that are almost right."""

from datetime import UTC, datetime, timedelta

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given, settings
from hypothesis import strategies as st

from goodsgate.protocols.justwalkout import sigv4
from goodsgate.protocols.justwalkout.sigv4 import RequestSignature, RequestTarget, SignatureError
from tests import effort

PATH = "/v1/catalog/upload"
SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
PRINTABLE = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="/,; "), min_size=1)


def _signed(body=b"{}", *, path=PATH, query="", region="us-east-1", token=None, secret=SECRET, **headers):
    request = AWSRequest("POST", f"http://us-east-1.jwo.example{path}{query}", data=body, headers=headers)
    SigV4Auth(Credentials("AKGGEXAMPLE", secret, token), "execute-api", region).add_auth(request)
    headers = [(name.lower().encode(), value.encode()) for name, value in request.headers.items()]
    return [*headers, (b"host", b"us-east-1.jwo.example")]


def _verify(headers, body=b"{}", *, path=PATH, query="", method="POST", secret=SECRET):
    signed = sigv4.parse_signature(headers)
    sigv4.check_timestamp(signed, datetime.now(UTC))
    target = RequestTarget(method, path.encode(), query.encode())
    sigv4.verify_signature(signed, target, headers, body=body, secret=secret)
    return signed


@settings(deadline=None, max_examples=effort.examples(60))
@given(
    body=st.binary(max_size=200), region=PRINTABLE, secret=PRINTABLE,
    extra=st.dictionaries(st.from_regex(r"x-amz-[a-z]{1,8}", fullmatch=True), st.text(
        st.characters(min_codepoint=32, max_codepoint=126), max_size=30), max_size=3),
    query=st.lists(st.tuples(st.text("abcXYZ09-_.~", min_size=1), st.text("abcXYZ09-_.~")), max_size=4),
)
def test_what_botocore_signs_is_accepted(body, region, secret, extra, query):
    """It is accepted for any body, region, secret, headers and query; changed requests are not."""
    text = "&".join(f"{name}={value}" for name, value in query)
    extra = {name: value for name, value in extra.items() if name not in (sigv4.DATE, sigv4.TOKEN)}
    headers = _signed(body, region=region, secret=secret, query=f"?{text}" if text else "", **extra)
    assert _verify(headers, body, query=text, secret=secret).region == region
    for other in ({"body": body + b" "}, {"secret": secret + "x"}, {"method": "PUT"}, {"path": "/v1/catalog/archive"},
                  {"query": text + "&z=1"}):
        with pytest.raises(SignatureError) as error:
            _verify(headers, **{"body": body, "secret": secret, "query": text, **other})
        assert (error.value.kind, error.value.message) == (sigv4.INVALID, sigv4.MISMATCH_TEXT)


def test_the_published_example_is_accepted():
    """It is the "get-vanilla" vector of AWS's own test suite, with another service."""
    authorization = (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
        "SignedHeaders=host;x-amz-date, Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"
    )
    headers = [(b"host", b"example.amazonaws.com"), (b"x-amz-date", b"20150830T123600Z")]
    signed = RequestSignature(
        access_key="AKIDEXAMPLE", day="20150830", region="us-east-1", service="service",
        signed_headers=("host", "x-amz-date"),
        signature=authorization[-64:], timestamp="20150830T123600Z", session_token=None,
    )
    secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
    sigv4.verify_signature(signed, RequestTarget("GET", b"/", b""), headers, body=b"", secret=secret)


@pytest.mark.parametrize("path", ["/v1/catalog/upload", "//v1/catalog/upload", "/v1/./catalog/upload"])
def test_paths_are_signed_as_sent_or_normalised(path):
    """Some clients put a base URL with a trailing slash before the path."""
    headers = _signed(path=path)
    _verify(headers, path=path)


def test_a_region_may_be_anything():
    """The published sample cuts it from the host, such as `localhost:8080`."""
    assert _verify(_signed(region="localhost:8080")).region == "localhost:8080"


def test_a_session_token_is_part_of_the_signature():
    """It must be that of the key, and must be absent if the key has none."""
    headers = _signed(token="FwoG")
    signed = _verify(headers)
    sigv4.check_session_token(signed, "FwoG")
    for wanted, given_ in ((None, "FwoG"), ("FwoG", None), ("FwoG", "other")):
        with pytest.raises(SignatureError) as error:
            sigv4.check_session_token(_verify(_signed(token=given_)), wanted)
        assert error.value.kind == sigv4.UNKNOWN
    with pytest.raises(SignatureError, match="does not match"):
        _verify([(name, b"other" if name == b"x-amz-security-token" else value) for name, value in headers])


@pytest.mark.parametrize(("late", "kind"), [
    (-301, "Signature not yet current"), (-290, None), (0, None), (290, None), (301, "Signature expired"),
])
def test_clocks_may_differ_by_five_minutes(late, kind):
    """The message says in which direction the limit is exceeded."""
    signed = sigv4.parse_signature(_signed())
    now = datetime.strptime(signed.timestamp, sigv4.BASIC).replace(tzinfo=UTC) + timedelta(seconds=late)
    if kind is None:
        sigv4.check_timestamp(signed, now)
        return
    with pytest.raises(SignatureError, match=kind) as error:
        sigv4.check_timestamp(signed, now)
    assert error.value.kind == sigv4.INVALID
    assert signed.timestamp in error.value.message



def _authorization(**parts):
    """Return a valid header with some parts replaced; None removes a part."""
    result = {
        "Credential": "AKGGEXAMPLE/20251120/us-east-1/execute-api/aws4_request", "SignedHeaders": "host;x-amz-date",
        "Signature": "0" * 64, **parts,
    }
    return "AWS4-HMAC-SHA256 " + ", ".join(f"{name}={text}" for name, text in result.items() if text is not None)


@pytest.mark.parametrize(("authorization", "kind", "message"), [
    ("", sigv4.MISSING, "Missing Authentication Token"),
    ("Bearer gg_x", sigv4.INCOMPLETE, "Unsupported AWS 'algorithm'"),
    (_authorization(Credential=None), sigv4.INCOMPLETE, "requires 'Credential' parameter"),
    (_authorization(Signature=None), sigv4.INCOMPLETE, "requires 'Signature' parameter"),
    (_authorization(SignedHeaders=None), sigv4.INCOMPLETE, "requires 'SignedHeaders' parameter"),
    (_authorization(Credential="AKGG/20251120/us-east-1/aws4_request"), sigv4.INCOMPLETE, "5 slash-delimited"),
    (_authorization(Credential="AKGG/20251120//execute-api/aws4_request"), sigv4.INCOMPLETE, "5 slash-delimited"),
    (_authorization(Credential="AKGG/20251120/r/s3/aws4_request"), sigv4.INVALID, "correct service: 'execute-api'"),
    (_authorization(Credential="AKGG/20251120/r/execute-api/aws2"), sigv4.INVALID, "valid terminator: 'aws4_request'"),
    (_authorization(SignedHeaders="x-amz-date"), sigv4.INVALID, "'Host' must be"),
    (_authorization(SignedHeaders="x-amz-date;host"), sigv4.INCOMPLETE, "in order"),
    (_authorization(SignedHeaders="host;host"), sigv4.INCOMPLETE, "in order"),
    (_authorization(SignedHeaders="host;X-Amz-Date"), sigv4.INCOMPLETE, "lower case"),
    (_authorization(Signature="A" * 64), sigv4.INVALID, "does not match"),
    (_authorization(Signature="0" * 63), sigv4.INVALID, "does not match"),
])
def test_an_incomplete_header_names_the_missing_part(authorization, kind, message):
    """The texts are those of the platform."""
    headers = [(b"host", b"x"), (b"x-amz-date", b"20251120T101500Z")]
    with pytest.raises(SignatureError) as error:
        sigv4.parse_signature([*headers, (b"authorization", authorization.encode())] if authorization else headers)
    assert error.value.kind == kind
    assert message in error.value.message


def test_a_date_is_required_and_matches_the_scope():
    """It is in `X-Amz-Date`, or else in `Date`."""
    authorization = (b"authorization", _authorization().encode())
    with pytest.raises(SignatureError, match="requires existence of either a 'X-Amz-Date' or a 'Date' header"):
        sigv4.parse_signature([authorization, (b"host", b"x")])
    signed = sigv4.parse_signature([authorization, (b"host", b"x"), (b"date", b"Thu, 20 Nov 2025 10:15:00 GMT")])
    assert signed.timestamp == "20251120T101500Z"
    other = sigv4.parse_signature([authorization, (b"host", b"x"), (b"x-amz-date", b"20251121T101500Z")])
    with pytest.raises(SignatureError, match="'20251120' != '20251121'"):
        sigv4.check_timestamp(other, datetime(2025, 11, 21, 10, 15, tzinfo=UTC))
    with pytest.raises(SignatureError, match="requires existence"):
        sigv4.parse_signature([authorization, (b"host", b"x"), (b"x-amz-date", b"yesterday")])
    impossible = RequestSignature(
        access_key="A", day="20251399", region="r", service="execute-api", signed_headers=("host",), signature="0" * 64,
        timestamp="20251399T990000Z", session_token=None,
    )
    with pytest.raises(SignatureError, match="The date of the request is none"):
        sigv4.check_timestamp(impossible, datetime.now(UTC))


@settings(deadline=None, max_examples=effort.examples(200))
@given(st.dictionaries(st.sampled_from([b"authorization", b"x-amz-date", b"date", b"host", b"x-amz-security-token"]),
                       st.binary(max_size=120)))
def test_any_headers_are_handled(headers):
    """They are parsed, or raise SignatureError."""
    prefixed = dict(headers)
    if b"authorization" in prefixed:
        prefixed[b"authorization"] = b"AWS4-HMAC-SHA256 " + prefixed[b"authorization"]
    try:
        signed = sigv4.parse_signature([*prefixed.items()])
        sigv4.check_timestamp(signed, datetime.now(UTC))
        sigv4.verify_signature(signed, RequestTarget("POST", b"/", b""), [*prefixed.items()], body=b"", secret="x")
    except SignatureError:
        pass
