"""Trace ids: another spelling of batch ids, so that a trace id needs no look-up and survives a restart.

A batch id is 12 hexadecimal digits of milliseconds and 20 random ones. The batches of this protocol have 16 random
digits; the last 4 are a checksum of the others, because a trace id has no room for them.
"""

import re
import secrets
import time
import zlib
from datetime import datetime

_TRACE_ID = re.compile(r"[0-9a-f]{16}-[0-9]{13}")


def new_batch_id() -> str:
    """Return an id for a batch that has a trace id; such ids sort by time of creation."""
    return _batch_id(time.time_ns() // 1_000_000, secrets.token_hex(8))


def to_trace_id(batch_id: str) -> str:
    """Return 16 hex digits, ``-``, and the submission's Unix milliseconds: ``b3bbaead9858e85d-1760266497372``."""
    return f"{batch_id[12:28]}-{int(batch_id[:12], 16):013d}"


def to_batch_id(trace_id: str) -> str | None:
    """Return the batch id that a trace id stands for; None if the text is no trace id."""
    if not _TRACE_ID.fullmatch(trace_id):
        return None
    digits, _, milliseconds = trace_id.partition("-")
    return _batch_id(int(milliseconds), digits)


def to_object_id(batch_id: str) -> str:
    """Return 24 hex digits, the first eight being seconds, like the ids of the document store behind Konnect."""
    return f"{int(batch_id[:12], 16) // 1000 & 0xFFFFFFFF:08x}{batch_id[12:28]}"


def format_nanoseconds(moment: datetime) -> str:
    """Return RFC 3339 in UTC with nine fractional digits, the last three being zeros."""
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond:06d}000Z"


def format_milliseconds(moment: datetime) -> str:
    """Return RFC 3339 with milliseconds and a numeric offset."""
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}+00:00"


def _batch_id(milliseconds: int, digits: str) -> str:
    prefix = f"{milliseconds % 2**48:012x}{digits}"
    return f"{prefix}{zlib.crc32(prefix.encode()) & 0xFFFF:04x}"
