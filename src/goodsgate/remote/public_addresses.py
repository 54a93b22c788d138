"""IP addresses that the gate may call for merchants: those of the public internet, and none that leads back inside.

`ipaddress` knows most of the IANA registries of special-purpose addresses. The tables add what it misses, and the
addresses of IPv6 that stand for one of IPv4.
"""

import ipaddress
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

SPECIAL_IPV4 = tuple(map(IPv4Network, (
    "0.0.0.0/8",  # this network
    "192.0.0.0/24",  # IETF protocol assignments, of which the standard library calls some global
    "192.31.196.0/24", "192.52.193.0/24", "192.175.48.0/24",  # AS112 and AMT
    "192.88.99.0/24",  # relays of 6to4, withdrawn
    "100.64.0.0/10", "198.18.0.0/15", "240.0.0.0/4",  # carriers, benchmarks, reserved
)))
SPECIAL_IPV6 = tuple(map(IPv6Network, (
    "64:ff9b:1::/48",  # local NAT64, which translates to any address of IPv4
    "::/96",  # compatible with IPv4, withdrawn
    "::ffff:0:0:0/96",  # translated by SIIT
    "fec0::/10",  # local to a site, withdrawn
    "100::/64", "100:0:0:1::/64",  # discarded
    "2001::/23",  # IETF protocol assignments; Teredo is read below
    "2001:db8::/32", "3fff::/20",  # documentation
    "2620:4f:8000::/48",  # AS112
    "5f00::/16",  # segment routing
)))
NAT64 = IPv6Network("64:ff9b::/96")
GLOBAL_UNICAST = IPv6Network("2000::/3")


def is_public(ip_address: str) -> bool:
    """Return whether an IP address is public, and does not embed one that is not."""
    address = ipaddress.ip_address(ip_address)
    if isinstance(address, IPv6Address):
        embedded = _embedded(address)
        if embedded:
            return all(map(_is_public_ipv4, embedded))
        return (
            address in GLOBAL_UNICAST and address.is_global
            and not any(address in network for network in SPECIAL_IPV6)
        )
    return _is_public_ipv4(address)


def _is_public_ipv4(address: IPv4Address) -> bool:
    is_special = any(address in network for network in SPECIAL_IPV4)
    return address.is_global and not address.is_multicast and not is_special


def _embedded(address: IPv6Address) -> list[IPv4Address]:
    """Return the addresses of IPv4 that an address of IPv6 stands for: mapped, 6to4, Teredo or NAT64."""
    if address.ipv4_mapped is not None:
        return [address.ipv4_mapped]
    if address.sixtofour is not None:
        return [address.sixtofour]
    if address.teredo is not None:
        return [*address.teredo]  # of the server and of the client
    return [IPv4Address(int(address) & 0xFFFFFFFF)] if address in NAT64 else []
