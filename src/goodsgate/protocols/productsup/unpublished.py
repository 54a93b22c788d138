"""Decisions about what the vendor has not published; the table in ``README.md`` lists them in words."""

import zlib

PLATFORM = "/platform/v2"
"""Base path of the companion Platform API, which the vendor serves from another host."""
READING = "/product/v2"
"""Base path of its API for reading products."""
PREFIXES = ("/streams", PLATFORM, READING)
IMPORT = "productsup/import"
"""Topic of the messages that start scheduled imports of sites."""
UPDATE_STARTS = "productsup/update-starts"
"""Topic of the messages that update streams whose sites have changed."""
SITES_MAX = 100
SOURCES_MAX = 100
"""Data sources of one site."""
RUN_DAYS = 30
"""Retention of import runs."""
PROCESSES_MAX = 2
"""Processes of a site that have not ended; published as one that runs and one that waits."""
WELCOME = "Goodsgate; its documentation is at /docs"
"""The message of `GET /`, which is the gate's; that there is one is published."""
STREAMS_MAX = 100
"""Published; whether deleted streams count is not. Here they do not."""
RESERVED_DAYS = 7
"""Published: how long the name of a deleted stream stays reserved."""
POLL_SECONDS = 5
"""`Retry-After` of a batch that is not processed; published as an example of 300, for scheduled imports."""
ID_MAX = 2**31 - 1
"""The vendor's client reads ids as 32-bit numbers."""


def account_of(merchant: str) -> str:
    """Return the number of a merchant's account: the merchant's id if it is a number, else one derived from it."""
    if merchant.isascii() and merchant.isdigit() and 0 < int(merchant) <= ID_MAX:
        return str(int(merchant))
    return str(zlib.crc32(merchant.encode()) % ID_MAX + 1)
