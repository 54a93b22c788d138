"""Which hosts may be called for merchants, and at which of their addresses.

A host is resolved once, all its addresses are checked, and the connection goes to one of those. So a name that changes
its address between the check and the connection leads nowhere else.
"""

import socket
from concurrent.futures import Future
from typing import Any

from goodsgate.model.background import run_once
from goodsgate.remote.contract import RemoteError, RemoteSettings
from goodsgate.remote.public_addresses import is_public


class PrivateHostError(Exception):
    """A host has an address that is not public."""

    def __init__(self, host: str, ip_address: str) -> None:
        super().__init__(f"the host {host} has the private address {ip_address}")


class UnknownHostError(Exception):
    """A host is not found, or not in time."""


def is_allowed(host: str, hosts: frozenset[str]) -> bool:
    """Return whether a host is one of `hosts`, or below one of ``*.host``; ``*`` allows every host."""
    wildcards = {f"*.{host[at + 1:]}" for at, letter in enumerate(host) if letter == "."}
    return bool(hosts & {host, "*", *wildcards})


def resolve(host: str, port: int, *, allow_private: bool, timeout_seconds: float) -> str:
    """Return one IP address of a host if all of them may be called. Raises PrivateHostError, UnknownHostError."""
    try:
        results = _look_up(host, port, timeout_seconds)
    except TimeoutError as fault:
        raise UnknownHostError(f"the host {host} is not found within {timeout_seconds:g} s") from fault
    except (OSError, UnicodeError) as fault:
        raise UnknownHostError(f"the host {host} is not found: {fault}") from fault
    ip_addresses = [str(result[4][0]).partition("%")[0] for result in results]
    for ip_address in ip_addresses:
        if not allow_private and not is_public(ip_address):
            raise PrivateHostError(host, ip_address)
    return ip_addresses[0]


def check_host(host: str, settings: RemoteSettings) -> None:
    """Raise RemoteError if the operator does not allow a host."""
    if not is_allowed(host, settings.hosts):
        raise RemoteError(f"The host {host} is not allowed (setting feed_hosts).", final=True)


def checked_address(host: str, port: int, settings: RemoteSettings) -> str:
    """Return the IP address at which to call a host that the operator allows. Raises RemoteError."""
    check_host(host, settings)
    try:
        return resolve(
            host, port, allow_private=settings.allow_private, timeout_seconds=settings.connect_seconds
        )
    except PrivateHostError as fault:
        raise RemoteError(f"{_sentence(fault)} (setting feed_private).", final=True) from fault
    except UnknownHostError as fault:
        raise RemoteError(f"{_sentence(fault)}.") from fault


def _sentence(fault: Exception) -> str:
    text = str(fault)
    return text[:1].upper() + text[1:]


def _look_up(host: str, port: int, seconds: float) -> list[Any]:
    """Return what `socket.getaddrinfo` does, which may take longer than there is time. Raises TimeoutError."""
    found: Future[list[Any]] = Future()

    def look_up() -> None:
        try:
            found.set_result(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as fault:
            found.set_exception(fault)

    run_once("resolve", look_up)
    return found.result(seconds)
