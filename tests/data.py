"""Real product data that lies beside the checkout; an ordinary clone does without."""

import gzip
import os
from pathlib import Path

import pytest


def shared(path: str) -> Path:
    """A file of the shared folder, by its path below it; skips the test if there is none.

    The folder is `$GOODSGATE_SHARED`, or `shared` beside the checkout.
    """
    folder = Path(os.environ.get("GOODSGATE_SHARED") or Path(__file__).resolve().parents[2] / "shared")
    found = folder / path
    if not found.exists():
        print(f"no {found}: set GOODSGATE_SHARED to the folder of real data")
        pytest.skip(f"no {path} in the shared folder ($GOODSGATE_SHARED, or ../shared)")
    return found


def shared_bytes(path: str) -> bytes:
    """The bytes of a file of the shared folder, unpacked if its name ends with .gz."""
    found = shared(path)
    return gzip.decompress(found.read_bytes()) if found.suffix == ".gz" else found.read_bytes()
