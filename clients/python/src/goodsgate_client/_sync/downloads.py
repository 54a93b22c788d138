# Generated from _async/downloads.py by clients/python/generate.py.
"""Where downloads go: to a file as a whole, or to a temporary file from which records are read."""

import json
import os
import re
import tempfile
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import IO, cast

import httpx

from goodsgate_client._sync.blocking import run
from goodsgate_client.models import Document
from goodsgate_client.sources import MEMORY_BYTES_MAX


def save_download(response: httpx.Response, file: str | Path | None, *, default: str) -> Path:
    """Save a download as a whole or not at all, and return its path. Raises OSError.

    Devices and pipes, such as `/dev/null`, are written to and never replaced.
    """
    filename = re.search(r'filename="?([\w.-]+)"?', response.headers.get("Content-Disposition", ""))
    target = Path(file or (filename.group(1) if filename else default))
    is_replaced = target.is_file() or not target.exists()
    end = target.resolve()  # a link stays a link
    part = end.with_name(end.name + ".part") if is_replaced else end
    try:
        with part.open("wb") as written:
            for piece in response.iter_bytes():
                run(written.write, piece)
        if is_replaced:
            os.replace(part, end)
    finally:
        if is_replaced:
            part.unlink(missing_ok=True)
    return target


def spool_download(response: httpx.Response) -> IO[bytes]:
    """Return a temporary file with a download, which has arrived to its end; the caller closes it."""
    spool = tempfile.SpooledTemporaryFile(MEMORY_BYTES_MAX, prefix="goodsgate-")  # noqa: SIM115 - the caller closes it
    try:
        for piece in response.iter_bytes():
            run(spool.write, piece)
    except BaseException:
        spool.close()
        raise
    spool.seek(0)
    return cast(IO[bytes], spool)


def read_records(ndjson: IO[bytes]) -> Iterator[Document]:
    """Yield the records of a file; numbers with a fraction are `Decimal`, so that a price comes back as it was."""
    return (json.loads(line, parse_float=Decimal) for line in ndjson)
