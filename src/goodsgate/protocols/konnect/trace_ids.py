"""Trace ids, which are ids of batches in other clothes, so that none needs to be looked up.

A batch's id is 12 hex digits of milliseconds and 20 random ones; here 16 are random, and 4 are made from the rest.
"""

import re
import secrets
import time
import zlib
from datetime import datetime

TRACE = re.compile(r"[0-9a-f]{16}-[0-9]{13}")
MILLISECONDS_MAX = 2**48


def new_batch_id() -> str:
    """An id for a batch that has a trace id, sorting by time of making."""
    return _batch(time.time_ns() // 1_000_000, secrets.token_hex(8))


def to_trace_id(batch: str) -> str:
    """16 hex digits, ``-``, and the submission's milliseconds since 1970: ``b3bbaead9858e85d-1760266497372``."""
    return f"{batch[12:28]}-{int(batch[:12], 16):013d}"


def to_batch_id(trace: str) -> str | None:
    """The batch that a trace id stands for, if it could be one."""
    if not TRACE.fullmatch(trace):
        return None
    digits, _, milliseconds = trace.partition("-")
    return _batch(int(milliseconds), digits)


def to_object_id(batch: str) -> str:
    """24 hex digits, the first eight being seconds, as the document store behind Konnect makes them."""
    return f"{int(batch[:12], 16) // 1000 & 0xFFFFFFFF:08x}{batch[12:28]}"


def format_nanoseconds(moment: datetime) -> str:
    """RFC 3339 in UTC with nine fractional digits, the last three being zeros."""
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond:06d}000Z"


def format_milliseconds(moment: datetime) -> str:
    """RFC 3339 with milliseconds and a numeric offset."""
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}+00:00"


def _batch(milliseconds: int, digits: str) -> str:
    made = f"{milliseconds % MILLISECONDS_MAX:012x}{digits}"
    return f"{made}{zlib.crc32(made.encode()) & 0xFFFF:04x}"
