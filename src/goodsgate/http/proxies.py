"""The address of a client behind trusted proxies.

Anybody can send `X-Forwarded-For` or `Forwarded`, so the header counts only if a trusted proxy sent the request. Each
proxy appends the address that it got the request from. The client is therefore the last address in the list that is no
trusted proxy's. Only one of the two headers is read: a proxy that writes one passes the other on as it came.
"""

import ipaddress
import re
from collections.abc import Iterable

from starlette.types import ASGIApp, Receive, Scope, Send

FORWARDED = "forwarded"
HEADERS = {"x-forwarded-for": b"x-forwarded-for", FORWARDED: b"forwarded"}
_FOR = re.compile(r'(?:^|;)\s*for\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;"\s]*))', re.I)
_ELEMENT = re.compile(r'(?:[^,"]|"(?:[^"\\]|\\.)*")+')

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class TrustedProxies:
    """The networks whose proxies are trusted to name the client."""

    def __init__(self, networks: Iterable[Network], *, header: str) -> None:
        """Read the addresses of `header`: ``x-forwarded-for`` or ``forwarded``."""
        self._networks = tuple(networks)
        self._header = HEADERS[header]
        self._parse = _parse_forwarded if header == FORWARDED else _parse_list

    def trusts(self, address: str) -> bool:
        """Return whether an address is that of a trusted proxy."""
        parsed = _parse_address(address)
        return parsed is not None and any(
            parsed.version == network.version and parsed in network for network in self._networks
        )

    def client_address(self, peer: str, headers: Iterable[tuple[bytes, bytes]]) -> str:
        """Return the address of the client of a request that came from `peer`."""
        if not self.trusts(peer):
            return peer
        values = [value.decode("latin-1") for name, value in headers if name == self._header]
        address = peer
        for named in reversed(self._parse(",".join(values))):
            parsed = _parse_address(named)
            if parsed is None:
                return address  # obfuscated or malformed: the proxy that says so is as far as is known
            address = str(parsed)
            if not self.trusts(address):
                return address
        return address


class ProxiedApplication:
    """ASGI application behind trusted proxies: the client of a request is the one that they name."""

    def __init__(self, application: ASGIApp, proxies: TrustedProxies) -> None:
        self._application = application
        self._proxies = proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request as the application does."""
        client = scope.get("client")
        if client is not None:
            address = self._proxies.client_address(client[0], scope["headers"])
            if address != client[0]:
                scope["client"] = (address, 0)
        await self._application(scope, receive, send)


def _parse_list(text: str) -> list[str]:
    return [part for each in text.split(",") if (part := each.strip())]


def _parse_forwarded(text: str) -> list[str]:
    """Return the `for` of each element of `Forwarded` (RFC 7239); one without is unknown."""
    matches = [_FOR.search(element.strip()) for element in _ELEMENT.findall(text) if element.strip()]
    return ["unknown" if match is None else re.sub(r"\\(.)", r"\1", match[1] or match[2] or "") for match in matches]


def _parse_address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return the IP address in a text that may have a port, brackets and a zone; None if it has none."""
    host = text.strip()
    if host.startswith("["):
        host = host[1:].partition("]")[0]
    elif host.count(":") == 1:
        host = host.partition(":")[0]
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
