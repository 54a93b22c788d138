"""What nobody has published and had to be decided, in code; the table in ``README.md`` says the same in words."""

import zlib

PLATFORM = "/platform/v2"
"""The base path of the companion API that is published with another host."""
READING = "/product/v2"
"""That of its reading part."""
PREFIXES = ("/streams", PLATFORM, READING)
IMPORT = "productsup/import"
"""The topic under which the outbox brings back the sites that import by the clock."""
SETTLE = "productsup/settle"
"""That under which it brings back streams whose sites have changed."""
SITES_MAX = 100
SOURCES_MAX = 100
"""Of a site."""
RUN_DAYS = 30
"""How long it is remembered how an import went."""
PROCESSES_MAX = 2
"""Of a site that have not ended; published as one that runs and one that waits."""
WELCOME = "Goodsgate, as Productsup Stream API"
"""What `GET /` says; that it says something is published."""
STREAMS_MAX = 100
"""Published; whether deleted ones count is not: they do not."""
RESERVED_DAYS = 7
"""Published: how long the name of a deleted stream stays taken."""
POLL_SECONDS = 5
"""When to look again at a batch that is not processed; published as an example of 300, for imports by schedule."""
ID_MAX = 2**31 - 1
"""The vendor's client reads ids as 32-bit numbers."""


def account_of(merchant: str) -> str:
    """The number of an account: the merchant's id if it is one, else one made from it."""
    if merchant.isascii() and merchant.isdigit() and 0 < int(merchant) <= ID_MAX:
        return str(int(merchant))
    return str(zlib.crc32(merchant.encode()) % ID_MAX + 1)
