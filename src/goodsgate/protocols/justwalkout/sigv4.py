"""AWS Signature Version 4 of a request, verified; knows neither who has which key nor how an answer is worded.

Published by AWS as "Create a signed AWS API request". A request is taken apart first (`read`), which tells whose access
key it names; then, with that key's secret and the whole body, its signature is compared in constant time (`verify`).
"""

import hashlib
import hmac
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, quote

import msgspec

ALGORITHM = "AWS4-HMAC-SHA256"
SERVICE = "execute-api"
TERMINATOR = "aws4_request"
SKEW_SECONDS_MAX = 300
DATE, TOKEN = "x-amz-date", "x-amz-security-token"
BASIC = "%Y%m%dT%H%M%SZ"

_MOMENT = re.compile(r"[0-9]{8}T[0-9]{6}Z")
_SIGNATURE = re.compile(r"[0-9a-f]{64}")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9a-z:-]+")

Headers = Sequence[tuple[bytes, bytes]]

MISSING, INCOMPLETE, INVALID, UNKNOWN = (
    "MissingAuthenticationTokenException", "IncompleteSignatureException", "InvalidSignatureException",
    "UnrecognizedClientException",
)
UNKNOWN_TEXT = "The security token included in the request is invalid."
MISMATCH_TEXT = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key "
    "and signing method. Consult the service documentation for details."
)


