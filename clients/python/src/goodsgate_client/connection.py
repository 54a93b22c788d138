"""Connections: certificates, proxies, and which failures are final."""

import ipaddress
import os
import ssl
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx

from goodsgate_client.errors import CertificateError, ConfigurationError, UnreachableError

RESPONSE_SECONDS_MAX = 300.0
"""Longest silence before the connection counts as lost; committing a large upload takes a while."""
FINAL_PROXY_STATUSES = ("401", "403", "407")
"""Refusals of a proxy that no later attempt changes."""

HttpClient = TypeVar("HttpClient", httpx.Client, httpx.AsyncClient)

TRANSPORT_ERRORS = (httpx.TransportError, httpx.StreamError, httpx.DecodingError)
"""A connection that was lost, or never made."""
CONNECT_ERRORS = (httpx.ConnectError, httpx.ConnectTimeout)
"""A connection that was never made."""


def create_http_client(url: str, headers: dict[str, str], *, ca: str | None) -> httpx.Client:
    """Return a client that honours the variables for certificates and proxies. Raises ConfigurationError."""
    return _create(httpx.Client, url, headers, ca)


def create_async_http_client(url: str, headers: dict[str, str], *, ca: str | None) -> httpx.AsyncClient:
    """Return a client for asyncio, as `create_http_client` does. Raises ConfigurationError."""
    return _create(httpx.AsyncClient, url, headers, ca)


def _create(
    kind: type[HttpClient], url: str, headers: dict[str, str], ca: str | None
) -> HttpClient:
    options: dict[str, Any] = {
        "base_url": url, "headers": headers,
        "verify": _tls_context(ca) if url.startswith("https:") else False,
        "trust_env": not _is_loopback(url),  # HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY
        "timeout": httpx.Timeout(RESPONSE_SECONDS_MAX, connect=5.0, write=60.0),
    }
    try:
        client = kind(**options)
    except httpx.InvalidURL as error:
        raise ConfigurationError(f"{url!r} is not a valid URL: {error}") from error
    except (ImportError, ValueError) as error:
        raise ConfigurationError(
            f"the proxy of HTTPS_PROXY, HTTP_PROXY or ALL_PROXY cannot be used: {error}"
        ) from error
    if not client.base_url.is_absolute_url:
        raise ConfigurationError(f"{url!r} is not a URL like http://127.0.0.1:8480")
    return client


def _tls_context(ca: str | None) -> ssl.SSLContext:
    """Return a context that trusts the certificates of a file; by default those of SSL_CERT_FILE or of the system."""
    file, folder = ca or os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
    try:
        context = ssl.create_default_context(cafile=file or None, capath=None if ca else folder or None)
    except OSError as error:
        raise ConfigurationError(f"{file or folder} is not a file of CA certificates in PEM format: {error}") from error
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
    if isinstance(error, httpx.ProxyError) and str(error).startswith(FINAL_PROXY_STATUSES):
        return UnreachableError(f"the proxy refuses to connect to {url}: {error}. Check HTTPS_PROXY and NO_PROXY.")
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ssl.SSLError):
        cause = cause.__cause__ or cause.__context__
    if isinstance(cause, ssl.SSLCertVerificationError):
        return CertificateError(
            f"the certificate of {url} is not trusted: {cause.verify_message}. If your own CA signed it, name the file "
            "of the CA with `ca` or SSL_CERT_FILE.", cause.verify_message,
        )
    if isinstance(cause, ssl.SSLError) and cause.reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL"):
        return UnreachableError(f"{url} does not speak TLS; is the address http://… ?")
    return None
