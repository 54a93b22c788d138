"""Verification of AWS Signature Version 4.

The module knows neither stores nor HTTP responses. `parse_signature` reads which access key a request names;
`verify_signature` then takes that key's secret and the whole body, lets botocore compute the signature that the request
should have, and compares the two in constant time. Source: AWS, "Create a signed AWS API request".
"""

import hashlib
import hmac
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, quote

import msgspec

from goodsgate.model.extras import needed_extra

ALGORITHM = "AWS4-HMAC-SHA256"
SERVICE = "execute-api"
TERMINATOR = "aws4_request"
SKEW_SECONDS_MAX = 300
DATE, TOKEN = "x-amz-date", "x-amz-security-token"
BASIC = "%Y%m%dT%H%M%SZ"

_TIMESTAMP = re.compile(r"[0-9]{8}T[0-9]{6}Z")
_SIGNATURE = re.compile(r"[0-9a-f]{64}")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9a-z:-]+")

Headers = Sequence[tuple[bytes, bytes]]

MISSING, INCOMPLETE, INVALID, UNKNOWN, EXPIRED = (
    "MissingAuthenticationTokenException", "IncompleteSignatureException", "InvalidSignatureException",
    "UnrecognizedClientException", "ExpiredTokenException",
)
UNKNOWN_TEXT = "The security token included in the request is invalid."
EXPIRED_TEXT = "The security token included in the request is expired"
MISMATCH_TEXT = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key "
    "and signing method. Consult the service documentation for details."
)


class SignatureError(Exception):
    """A request whose signature is missing, malformed or wrong; `kind` is the platform's name for the error."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message


class RequestSignature(msgspec.Struct, frozen=True, kw_only=True):
    """The signature that a request carries, with everything it was computed for."""

    access_key: str
    day: str
    region: str
    service: str
    signed_headers: tuple[str, ...]
    """Names in lower case, in the order of the request."""
    signature: str
    timestamp: str
    """When the client signed, in basic ISO 8601."""
    session_token: str | None


class RequestTarget(msgspec.Struct, frozen=True):
    """The method, path and query of a request."""

    method: str
    path: bytes
    """As sent, still percent-encoded."""
    query: bytes


def parse_signature(headers: Headers, service: str = SERVICE) -> RequestSignature:
    """Parse the signature of a request to a service; raise SignatureError if a part is missing or impossible."""
    values = {name: ",".join(texts) for name, texts in _values_by_name(headers).items()}
    authorization = values.get("authorization", "").strip()
    if not authorization:
        raise SignatureError(MISSING, "Missing Authentication Token")
    algorithm, _, rest = authorization.partition(" ")
    if algorithm != ALGORITHM:
        raise SignatureError(INCOMPLETE, f"Unsupported AWS 'algorithm': expected '{ALGORITHM}'.")
    parts: dict[str, str] = {}
    for part in rest.split(","):
        name, _, value = part.strip().partition("=")
        parts.setdefault(name, value)
    timestamp = _parse_timestamp(values)
    problems = [
        f"Authorization header requires '{name}' parameter."
        for name in ("Credential", "Signature", "SignedHeaders") if not parts.get(name)
    ]
    if timestamp is None:
        problems.append("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.")
    if problems or timestamp is None:
        raise SignatureError(INCOMPLETE, " ".join(problems))
    credential = parts["Credential"].split("/")
    if len(credential) != 5 or not all(credential):
        form = f"keyid/date/region/{service}/{TERMINATOR}"
        raise SignatureError(INCOMPLETE, f"Credential must have exactly 5 slash-delimited elements, e.g. {form}.")
    access_key, day, region, signed_service, terminator = credential
    if terminator != TERMINATOR:
        raise SignatureError(INVALID, f"Credential should be scoped with a valid terminator: '{TERMINATOR}'.")
    if signed_service != service:
        raise SignatureError(INVALID, f"Credential should be scoped to correct service: '{service}'.")
    names = tuple(parts["SignedHeaders"].split(";"))
    if not all(_HEADER_NAME.fullmatch(name) for name in names) or list(names) != sorted(set(names)):
        raise SignatureError(INCOMPLETE, "SignedHeaders must be names in lower case, each once, in order.")
    if "host" not in names:
        raise SignatureError(INVALID, "'Host' must be a 'SignedHeader' in the AWS Authorization.")
    if not _SIGNATURE.fullmatch(parts["Signature"]):
        raise SignatureError(INVALID, MISMATCH_TEXT)
    return RequestSignature(
        access_key=access_key, day=day, region=region, service=service, signed_headers=names,
        signature=parts["Signature"], timestamp=timestamp, session_token=values.get(TOKEN),
    )


def check_timestamp(signature: RequestSignature, now: datetime) -> None:
    """Raise SignatureError if the timestamp is not of the credential's day, too old or in the future."""
    timestamp = signature.timestamp
    if timestamp[:8] != signature.day:
        raise SignatureError(INVALID, (
            f"Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
            f"'{signature.day}' != '{timestamp[:8]}', from '{timestamp}'."
        ))
    try:
        signed_at = datetime.strptime(timestamp, BASIC).replace(tzinfo=UTC)
    except ValueError as fault:
        raise SignatureError(INCOMPLETE, "The date of the request is none.") from fault
    skew = timedelta(seconds=SKEW_SECONDS_MAX)
    if signed_at < now - skew:
        limit = f"{now - skew:{BASIC}} ({now:{BASIC}} - 5 min.)"
        raise SignatureError(INVALID, f"Signature expired: {timestamp} is now earlier than {limit}")
    if signed_at > now + skew:
        limit = f"{now + skew:{BASIC}} ({now:{BASIC}} + 5 min.)"
        raise SignatureError(INVALID, f"Signature not yet current: {timestamp} is still later than {limit}")