class Unsigned(Exception):
    """A request is not signed as it must be; `kind` is the platform's name of that."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message


class Signed(msgspec.Struct, frozen=True, kw_only=True):
    """What a request says of its signature."""

    access_key: str
    day: str
    region: str
    service: str
    headers: tuple[str, ...]
    """Names of the signed ones, in lower case, as they stand in the request."""
    signature: str
    moment: str
    """When it was signed, in basic ISO 8601."""
    token: str | None
    """Of a session."""

    @property
    def scope(self) -> str:
        """What the key was derived for."""
        return f"{self.day}/{self.region}/{self.service}/{TERMINATOR}"


class Target(msgspec.Struct, frozen=True):
    """What a request is sent to."""

    method: str
    path: bytes
    """As sent, still encoded."""
    query: bytes


def read(headers: Headers) -> Signed:
    """Take apart what a request says of its signature; raises Unsigned where that is not whole or not possible."""
    given = _by_name(headers)
    authorization = given.get("authorization", "").strip()
    if not authorization:
        raise Unsigned(MISSING, "Missing Authentication Token")
    algorithm, _, rest = authorization.partition(" ")
    if algorithm != ALGORITHM:
        raise Unsigned(INCOMPLETE, f"Unsupported AWS 'algorithm': expected '{ALGORITHM}'.")
    parts = dict(_pairs(rest))
    moment = _moment(given)
    lacking = [
        f"Authorization header requires '{name}' parameter."
        for name in ("Credential", "Signature", "SignedHeaders") if not parts.get(name)
    ]
    if moment is None:
        lacking.append("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.")
    if lacking or moment is None:
        raise Unsigned(INCOMPLETE, " ".join(lacking))
    credential = parts["Credential"].split("/")
    if len(credential) != 5 or not all(credential):
        form = f"keyid/date/region/{SERVICE}/{TERMINATOR}"
        raise Unsigned(INCOMPLETE, f"Credential must have exactly 5 slash-delimited elements, e.g. {form}.")
    access_key, day, region, service, terminator = credential
    if terminator != TERMINATOR:
        raise Unsigned(INVALID, f"Credential should be scoped with a valid terminator: '{TERMINATOR}'.")
    if service != SERVICE:
        raise Unsigned(INVALID, f"Credential should be scoped to correct service: '{SERVICE}'.")
    names = tuple(parts["SignedHeaders"].split(";"))
    if not all(_HEADER_NAME.fullmatch(name) for name in names) or list(names) != sorted(set(names)):
        raise Unsigned(INCOMPLETE, "SignedHeaders must be names in lower case, each once, in order.")
    if "host" not in names:
        raise Unsigned(INVALID, "'Host' must be a 'SignedHeader' in the AWS Authorization.")
    if not _SIGNATURE.fullmatch(parts["Signature"]):
        raise Unsigned(INVALID, MISMATCH_TEXT)
    return Signed(
        access_key=access_key, day=day, region=region, service=service, headers=names, signature=parts["Signature"],
        moment=moment, token=given.get(TOKEN),
    )


def check_moment(signed: Signed, now: datetime) -> None:
    """Raise Unsigned for what was signed on another day than its scope says, too long ago or too far ahead."""
    if signed.moment[:8] != signed.day:
        raise Unsigned(INVALID, (
            f"Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
            f"'{signed.day}' != '{signed.moment[:8]}', from '{signed.moment}'."
        ))
    try:
        sent = datetime.strptime(signed.moment, BASIC).replace(tzinfo=UTC)
    except ValueError as fault:
        raise Unsigned(INCOMPLETE, "The date of the request is none.") from fault
    skew = timedelta(seconds=SKEW_SECONDS_MAX)
    if sent < now - skew:
        limit = f"{now - skew:{BASIC}} ({now:{BASIC}} - 5 min.)"
        raise Unsigned(INVALID, f"Signature expired: {signed.moment} is now earlier than {limit}")
    if sent > now + skew:
        limit = f"{now + skew:{BASIC}} ({now:{BASIC}} + 5 min.)"
        raise Unsigned(INVALID, f"Signature not yet current: {signed.moment} is still later than {limit}")


def check_token(signed: Signed, token: str | None) -> None:
    """Raise Unsigned if the session token is not that of the access key, or there is one where none belongs."""
    if not hmac.compare_digest((signed.token or "").encode(), (token or "").encode()):
        raise Unsigned(UNKNOWN, UNKNOWN_TEXT)


def verify(signed: Signed, target: Target, headers: Headers, *, body: bytes, secret: str) -> None:
    """Raise Unsigned if the signature is not the one that the secret makes of this request."""
    told = signed.signature.encode()
    key = signing_key(secret, signed)
    # A path that needs no normalising has one canonical form; of others, clients make different ones.
    forms = dict.fromkeys(canonical(signed, target, headers, body=body, path=path) for path in _paths(target.path))
    fits = [hmac.compare_digest(signature(key, signed, form).encode(), told) for form in forms]
    if not any(fits):
        raise Unsigned(INVALID, MISMATCH_TEXT)


def canonical(signed: Signed, target: Target, headers: Headers, *, body: bytes, path: str) -> bytes:
    """The request as it is signed."""
    given = _by_name(headers)
    lines = [target.method, path, _canonical_query(target.query)]
    lines += [f"{name}:{' '.join(given.get(name, '').split())}" for name in signed.headers]
    lines += ["", ";".join(signed.headers), hashlib.sha256(body).hexdigest()]
    return "\n".join(lines).encode("utf-8", "surrogateescape")


def signing_key(secret: str, signed: Signed) -> bytes:
    """Derived for one day, region and service."""
    key = f"AWS4{secret}".encode()
    for part in (signed.day, signed.region, signed.service, TERMINATOR):
        key = hmac.digest(key, part.encode("utf-8", "surrogateescape"), "sha256")
    return key


def signature(key: bytes, signed: Signed, form: bytes) -> str:
    """64 hex digits."""
    text = f"{ALGORITHM}\n{signed.moment}\n{signed.scope}\n{hashlib.sha256(form).hexdigest()}"
    return hmac.digest(key, text.encode("utf-8", "surrogateescape"), "sha256").hex()


def _by_name(headers: Headers) -> dict[str, str]:
    """Values of one name with commas between them, in their order."""
    found: dict[str, str] = {}
    for name, value in headers:
        text = value.decode("utf-8", "surrogateescape")
        lower = name.decode("latin-1").lower()
        found[lower] = f"{found[lower]},{text}" if lower in found else text
    return found


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    """``name=value`` with commas, and perhaps blanks, between; the first of a name counts."""
    seen: set[str] = set()
    for part in text.split(","):
        name, _, value = part.strip().partition("=")
        if name not in seen:
            yield name, value
        seen.add(name)


def _moment(given: dict[str, str]) -> str | None:
    """When it was signed; None if no header tells."""
    told = given.get(DATE, given.get("date", "")).strip()
    if _MOMENT.fullmatch(told):
        return told
    for form in ("%a, %d %b %Y %H:%M:%S GMT", "%Y-%m-%dT%H:%M:%SZ"):
        try:
            return f"{datetime.strptime(told, form):{BASIC}}"
        except ValueError:
            continue
    return None


def _paths(raw: bytes) -> list[str]:
    """The path as clients may have signed it: as it is or normalised, encoded once more or as sent."""
    text = raw.decode("latin-1")
    segments: list[str] = []
    for segment in text.split("/"):
        if segment == "..":
            segments = segments[:-1]
        elif segment not in ("", "."):
            segments.append(segment)
    whole = f"/{'/'.join(segments)}{'/' if segments and text.endswith('/') else ''}"
    return [*dict.fromkeys(form for path in (whole, text) for form in (quote(path, safe="/-_.~"), path))]


def _canonical_query(query: bytes) -> str:
    """Names and values encoded and in order; ``+`` is a plus sign, as in a path."""
    pairs = parse_qsl(query.decode("latin-1").replace("+", "%2B"), keep_blank_values=True, encoding="latin-1")
    encoded = [[quote(text.encode("latin-1"), safe="-_.~") for text in pair] for pair in pairs]
    return "&".join("=".join(pair) for pair in sorted(encoded))
