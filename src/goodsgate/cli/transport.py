"""Connections of the command line: certificates, proxies, and which failures are final."""

import email.utils
import ipaddress
import os
import random
import ssl
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from goodsgate import __version__
from goodsgate.cli.errors import CommandError, RefusedError, UnreachableError

if TYPE_CHECKING:
    import httpx

RESPONSE_SECONDS_MAX = 300.0
"""Longest silence before the connection counts as lost; committing a large upload takes a while."""
PAUSE_SECONDS_MIN = 0.2
PAUSE_SECONDS_MAX = 5.0
TRANSIENT_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses after which a later attempt may succeed, whoever answered: the gate or a proxy in front of it."""
TRANSIENT_CODES = frozenset({"key_in_use"})
"""Refusals with other statuses that a later attempt may not get."""
UNPROCESSED_STATUSES = frozenset({425, 429, 503})
"""Statuses of requests that had no effect."""
FINAL_PROXY_STATUSES = ("401", "403", "407")
"""Refusals of a proxy that no later attempt changes."""


class RetryTimer:
    """Exponential backoff with jitter that gives up a fixed time after the last success."""

    def __init__(self) -> None:
        self._since = time.monotonic()
        self._attempts = 0

    def wait(self, seconds_max: float, *, seconds_min: float = 0.0) -> bool:
        """Sleep before the next attempt; return False if that would exceed `seconds_max` since the last success.

        `seconds_min` is what the server asked for; it is extended, so that not all clients return at once.
        """
        pause = min(PAUSE_SECONDS_MAX, PAUSE_SECONDS_MIN * 2.0**self._attempts)
        pause *= random.uniform(0.7, 1.0)  # noqa: S311 - spreads retries, guards nothing
        pause = max(pause, seconds_min * random.uniform(1.0, 1.1))  # noqa: S311 - as above
        self._attempts += 1
        if time.monotonic() + pause > self._since + seconds_max:
            return False
        time.sleep(pause)
        return True


def create_http_client(url: str, headers: dict[str, str], *, ca: str | None) -> "httpx.Client":
    """Return a client that honours the variables for certificates and proxies. Raises CommandError."""
    import httpx

    try:
        client = httpx.Client(
            base_url=url, headers={"User-Agent": f"goodsgate/{__version__}", **headers},
            verify=_tls_context(ca) if url.startswith("https:") else False,
            trust_env=not _is_loopback(url),  # HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY
            timeout=httpx.Timeout(RESPONSE_SECONDS_MAX, connect=5.0, write=60.0),
        )
    except httpx.InvalidURL as error:
        raise CommandError(f"{url!r} is not a valid URL: {error}") from error
    except (ImportError, ValueError) as error:
        raise CommandError(f"the proxy of HTTPS_PROXY, HTTP_PROXY or ALL_PROXY cannot be used: {error}") from error
    if not client.base_url.is_absolute_url:
        raise CommandError(f"{url!r} is not a URL like http://127.0.0.1:8480")
    return client


def _tls_context(ca: str | None) -> ssl.SSLContext:
    """Return a context that trusts the certificates of a file; by default those of SSL_CERT_FILE or of the system."""
    import httpx

    file, folder = ca or os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
    try:
        context = ssl.create_default_context(cafile=file or None, capath=None if ca else folder or None)
    except OSError as error:
        raise CommandError(f"{file or folder} is not a file of CA certificates in PEM format: {error}") from error
    if not file and not folder and not context.cert_store_stats()["x509_ca"]:
        return httpx.create_ssl_context(trust_env=False)  # a system without certificates, such as a slim image
    return context


def _is_loopback(url: str) -> bool:
    """Return whether the address is of this machine, which no proxy reaches."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def final_error(error: Exception, url: str) -> UnreachableError | None:
    """Return the error to end with if no later attempt can succeed after this one of the connection, else None."""
    import httpx

    if isinstance(error, httpx.ProxyError) and str(error).startswith(FINAL_PROXY_STATUSES):
        return UnreachableError(f"the proxy refuses to connect to {url}: {error}. Check HTTPS_PROXY and NO_PROXY.")
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ssl.SSLError):
        cause = cause.__cause__ or cause.__context__
    if isinstance(cause, ssl.SSLCertVerificationError):
        return UnreachableError(
            f"the certificate of {url} is not trusted: {cause.verify_message}. If your own CA signed it, name the file "
            "of the CA with --ca or SSL_CERT_FILE."
        )
    if isinstance(cause, ssl.SSLError) and cause.reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL"):
        return UnreachableError(f"{url} does not speak TLS; is the address http://… ?")
    return None


def is_transient(response: "httpx.Response", refused: RefusedError, *, is_repeatable: bool) -> bool:
    """Return whether a later attempt may succeed after this refusal."""
    if not is_repeatable:
        return response.status_code in UNPROCESSED_STATUSES
    return response.status_code in TRANSIENT_STATUSES or refused.code in TRANSIENT_CODES


def parse_refusal(response: "httpx.Response") -> tuple[RefusedError, float]:
    """Return the problem document of a response as one line, and the seconds to wait before a retry."""
    try:
        problem = response.json()
        code = str(problem.get("code") or problem.get("type", "").rpartition("/")[2])
        text = str(problem.get("detail") or problem.get("title") or "")
    except (ValueError, AttributeError):
        code, text = "", ""
    if response.status_code == 401:
        text = f"{text or 'The key is missing or not valid.'} Use --key or set GOODSGATE_KEY."
    if response.is_redirect:
        text = f"The address redirects to {response.headers['Location']}. Use the address of the gate itself."
    name = code or f"status {response.status_code}"
    return RefusedError(name, f"{text or response.reason_phrase} ({name})"), _retry_after(response)


def _retry_after(response: "httpx.Response") -> float:
    """Return the seconds of Retry-After, which may also be a date; 0 without one."""
    text = response.headers.get("Retry-After", "").strip()
    if text.isdecimal():
        return float(text[:9])
    try:
        at = email.utils.parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError):
        return 0.0
    return max(0.0, (at.replace(tzinfo=at.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
