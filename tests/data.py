"""Real product data for the tests: excerpts in ``samples/``, and the feeds of the demo."""

import gzip
from pathlib import Path

SAMPLES = Path(__file__).resolve().parent / "samples"
DEMO_FEEDS = SAMPLES.parents[1] / "demo" / "feed"


def sample(name: str) -> Path:
    """Return the path of a sample, such as ``kibo-sandbox/products.jsonl.gz``."""
    path = SAMPLES / name
    return path if path.exists() else DEMO_FEEDS / name


def sample_bytes(name: str) -> bytes:
    """Return the bytes of a sample, decompressed if its name ends with .gz."""
    content = sample(name).read_bytes()
    return gzip.decompress(content) if name.endswith(".gz") else content
