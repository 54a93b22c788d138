"""Passwords in the address of a store, which messages do not show."""

import re
from urllib.parse import unquote

_PASSWORDS = re.compile(r"([?&](?:ssl)?password=)([^&]*)")
"""A password among the query parameters of an address."""
_WORD = re.compile(r"\w{1,15}")
"""A password that messages may contain by chance."""


def without_password(address: str) -> str:
    """Return a store's address without its passwords. A malformed address may lose more than that."""
    scheme, server, rest = address.partition("://")
    if not server:
        return address
    login, at, place = _PASSWORDS.sub(r"\1***", rest).rpartition("@")
    return f"{scheme}://{login.partition(':')[0]}{at}{place}"


def without_secrets(text: str, *, address: str) -> str:
    """Return a message about a store without the passwords of the store's address.

    A password that could be a word or a number is removed only where it stands as in an address or in quotation marks:
    elsewhere it is part of the message, and removing it would show what it is.
    """
    text = text.replace(address, without_password(address))
    _, server, rest = address.partition("://")
    if not server:
        return text
    secrets = {rest.rpartition("@")[0].partition(":")[2], *(match[2] for match in _PASSWORDS.finditer(rest))}
    for secret in filter(None, secrets | {unquote(secret) for secret in secrets}):
        if _WORD.fullmatch(secret):
            text = re.sub(rf"(?<=[:='\"]){re.escape(secret)}(?=[@&'\"]|$)", "***", text)
        else:
            text = text.replace(secret, "***")
    return text
