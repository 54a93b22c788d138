"""Types of settings, their patterns, and how messages call what a pattern allows."""

import re
from typing import Annotated

from msgspec import Meta

OneLineText = Annotated[str, Meta(pattern=r"^[^\x00-\x1f\x7f]*\Z", description="one line of text")]
Seconds = Annotated[float, Meta(ge=0.01, le=3600)]
Bytes = Annotated[int, Meta(ge=1, le=1024**5)]
Days = Annotated[float, Meta(gt=0, le=3650)]
Count = Annotated[int, Meta(ge=1, le=10**9)]

MASTER = r"[a-z][a-z0-9-]{0,31}:(?:[A-Za-z0-9+/]{4}){8,}(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?"
MASTERS = rf"^(?:{MASTER}(?:,{MASTER})*)?$"
"""Comma-separated ``name:base64`` of at least 24 bytes each."""
CALL = r"[A-Za-z]\w*"
ALIAS = rf"{CALL}/\w+={CALL}/\w+|{CALL}={CALL}|{CALL}(/\w+)?(\.\w+)+=\w+"
ALIASES = rf"^(({ALIAS})(, ?|$))*$"

ORIGIN = r"https?://[^/?#, ]+"
ORIGINS = rf"^(\*|{ORIGIN}(, ?{ORIGIN})*)?$"

NETWORK = r"[0-9A-Fa-f:.]+(/[0-9]{1,3})?"
NETWORKS = rf"^({NETWORK}(, ?{NETWORK})*)?$"
NETWORKS_EXPECTED = "comma-separated addresses or networks such as `10.0.0.0/8, ::1`"
TRACES = "the URL of an OTLP/HTTP receiver, such as `http://127.0.0.1:4318`"
MAPPING = r"^(?:[^,=]+=[^,=]+(?:,|$))*$"
MAPPING_EXPECTED = "comma-separated `value=name`"
ISSUER = "an address like `https://login.example.com/realms/shop`"

LEVELS = "`debug`, `info`, `warning` or `error`"
MASTERS_EXPECTED = "comma-separated `name:base64` of at least 24 bytes each"
ALIASES_EXPECTED = "comma-separated `Class/method=Class/method`, `Class=Class` or `Class/method.member=member`"
ORIGINS_EXPECTED = "`*`, or comma-separated origins such as `https://shop.example.com`"
PAUSES = "comma-separated whole numbers of seconds"
TOKENS = "16 to 200 letters, digits or signs without spaces"
HOSTS = "comma-separated host names"
LANGUAGE = "a language such as `en` or `de-AT`"
FOLDERS = "comma-separated absolute paths of folders"
VARIABLES = r"^(([a-z0-9_-]{1,64}/)?[A-Za-z_][A-Za-z0-9_]*(, ?|$))*$"
VARIABLES_EXPECTED = "comma-separated names of variables, each perhaps with its merchant, as `acme/SFTP_PASSWORD`"
PUBLIC_URL = "`https://host` without a path: the vendors' protocols fix the paths, so the gate needs its own host name"
SENDER = re.compile(r"(?:[^<>@\r\n]* )?<[^<>@\s]+@[A-Za-z0-9.-]+>|[^<>@\s]+@[A-Za-z0-9.-]+")
SENDER_EXPECTED = "an address, or `Name <address>`"