def check_session_token(signature: RequestSignature, expected: str | None) -> None:
    """Raise SignatureError if the session token differs from the access key's, or one is sent and none is expected."""
    if not hmac.compare_digest((signature.session_token or "").encode(), (expected or "").encode()):
        raise SignatureError(UNKNOWN, UNKNOWN_TEXT)


def verify_signature(signature: RequestSignature, target: RequestTarget, headers: Headers, *, body: bytes,
                     secret: str) -> None:
    """Raise SignatureError if the signature is not the one that the secret yields for this request.

    A normalised path has one canonical form; for other paths, clients sign different forms, and each is accepted.
    """
    # The import takes about 50 ms and 4 MB, and most gates serve no Just Walk Out client.
    with needed_extra("aws", "The signature of a request"):
        from botocore.auth import SigV4Auth  # type: ignore[import-untyped]  # botocore has no types
        from botocore.awsrequest import AWSRequest  # type: ignore[import-untyped]  # botocore has no types
        from botocore.compat import HTTPHeaders  # type: ignore[import-untyped]  # botocore has no types
        from botocore.credentials import Credentials  # type: ignore[import-untyped]  # botocore has no types

    values = _values_by_name(headers)
    signed_headers = HTTPHeaders()
    for name in signature.signed_headers:
        for value in values.get(name, [""]):
            signed_headers.add_header(name, value)
    signer = SigV4Auth(Credentials(signature.access_key, secret), signature.service, signature.region)
    # A plus sign in a query is a plus sign, as in a path.
    query = parse_qsl(target.query.decode("utf-8", "replace").replace("+", "%2B"), keep_blank_values=True)
    request = AWSRequest(target.method, url="", params=query)
    request.context["timestamp"] = signature.timestamp
    before_path = f"{target.method}\n"
    # botocore's `canonical_request` is not used whole: it believes a body hash that the client sends in a header.
    after_path = "\n".join([
        "", signer.canonical_query_string(request), signer.canonical_headers(signed_headers), "",
        signer.signed_headers(signed_headers), hashlib.sha256(body).hexdigest(),
    ])
    matches = [
        hmac.compare_digest(
            signer.signature(signer.string_to_sign(request, before_path + path + after_path), request),
            signature.signature,
        )
        for path in _canonical_paths(target.path)
    ]
    if not any(matches):
        raise SignatureError(INVALID, MISMATCH_TEXT)


def _values_by_name(headers: Headers) -> dict[str, list[str]]:
    """Return the values of each header in the order of the request; bytes that are not UTF-8 match no signature."""
    values: dict[str, list[str]] = {}
    for name, value in headers:
        values.setdefault(name.decode("latin-1").lower(), []).append(value.decode("utf-8", "replace"))
    return values


def _parse_timestamp(values: dict[str, str]) -> str | None:
    """Return the time of signing in basic ISO 8601, or None if no header has it."""
    text = values.get(DATE, values.get("date", "")).strip()
    if _TIMESTAMP.fullmatch(text):
        return text
    for form in ("%a, %d %b %Y %H:%M:%S GMT", "%Y-%m-%dT%H:%M:%SZ"):
        try:
            return f"{datetime.strptime(text, form):{BASIC}}"
        except ValueError:
            continue
    return None


def _canonical_paths(raw: bytes) -> list[str]:
    """Return the paths that clients may have signed: as sent or normalised, each as it is or encoded once more."""
    text = raw.decode("latin-1")
    segments: list[str] = []
    for segment in text.split("/"):
        if segment == "..":
            segments = segments[:-1]
        elif segment not in ("", "."):
            segments.append(segment)
    normalised = f"/{'/'.join(segments)}{'/' if segments and text.endswith('/') else ''}"
    return [*dict.fromkeys(form for path in (normalised, text) for form in (quote(path, safe="/-_.~"), path))]
